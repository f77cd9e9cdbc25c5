use session_backend::{ServerUrl, TlsMode, TlsSettings, UrlOption};
use session_core::Result;
use sqlx::postgres::PgConnectOptions;

use super::{
    builder::{PostgresStoreBuilder, SynchronousCommit},
    errors::config,
    target::{OF_SERVER, Server, is_foreign, only_one_server},
};
use crate::server::{
    DriverOptions, Endpoint, Settings,
    foreign::{on_is, set_tls_file, unsupported, verify_named_roots},
};

const EXAMPLE: &str = "postgres://user:password@host/database";

/// Parses the URL of a store. Its options override those of the builder.
pub(super) fn parse(url: &str, builder: &mut PostgresStoreBuilder) -> Result<Endpoint<PgConnectOptions>> {
    let tls = builder.settings().tls.clone();
    read(url, tls, false, |option| of_store(option, builder))
}

/// Parses the URL of a replica, which takes the options about the server.
pub(super) fn parse_replica(url: &str, tls: TlsSettings) -> Result<Endpoint<PgConnectOptions>> {
    read(url, tls, true, |_| Ok(false))
}

/// Applies an option of the store; returns false if it is not one.
fn of_store(option: &UrlOption, builder: &mut PostgresStoreBuilder) -> Result<bool> {
    let set = std::mem::take(builder);
    *builder = match option.name() {
        "table" => set.table(option.value()),
        "schema" | "currentSchema" => set.schema(option.value()),
        "synchronous_commit" => set.synchronous_commit(option.one_of(&SynchronousCommit::ALL)?),
        "unlogged" => set.unlogged(option.switch()?),
        _ => {
            *builder = set;
            return builder.settings().set(option);
        }
    };
    Ok(true)
}

fn read(
    url: &str,
    mut tls: TlsSettings,
    is_replica: bool,
    mut of_store: impl FnMut(&UrlOption) -> Result<bool>,
) -> Result<Endpoint<PgConnectOptions>> {
    let url = ServerUrl::parse(url, EXAMPLE)?;
    if url.scheme != "postgres" && url.scheme != "postgresql" {
        let scheme = url.scheme;
        return Err(config(format!(
            "the scheme {scheme:?} is not known here; `postgres` and `postgresql` are"
        )));
    }
    let mut server = Server { user: url.user, password: url.password, ..Server::default() };
    server.database = Some(url.path).filter(|name| !name.is_empty());
    let mut hosts = url.hosts.into_iter();
    if let Some(host) = hosts.next() {
        (server.host, server.port) = (Some(host.name), host.port);
    }
    if hosts.next().is_some() {
        return Err(only_one_server());
    }
    for option in &url.options {
        let known = of_store(option)?
            || tls.set(option)?
            || set_tls(&mut tls, option)?
            || server.set(option, is_replica)?
            || is_foreign(option);
        if !known {
            let of_store = if is_replica {
                String::new()
            } else {
                format!("table, schema, {}, synchronous_commit, unlogged, ", Settings::OPTIONS)
            };
            return Err(option.unknown(&format!("{of_store}{}, {OF_SERVER}", TlsSettings::OPTIONS)));
        }
    }
    let options = server.options()?;
    // The value of PGSSLMODE. `Prefer` is the driver's default without it, and says nothing.
    let of_environment = options.tls_mode();
    if tls.mode.is_none() && of_environment != TlsMode::Prefer {
        tls.mode = Some(of_environment);
    }
    verify_named_roots(&mut tls);
    if let Some(proof) = server.proof {
        prove(proof, &options, &mut tls)?;
    }
    Ok(Endpoint { options, tls: Some(tls), connect_timeout: server.connect_timeout })
}

/// Applies a TLS option, by the names of libpq and other clients; returns false if it is not one.
fn set_tls(tls: &mut TlsSettings, option: &UrlOption) -> Result<bool> {
    let modes = TlsMode::NAMES.into_iter();
    // The last is an addition of the Node.js client.
    let modes = modes.chain([("allow", TlsMode::Prefer), ("no-verify", TlsMode::Require)]);
    let mode = match option.name() {
        // The Java, Python and Node.js clients.
        "ssl" if option.switch().is_ok() => on_is(option, TlsMode::VerifyFull)?,
        "sslmode" | "ssl-mode" | "ssl_mode" | "ssl" => option.one_of(&modes.collect::<Vec<_>>())?,
        "requiressl" => on_is(option, TlsMode::Require)?,
        // Prisma.
        "sslaccept" => {
            option.one_of(&[("strict", TlsMode::VerifyFull), ("accept_invalid_certs", TlsMode::Require)])?
        }
        // None of these is above the lowest protocol version that the driver accepts.
        "ssl_min_protocol_version" => {
            return option.one_of(&[("TLSv1", true), ("TLSv1.1", true), ("TLSv1.2", true)]);
        }
        "sslcrl" | "sslcrldir" => return Err(unsupported("sslcrl", "end certificates by a new authority")),
        "sslpassword" | "sslidentity" => {
            return Err(unsupported(
                option.name(),
                "name a key that is not encrypted, and its certificate: tls_key, tls_cert",
            ));
        }
        _ => return Ok(set_tls_file(tls, option)),
    };
    tls.mode = Some(mode);
    Ok(true)
}

