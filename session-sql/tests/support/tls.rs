//! A server that accepts TLS connections, and the authority that signs its certificate.

use std::{
    ffi::OsString,
    fs::{self, Permissions},
    io,
    net::SocketAddr,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::Path,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use session_servers::{
    Engine, LaunchError, Preparation, Program, Shutdown, mariadb::MariaDb, postgres::Postgres,
};

use super::lab::{Kind, Lab};

/// Signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        // If subject and issuer were equal, the certificate would pass for a self-signed one.
        params.distinguished_name.push(DnType::CommonName, "the authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("signed by itself"))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a name, and its key.
    pub(crate) fn issue(&self, name: &str) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.0).expect("signed").pem();
        Identity { certificate, key: key.serialize_pem() }
    }

    /// The authority's own certificate, as `openssl req -x509` makes one for a server.
    pub(crate) fn itself(&self) -> Identity {
        Identity { certificate: self.pem(), key: self.0.key().serialize_pem() }
    }
}

/// A server with a certificate. It also knows the authority of its clients' certificates.
#[derive(Debug)]
struct WithTls<E> {
    engine: E,
    files: [(&'static str, String); 3],
    kind: Kind,
}

/// Starts a server with a certificate.
pub(crate) async fn start(kind: Kind, authority: &Authority, identity: &Identity) -> Lab {
    let Identity { certificate, key } = identity.clone();
    let files = [("ca.pem", authority.pem()), ("server.pem", certificate), ("server.key", key)];
    match kind {
        Kind::Postgres => Lab::of(kind, WithTls { engine: Postgres::new(), files, kind }).await,
        Kind::MariaDb => Lab::of(kind, WithTls { engine: MariaDb::new(), files, kind }).await,
    }
}

impl<E: Engine> Engine for WithTls<E> {
    fn program(&self) -> Program {
        self.engine.program()
    }

    fn command_line(&self, data: &Path, addr: SocketAddr) -> Vec<OsString> {
        let owner = fs::metadata(data).expect("a directory");
        for (name, pem) in &self.files {
            let file = data.join(name);
            fs::write(&file, pem).expect("a writable directory");
            fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("its own file");
            chown(&file, Some(owner.uid()), Some(owner.gid())).expect("its own file");
        }
        let mut args = self.engine.command_line(data, addr);
        let settings = match self.kind {
            Kind::Postgres => {
                args.extend(["-c", "ssl=on"].map(OsString::from));
                ["ssl_ca_file", "ssl_cert_file", "ssl_key_file"]
            }
            Kind::MariaDb => ["ssl-ca", "ssl-cert", "ssl-key"],
        };
        for (setting, (name, _)) in settings.into_iter().zip(&self.files) {
            let file = data.join(name).display().to_string();
            match self.kind {
                Kind::Postgres => args.extend(["-c".into(), format!("{setting}={file}").into()]),
                Kind::MariaDb => args.push(format!("--{setting}={file}").into()),
            }
        }
        args
    }

    fn account(&self) -> Option<&str> {
        self.engine.account()
    }

    fn shutdown(&self) -> Shutdown {
        self.engine.shutdown()
    }

    fn preparation(&self, data: &Path) -> Result<Vec<Preparation>, LaunchError> {
        self.engine.preparation(data)
    }

    fn url(&self, addr: SocketAddr) -> String {
        self.engine.url(addr)
    }

    async fn ping(&self, addr: SocketAddr) -> io::Result<()> {
        self.engine.ping(addr).await
    }

    async fn serves(&self, addr: SocketAddr, pid: u32) -> io::Result<bool> {
        self.engine.serves(addr, pid).await
    }
}
