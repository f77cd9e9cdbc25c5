//! Encrypted connections to servers, and what their certificates must prove.

mod support;

use std::{process::ExitCode, sync::Arc};

use session_core::{Error, ErrorKind, SessionStore};
use session_sql::{MySqlStore, PostgresStore, TlsMode};
use support::{
    lab::{self, Kind, Lab, case, on_both, refusal, serves},
    tls::{self, Authority, Identity},
};

/// The URL with the host name of the certificate, for a user that the server accepts over TLS
/// alone.
async fn secured(lab: &Lab) -> String {
    lab.make_user("app", "geheim", "scram-sha-256").await;
    if lab.kind == Kind::MariaDb {
        lab.run("ALTER USER app REQUIRE SSL").await;
    }
    lab.url_of("app:geheim").replacen("127.0.0.1", "localhost", 1)
}

/// Returns true if all connections of the user of [`secured`] are encrypted. On `MariaDB`, that
/// user has no others.
async fn is_encrypted(lab: &Lab) -> bool {
    lab.kind == Kind::MariaDb
        || lab
            .number("SELECT count(*) FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE usename = 'app' AND NOT ssl")
            .await
            == 0
}

fn file(directory: &tempfile::TempDir, name: &str, pem: &str) -> String {
    let path = directory.path().join(name);
    std::fs::write(&path, pem).expect("a file");
    path.display().to_string()
}

fn says(error: &Error, words: &str) {
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert!(error.to_string().contains(words), "{error:?}");
}

async fn a_verified_server_is_used(kind: Kind) {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().expect("a directory"));
    let lab = tls::start(kind, &authority, &authority.issue("localhost")).await;
    let url = secured(&lab).await;
    let roots = file(&directory, "roots.pem", &authority.pem());
    let theirs = match kind {
        Kind::Postgres => format!("sslmode=verify-full&sslrootcert={roots}"),
        Kind::MariaDb => format!("ssl-mode=VERIFY_IDENTITY&ssl-ca={roots}"),
    };
    for options in [format!("tls=verify-full&tls_roots={roots}"), format!("tls_roots={roots}"), theirs] {
        let store = lab.try_open(&format!("{url}?{options}")).await.expect("it opens");
        serves(&*store).await;
        assert!(is_encrypted(&lab).await, "{options}");
    }
    let store: Arc<dyn SessionStore> = match kind {
        Kind::Postgres => {
            let builder = PostgresStore::builder().tls(TlsMode::VerifyFull).tls_roots(authority.pem());
            Arc::new(builder.connect(&url).await.expect("it opens"))
        }
        Kind::MariaDb => {
            let builder = MySqlStore::builder().tls(TlsMode::VerifyFull).tls_roots(authority.pem());
            Arc::new(builder.connect(&url).await.expect("it opens"))
        }
    };
    serves(&*store).await;
    // The address is not in the certificate.
    let url = url.replacen("localhost", "127.0.0.1", 1);
    says(&refusal(&lab, &format!("{url}?tls_roots={roots}")).await, "another host");
    // The certificate is of another authority.
    let strange = file(&directory, "strange.pem", &Authority::new().pem());
    let url = url.replacen("127.0.0.1", "localhost", 1);
    says(&refusal(&lab, &format!("{url}?tls_roots={strange}")).await, "not trusted");
    says(&refusal(&lab, &format!("{url}?tls=verify-full")).await, "not trusted");
}

