use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use mongodb::options::{Tls, TlsOptions};
use rand::RngExt;
use session_backend::{Pem, TlsMode, TlsSettings};
use session_core::Result;

use crate::errors::config;

/// The driver's TLS options, and the files that it reads for them.
#[derive(Debug)]
pub(crate) struct Encryption {
    pub(crate) options: Tls,
    /// Kept as long as the client: the driver reads the files for each server that it finds.
    _files: Vec<TemporaryFile>,
}

impl Encryption {
    /// # Errors
    /// [`Config`](session_core::ErrorKind::Config) for a mode that the driver does not have, and
    /// files that cannot be read.
    pub(crate) fn new(mode: TlsMode, settings: &TlsSettings) -> Result<Self> {
        let mode = TlsSettings { mode: Some(mode), ..settings.clone() }.resolve(None, false)?;
        let mut options = TlsOptions::default();
        match mode {
            TlsMode::Disable => return Ok(Self { options: Tls::Disabled, _files: Vec::new() }),
            TlsMode::VerifyFull => {}
            TlsMode::Require => options.allow_invalid_certificates = Some(true),
            mode => {
                return Err(config(format!(
                    "MongoDB's driver has no tls={}; it has disable, require and verify-full",
                    mode.name()
                )));
            }
        }
        let mut files = Vec::new();
        if let Some(roots) = &settings.roots {
            let content = certificates(roots, "tls_roots")?;
            options.ca_file_path = Some(path(roots, &content, &mut files)?);
        }
        if let (Some(certificate), Some(key)) = (&settings.certificate, &settings.key) {
            let mut content = certificates(certificate, "tls_cert")?;
            if certificate != key {
                content.push(b'\n');
                content.extend(key.read("tls_key")?);
            }
            let whole = if certificate == key { certificate.clone() } else { Pem::Content(Vec::new()) };
            options.cert_key_file_path = Some(path(&whole, &content, &mut files)?);
        }
        Ok(Self { options: Tls::Enabled(options), _files: files })
    }
}

/// The content of a file of certificates. Without this check, the driver would skip what it cannot
/// read, and then trust nothing.
fn certificates(pem: &Pem, what: &str) -> Result<Vec<u8>> {
    let content = pem.read(what)?;
    let begin: &[u8] = b"-----BEGIN CERTIFICATE-----";
    if content.windows(begin.len()).any(|part| part == begin) {
        return Ok(content);
    }
    Err(config(format!("there is no certificate in PEM in {what}")))
}

/// A path for the driver, which takes only files, and the certificate and its key in one file.
fn path(pem: &Pem, content: &[u8], files: &mut Vec<TemporaryFile>) -> Result<PathBuf> {
    if let Pem::File(path) = pem {
        return Ok(path.clone());
    }
    let file = TemporaryFile::new(content).map_err(|error| {
        config("a file for the driver, with certificates and key, cannot be made in the directory for temporary files")
            .with_source(error)
    })?;
    let path = file.0.clone();
    files.push(file);
    Ok(path)
}

/// A file that this user alone can read. It is removed when this is dropped.
#[derive(Debug)]
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(content: &[u8]) -> io::Result<Self> {
        let name = format!("session-mongo-{:032x}.pem", rand::rng().random::<u128>());
        let path = std::env::temp_dir().join(name);
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path)?;
        let made = Self(path);
        file.write_all(content)?;
        Ok(made)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file::<&Path>(&self.0) {
            tracing::warn!(%error, "a temporary file with a certificate cannot be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";

    #[test]
    fn certificate_and_key_become_one_file_that_goes() {
        let settings = TlsSettings {
            roots: Some(Pem::Content(CERTIFICATE.to_vec())),
            certificate: Some(Pem::Content(CERTIFICATE.to_vec())),
            key: Some(Pem::Content(b"the key".to_vec())),
            ..TlsSettings::default()
        };
        let encryption = Encryption::new(TlsMode::VerifyFull, &settings).expect("valid");
        let Tls::Enabled(options) = &encryption.options else { panic!("it is enabled") };
        let both = options.cert_key_file_path.clone().expect("a file");
        let roots = options.ca_file_path.clone().expect("a file");
        assert_eq!(fs::read(&both).expect("readable"), [CERTIFICATE, b"\nthe key"].concat());
        #[cfg(unix)]
        {
            let mode =
                std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&both).expect("there").permissions());
            assert_eq!(mode & 0o077, 0, "others may read the key");
        }
        drop(encryption);
        assert!(!both.exists() && !roots.exists());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let roots =
            |pem: &[u8]| TlsSettings { roots: Some(Pem::Content(pem.to_vec())), ..TlsSettings::default() };
        for (mode, settings) in [
            (TlsMode::VerifyCa, TlsSettings::default()),
            (TlsMode::Prefer, TlsSettings::default()),
            (TlsMode::Disable, roots(CERTIFICATE)),
            (TlsMode::VerifyFull, roots(b"nothing")),
        ] {
            Encryption::new(mode, &settings).expect_err(mode.name());
        }
    }
}