/// Replaces a proof that libpq can ask of the server, none of which the driver knows. A verified
/// certificate keeps an impostor away as well. On this machine, there is no network path on which
/// an impostor could be.
fn prove(option: &'static str, options: &PgConnectOptions, tls: &mut TlsSettings) -> Result<()> {
    if options.is_local() {
        tracing::warn!(
            option,
            "an option of the URL has no meaning for a server on this machine and is ignored"
        );
        return Ok(());
    }
    match tls.mode {
        Some(TlsMode::Disable | TlsMode::Prefer) => {
            return Err(unsupported(
                option,
                "set tls=verify-full, which proves the server by its certificate",
            ));
        }
        None | Some(TlsMode::VerifyFull) => {}
        Some(_) => tracing::warn!(
            option,
            "this store proves the server by its certificate instead: the mode of TLS is verify-full"
        ),
    }
    tls.mode = Some(TlsMode::VerifyFull);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::{PostgresStore, server::Connector};

    /// The `Debug` output of what the URL comes to, or of the error.
    fn opened(url: &str) -> Result<String, String> {
        let endpoint = parse(url, &mut PostgresStore::builder()).map_err(|error| format!("{error:?}"))?;
        let connector: session_core::Result<Connector<_>> = endpoint.connector(None);
        connector.map(|connector| format!("{connector:?}")).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn off_this_machine_the_server_is_verified() {
        let base = "postgres://app:SECRET@db.example/app";
        for (options, mode) in [
            ("", "VerifyFull"),
            ("?tls=verify-full", "VerifyFull"),
            ("?ssl=true", "VerifyFull"),
            ("?sslrootcert=system", "VerifyFull"),
            ("?sslmode=require", "Require"),
            ("?ssl=no-verify", "Require"),
            // As Neon writes it.
            ("?sslmode=require&channel_binding=require", "VerifyFull"),
            ("?channel_binding=require", "VerifyFull"),
            ("?require_auth=scram-sha-256", "VerifyFull"),
        ] {
            let shown = opened(&format!("{base}{options}"));
            match shown {
                Ok(shown) => {
                    assert!(cfg!(feature = "tls") && shown.contains(mode), "{options}: {shown}");
                    assert!(!shown.contains("SECRET"), "{shown}");
                }
                Err(error) => {
                    assert!(
                        !cfg!(feature = "tls")
                            && error.contains("feature `tls` of session-sql")
                            && error.contains("tls=disable"),
                        "{error}"
                    );
                    assert!(!error.contains("SECRET"), "{error}");
                }
            }
        }
        for options in ["?tls=disable", "?sslmode=disable", "?ssl=false"] {
            assert!(opened(&format!("{base}{options}")).expect(options).contains("Disable"), "{options}");
        }
        for mode in ["disable", "allow", "prefer"] {
            let error = opened(&format!("{base}?channel_binding=require&sslmode={mode}"));
            assert!(error.expect_err(mode).contains("verify-full"), "{mode}");
        }
    }

    #[test]
    fn on_this_machine_plain_text_is_the_rule() {
        for url in [
            "postgres://app@localhost/app",
            "postgres://app@127.0.0.1:6432/app?channel_binding=require",
            "postgres://app@[::1]/app",
            "postgres://app@%2Fvar%2Frun%2Fpostgresql/app?sslmode=verify-full",
            "postgres:///app?host=/var/run/postgresql&sslmode=require",
        ] {
            assert!(opened(url).expect(url).contains("Disable"), "{url}");
        }
    }

    #[test]
    fn the_parts_reach_the_driver() {
        let url = "postgres://us%40er:p%2Fw@h%2Eexample:6000/a%20b?application_name=w%26b&options=endpoint%3Dx&tls=disable";
        let options = parse(url, &mut PostgresStore::builder()).expect("it is right").options;
        assert_eq!((options.get_host(), options.get_port()), ("h.example", 6000));
        assert_eq!((options.get_username(), options.get_database()), ("us@er", Some("a b")));
        assert_eq!(options.get_application_name(), Some("w&b"));
        assert_eq!(options.get_options(), Some("endpoint=x"));
        assert!(format!("{options:?}").contains("p/w"), "the driver needs the password");
    }
}
