use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use session_backend::TlsMode;
use webpki::{EndEntityCert, KeyUsage};

/// What the server's certificate must prove.
///
/// rustls refuses a server certificate that may sign others (`CA:TRUE`), which is what
/// `openssl req -x509` makes. If exactly this certificate was given as one to trust, there is no
/// chain that could be forged. The server proves in each handshake that it has the certificate's
/// key, and the name and the validity are checked as always. A certificate that was *signed* by
/// such a certificate is verified like one of any other authority.
#[derive(Debug)]
pub(crate) struct Verifier {
    pub(crate) mode: TlsMode,
    pub(crate) roots: RootCertStore,
    /// The certificates that are also accepted as a server's own.
    pub(crate) exact: Vec<CertificateDer<'static>>,
    pub(crate) algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn verify(
        &self,
        shown: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        if self.mode == TlsMode::Require {
            return Ok(());
        }
        let parsed = ParsedCertificate::try_from(shown)?;
        let chain = verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        );
        if let Err(error) = chain
            && !self.is_trusted_by_itself(shown, now)
        {
            return Err(error);
        }
        if self.mode == TlsMode::VerifyCa { Ok(()) } else { verify_server_name(&parsed, name) }
    }

    /// Whether this is one of the certificates that were given, is valid now, and is refused only
    /// because it may sign others.
    fn is_trusted_by_itself(&self, shown: &CertificateDer<'_>, now: UnixTime) -> bool {
        if !self.exact.iter().any(|known| known.as_ref() == shown.as_ref()) {
            return false;
        }
        let Ok(certificate) = EndEntityCert::try_from(shown) else { return false };
        let usage = KeyUsage::server_auth();
        let verified =
            certificate.verify_for_usage(self.algorithms.all, &self.roots.roots, &[], now, usage, None, None);
        // The validity is checked before this error is returned.
        matches!(verified, Err(webpki::Error::CaUsedAsEndEntity))
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.verify(shown, intermediates, name, now);
        verified.map(|()| ServerCertVerified::assertion()).map_err(explained)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Rewords the error for an untrusted self-signed certificate.
fn explained(error: Error) -> Error {
    if let Error::InvalidCertificate(CertificateError::Other(OtherError(cause))) = &error
        && cause.to_string().contains("CaUsedAsEndEntity")
    {
        let other = "the server's certificate is its own authority, and is not one of those in `tls_roots`";
        return Error::General(other.to_owned());
    }
    error
}
