//! TLS connections to a real server.

mod support;

use std::{
    ffi::OsString,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use mongodb::bson::doc;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use session_core::{Error, ErrorKind, SessionStore};
use session_mongo::{MongoStore, MongoStoreBuilder, Pem, TlsMode};
use session_servers::{
    Engine, Program, Server,
    mongo::{Mongo, command},
};
use support::harness::{self, cases};

/// Signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed"))
    }

    /// A certificate for a name, and its key.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        (params.signed_by(&key, &self.0).expect("signed").pem(), key.serialize_pem())
    }
}

/// `mongod` that accepts connections with TLS and, for the liveness checks of these tests, without.
#[derive(Debug)]
struct MongoWithTls {
    roots: String,
    certificate: String,
}

impl Engine for MongoWithTls {
    fn program(&self) -> Program {
        Mongo::new().program()
    }

    fn command_line(&self, data: &Path, addr: SocketAddr) -> Vec<OsString> {
        let (roots, certificate) = (data.join("roots.pem"), data.join("server.pem"));
        fs::write(&roots, &self.roots).expect("a writable directory");
        fs::write(&certificate, &self.certificate).expect("a writable directory");
        let mut args = Mongo::new().command_line(data, addr);
        args.extend(["--tlsMode".into(), "preferTLS".into(), "--tlsCAFile".into(), roots.into()]);
        args.extend(["--tlsCertificateKeyFile".into(), certificate.into()]);
        args.push("--tlsAllowConnectionsWithoutCertificates".into());
        args
    }

    fn url(&self, addr: SocketAddr) -> String {
        format!("mongodb://localhost:{}/", addr.port())
    }

    async fn ping(&self, addr: SocketAddr) -> io::Result<()> {
        Mongo::new().ping(addr).await
    }

    async fn serves(&self, addr: SocketAddr, pid: u32) -> io::Result<bool> {
        Mongo::new().serves(addr, pid).await
    }
}

/// The number of TLS connections that the server has accepted.
async fn encrypted(server: &Server<MongoWithTls>) -> i64 {
    let status = command(server.addr(), &doc! { "serverStatus": 1 }).await.expect("it answers");
    let versions = status.get_document("transportSecurity").expect("it counts them");
    versions.values().filter_map(mongodb::bson::Bson::as_i64).sum()
}

async fn connect(settings: MongoStoreBuilder, url: &str) -> Result<MongoStore, Error> {
    settings.deadline(Duration::from_secs(4)).connect(url).await
}

fn file(directory: &Path, name: &str, content: &str) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, content).expect("a writable directory");
    path
}

async fn the_modes_and_certificates() {
    let (authority, other) = (Authority::new("the authority of a test"), Authority::new("another one"));
    let (certificate, key) = authority.issue("localhost");
    let engine = MongoWithTls { roots: authority.0.pem(), certificate: certificate + &key };
    let server = Server::launch(engine).await.expect("a server");
    let directory = std::env::temp_dir().join(format!("session-mongo-tls-{}", server.port()));
    fs::create_dir_all(&directory).expect("a directory");
    let roots = file(&directory, "roots.pem", &authority.0.pem());
    let strangers = file(&directory, "strangers.pem", &other.0.pem());
    let (certificate, key) = authority.issue("web");
    let both = file(&directory, "both.pem", &format!("{certificate}{key}"));
    let (certificate, key) = (file(&directory, "web.pem", &certificate), file(&directory, "web.key", &key));
    let with = |options: &str| format!("{}?{options}", server.url());
    let builder = MongoStore::builder;

    let before = encrypted(&server).await;
    connect(builder(), &server.url()).await.expect("plain text").close().await.expect("closed");
    assert_eq!(encrypted(&server).await, before, "localhost is plain text unless set");
    for options in [
        format!("tls=verify-full&tls_roots={}", roots.display()),
        format!("tls_roots={}", roots.display()),
        format!("tls=true&tlsCAFile={}", roots.display()),
        "tls=require".to_owned(),
        "tlsInsecure=true".to_owned(),
        format!("tls_roots={}&tls_cert={}&tls_key={}", roots.display(), certificate.display(), key.display()),
        format!("tlsCAFile={}&tlsCertificateKeyFile={}", roots.display(), both.display()),
    ] {
        let before = encrypted(&server).await;
        let store = connect(builder(), &with(&options)).await.expect(&options);
        store.ping().await.expect("it answers");
        assert!(encrypted(&server).await > before, "{options}: it is plain text");
        store.close().await.expect("closed");
    }
    let content = |path: &Path| Pem::Content(fs::read(path).expect("readable"));
    let settings = builder().tls(TlsMode::VerifyFull).tls_roots(content(&roots));
    let settings = settings.tls_client(content(&certificate), content(&key));
    connect(settings, &server.url()).await.expect("by contents").ping().await.expect("it answers");

    for options in [
        "tls=true".to_owned(),
        "tls=verify-full".to_owned(),
        format!("tls=verify-full&tls_roots={}", strangers.display()),
    ] {
        let error = connect(builder(), &with(&options)).await.expect_err(&options);
        assert!(matches!(error.kind(), ErrorKind::Unavailable { .. }), "{options}: {error:?}");
    }
    // The certificate does not name this host.
    let url = format!("mongodb://127.0.0.1:{}/?tls_roots={}", server.port(), roots.display());
    connect(builder(), &url).await.expect_err("the certificate is for localhost");
    fs::remove_dir_all(&directory).expect("removed");
}

fn main() -> ExitCode {
    harness::main(cases![the_modes_and_certificates])
}
