use redis::ConnectionAddr;
use session_core::Result;

use crate::{errors::config, settings::Tls};

/// An address that has the settings for TLS which all others take over, or none without TLS.
#[cfg(feature = "tls")]
pub(crate) fn template(tls: &Tls) -> Result<Option<ConnectionAddr>> {
    use redis::{Client, ClientTlsConfig, TlsCertificates};

    if !tls.on {
        return without(tls);
    }
    // The first in the process wins, and it does not matter which: an application may have chosen its own.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let address = ConnectionAddr::TcpTls {
        host: "localhost".to_owned(),
        port: 6379,
        insecure: false,
        tls_params: None,
    };
    if tls.roots.is_none() && tls.client.is_none() {
        return Ok(Some(address));
    }
    let certificates = TlsCertificates {
        client_tls: tls.client.as_ref().map(|(client_cert, client_key)| ClientTlsConfig {
            client_cert: client_cert.clone(),
            client_key: client_key.clone(),
        }),
        root_cert: tls.roots.clone(),
    };
    if tls.roots.as_ref().is_some_and(|pem| !holds(pem, "CERTIFICATE")) {
        return Err(config("`tls_roots` holds no certificate; it takes one or more in PEM"));
    }
    if tls
        .client
        .as_ref()
        .is_some_and(|(certificate, key)| !holds(certificate, "CERTIFICATE") || !holds(key, "KEY"))
    {
        return Err(config("`tls_client` takes a certificate and its key, both in PEM"));
    }
    let client = Client::build_with_tls(address, certificates)
        .map_err(|error| config("the certificates cannot be used").with_source(error))?;
    Ok(Some(client.get_connection_info().addr().clone()))
}

/// Whether there is a part of this kind in the PEM.
#[cfg(feature = "tls")]
fn holds(pem: &[u8], kind: &str) -> bool {
    String::from_utf8_lossy(pem).lines().any(|line| line.starts_with("-----BEGIN ") && line.contains(kind))
}

#[cfg(not(feature = "tls"))]
pub(crate) fn template(tls: &Tls) -> Result<Option<ConnectionAddr>> {
    if tls.on {
        return Err(config("this program was built without TLS; enable the feature `tls` of session-redis"));
    }
    without(tls)
}

fn without(tls: &Tls) -> Result<Option<ConnectionAddr>> {
    if tls.roots.is_some() || tls.client.is_some() {
        return Err(config("certificates are set, and the URL asks for no TLS; use rediss://"));
    }
    Ok(None)
}