async fn encryption_without_proof_has_to_be_asked_for(kind: Kind) {
    let authority = Authority::new();
    let lab = tls::start(kind, &authority, &authority.itself()).await;
    let url = secured(&lab).await;
    let theirs = if kind == Kind::Postgres { "sslmode=require" } else { "ssl-mode=REQUIRED" };
    for options in ["tls=require", theirs] {
        let store = lab.try_open(&format!("{url}?{options}")).await.expect("it opens");
        serves(&*store).await;
        assert!(is_encrypted(&lab).await, "{options}");
    }
    // A certificate made by `openssl req -x509` is that of an authority, even if it is trusted
    // itself.
    let directory = tempfile::tempdir().expect("a directory");
    let roots = file(&directory, "roots.pem", &authority.pem());
    says(&refusal(&lab, &format!("{url}?tls_roots={roots}")).await, "CA:FALSE");
    // With an authority to trust, `require` verifies the server, as in libpq.
    says(&refusal(&lab, &format!("{url}?tls=require&tls_roots={roots}")).await, "");
    says(&refusal(&lab, &format!("{url}?tls=prefer&tls_roots={roots}")).await, "verifies nothing");
}

async fn a_server_without_tls_is_refused(kind: Kind) {
    let args = if kind == Kind::MariaDb { &["--skip-ssl"][..] } else { &[] };
    let lab = Lab::start(kind, args).await;
    for mode in ["require", "verify-full"] {
        says(&refusal(&lab, &format!("{}?tls={mode}", lab.url)).await, "offers no TLS");
    }
    for mode in ["disable", "prefer"] {
        serves(&*lab.open(&format!("tls={mode}")).await).await;
    }
}

async fn a_client_shows_its_certificate(kind: Kind) {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().expect("a directory"));
    let lab = tls::start(kind, &authority, &authority.issue("localhost")).await;
    lab.make_user("app", "geheim", "cert").await;
    let url = lab.url_of("app:geheim").replacen("127.0.0.1", "localhost", 1);
    let roots = file(&directory, "roots.pem", &authority.pem());
    let Identity { certificate, key } = authority.issue("app");
    let certificate = file(&directory, "app.pem", &certificate);
    let key = file(&directory, "app.key", &key);
    let without = refusal(&lab, &format!("{url}?tls_roots={roots}")).await;
    assert_eq!(without.kind(), ErrorKind::Config, "{without:?}");
    let with = format!("{url}?tls_roots={roots}&tls_cert={certificate}&tls_key={key}");
    serves(&*lab.try_open(&with).await.expect("it opens")).await;
    says(&refusal(&lab, &format!("{url}?tls_cert={certificate}")).await, "tls_key");
    says(&refusal(&lab, &format!("{url}?tls_roots={key}")).await, "no certificate");
    says(&refusal(&lab, &format!("{url}?tls_roots={roots}.missing")).await, "cannot be read");
}

/// The other modes install nothing for the process, and the one mode that needs it says so.
async fn cryptography_is_the_applications_to_install(_: Kind) {
    let (authority, directory) = (Authority::new(), tempfile::tempdir().expect("a directory"));
    let roots = file(&directory, "roots.pem", &authority.pem());
    let identity = authority.issue("another.example");
    let labs = [
        tls::start(Kind::Postgres, &authority, &identity).await,
        tls::start(Kind::MariaDb, &authority, &identity).await,
    ];
    for lab in &labs {
        serves(&*lab.open("tls=require").await).await;
        says(&refusal(lab, &format!("{}?tls=verify-ca&tls_roots={roots}", lab.url)).await, "install_default");
    }
    rustls::crypto::ring::default_provider().install_default().expect("nothing was installed");
    for lab in &labs {
        serves(&*lab.open(&format!("tls=verify-ca&tls_roots={roots}")).await).await;
        says(&refusal(lab, &format!("{}?tls=verify-ca", lab.url)).await, "not trusted");
    }
}

fn main() -> ExitCode {
    let mut cases = on_both![
        a_client_shows_its_certificate,
        a_server_without_tls_is_refused,
        a_verified_server_is_used,
        encryption_without_proof_has_to_be_asked_for,
    ];
    cases.push(case(
        "cryptography_is_the_applications_to_install",
        Kind::Postgres,
        cryptography_is_the_applications_to_install,
    ));
    lab::main(cases)
}
