//! A server that accepts TLS connections, and the authority that signs its certificate.

use std::{
    ffi::OsString,
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use session_servers::{Engine, Program, redis::Redis};

/// A certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        // If the subject were the issuer's, issued certificates would pass for self-signed ones.
        params.distinguished_name.push(DnType::CommonName, "the authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("signed by itself"))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a name, and its key.
    pub(crate) fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        (params.signed_by(&key, &self.0).expect("signed").pem(), key.serialize_pem())
    }
}

/// A self-signed certificate and its key. Like those of `openssl req -x509`, it may sign others.
pub(crate) fn self_signed(name: &str) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (params.self_signed(&key).expect("signed by itself").pem(), key.serialize_pem())
}

/// The same, but expired.
pub(crate) fn expired(name: &str) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    params.not_before = rcgen::date_time_ymd(2019, 1, 1);
    (params.self_signed(&key).expect("signed by itself").pem(), key.serialize_pem())
}

/// `redis-server` with a second port for TLS, which requires a certificate of clients.
#[derive(Debug)]
pub(crate) struct RedisWithTls {
    tls_port: u16,
    files: [(&'static str, String); 3],
    asks: bool,
}

impl RedisWithTls {
    pub(crate) fn new(authority: &Authority) -> Self {
        let (certificate, key) = authority.issue("localhost");
        Self { asks: true, ..Self::showing(certificate, key).trusting(authority.pem()) }
    }

    /// A server with this certificate, which does not ask clients for one.
    pub(crate) fn showing(certificate: String, key: String) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        Self {
            tls_port: listener.local_addr().expect("a port").port(),
            files: [("ca.pem", certificate.clone()), ("server.pem", certificate), ("server.key", key)],
            asks: false,
        }
    }

    fn trusting(mut self, authority: String) -> Self {
        self.files[0].1 = authority;
        self
    }

    pub(crate) fn tls_port(&self) -> u16 {
        self.tls_port
    }
}

impl Engine for RedisWithTls {
    fn program(&self) -> Program {
        Redis::new().program()
    }

    fn command_line(&self, data: &Path, addr: SocketAddr) -> Vec<OsString> {
        for (name, pem) in &self.files {
            fs::write(data.join(name), pem).expect("a writable directory");
        }
        let mut args = Redis::new().command_line(data, addr);
        args.extend(["--tls-port".into(), self.tls_port.to_string().into()]);
        args.extend(["--tls-auth-clients".into(), if self.asks { "yes" } else { "no" }.into()]);
        for (option, file) in [
            ("--tls-ca-cert-file", "ca.pem"),
            ("--tls-cert-file", "server.pem"),
            ("--tls-key-file", "server.key"),
        ] {
            args.extend([option.into(), data.join(file).into()]);
        }
        args
    }

    fn url(&self, addr: SocketAddr) -> String {
        Redis::new().url(addr)
    }

    async fn ping(&self, addr: SocketAddr) -> io::Result<()> {
        Redis::new().ping(addr).await
    }

    async fn serves(&self, addr: SocketAddr, pid: u32) -> io::Result<bool> {
        Redis::new().serves(addr, pid).await
    }
}
