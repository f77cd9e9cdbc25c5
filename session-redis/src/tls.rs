//! TLS connections. The crypto provider is used here alone; none is installed for the process.

use session_backend::{TlsMode, TlsSettings};
use session_core::Result;

use crate::errors::config;

#[cfg(feature = "tls")]
mod on {
    use std::{fmt, io, sync::Arc};

    use rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    };
    use session_backend::{Pem, TlsMode, TlsSettings};
    use session_core::Result;
    use tokio::net::TcpStream;
    use tokio_rustls::{TlsConnector, client::TlsStream};

    use crate::{certificates::Verifier, errors::config};

    /// How connections are encrypted.
    #[derive(Clone)]
    pub(crate) struct Tls(TlsConnector);

    impl Tls {
        pub(super) fn new(mode: TlsMode, settings: &TlsSettings) -> Result<Self> {
            let provider = Arc::new(ring::default_provider());
            let algorithms = provider.signature_verification_algorithms;
            let (roots, exact) = match &settings.roots {
                Some(pem) => trusted(&certificates(pem, "tls_roots")?)?,
                None if matches!(mode, TlsMode::Require) => (RootCertStore::empty(), Vec::new()),
                None => (of_the_system()?, Vec::new()),
            };
            let verifier = Verifier { mode, roots, exact, algorithms };
            let unusable =
                |error: rustls::Error| config("the certificates cannot be used").with_source(error);
            let builder = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(unusable)?
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier));
            let client = match (&settings.certificate, &settings.key) {
                (Some(certificate), Some(key)) => {
                    let chain = certificates(certificate, "tls_cert")?;
                    let key = PrivateKeyDer::from_pem_slice(&key.read("tls_key")?)
                        .map_err(|_| config("tls_key holds no private key in PEM; `tls_client` takes a certificate and its key"))?;
                    builder.with_client_auth_cert(chain, key).map_err(unusable)?
                }
                _ => builder.with_no_client_auth(),
            };
            Ok(Self(TlsConnector::from(Arc::new(client))))
        }

        /// Performs the TLS handshake with the server of this name.
        pub(crate) async fn secure(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
            let name = ServerName::try_from(host.to_owned())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            self.0.connect(name, stream).await
        }
    }

    impl fmt::Debug for Tls {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Tls")
        }
    }

    fn certificates(pem: &Pem, name: &str) -> Result<Vec<CertificateDer<'static>>> {
        let content = pem.read(name)?;
        let found: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
        match found {
            Ok(found) if !found.is_empty() => Ok(found),
            _ => Err(config(format!(
                "{name} holds no certificate; it takes one or more in PEM, as does {}",
                if name == "tls_cert" { "`tls_client`" } else { "`tls_roots`" }
            ))),
        }
    }

    /// These certificates as authorities, and as certificates accepted as a server's own.
    fn trusted(
        certificates: &[CertificateDer<'static>],
    ) -> Result<(RootCertStore, Vec<CertificateDer<'static>>)> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots
                .add(certificate.clone())
                .map_err(|error| config("a certificate of tls_roots cannot be used").with_source(error))?;
        }
        Ok((roots, certificates.to_vec()))
    }

    fn of_the_system() -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err(config(
                "this system trusts no authorities; install `ca-certificates`, or set `tls_roots`",
            ));
        }
        Ok(roots)
    }
}

#[cfg(not(feature = "tls"))]
mod on {
    use std::io;

    use tokio::net::TcpStream;

    /// Has no value without the feature `tls`.
    #[derive(Clone, Debug)]
    pub(crate) enum Tls {}

    impl Tls {
        #[allow(clippy::unused_async)]
        pub(crate) async fn secure(&self, _host: &str, _stream: TcpStream) -> io::Result<TcpStream> {
            match *self {}
        }
    }
}

pub(crate) use on::Tls;

/// The TLS client of a store, if its connections are encrypted.
pub(crate) fn open(mode: TlsMode, settings: &TlsSettings) -> Result<Option<Tls>> {
    match mode {
        TlsMode::Disable => Ok(None),
        TlsMode::Prefer => Err(config(
            "tls=prefer has no meaning for Redis, which offers TLS on a port of its own or not at all; set tls=verify-full or tls=disable",
        )),
        #[cfg(feature = "tls")]
        mode => Tls::new(mode, settings).map(Some),
        #[cfg(not(feature = "tls"))]
        _ => {
            let _ = settings;
            Err(config("this program was built without TLS; enable the feature `tls` of session-redis"))
        }
    }
}
