use std::time::Duration;

use session_backend::{Secret, ServerUrl, TlsMode, TlsSettings, UrlOption};
use session_core::Result;
use sqlx::postgres::PgConnectOptions;

use super::{
    builder::{PostgresStoreBuilder, SynchronousCommit},
    errors::config,
};
use crate::server::{
    DriverOptions, Endpoint, Settings,
    foreign::{on_is, set_tls_file, unsupported, verify_named_roots},
};

const EXAMPLE: &str = "postgres://user:password@host/database";

/// What may stand behind the `?` of any URL, beside what is ignored.
const OF_SERVER: &str = "host, hostaddr, port, user, password, dbname, sslmode, sslrootcert, sslcert, sslkey, channel_binding, \
     application_name, options, connect_timeout, target_session_attrs, statement-cache-capacity, pgbouncer";

/// Reads the URL of a store, whose options overrule those of the builder.
pub(super) fn parse(url: &str, builder: &mut PostgresStoreBuilder) -> Result<Endpoint<PgConnectOptions>> {
    let tls = builder.settings().tls.clone();
    read(url, tls, false, |option| of_store(option, builder))
}

/// Reads the URL of a replica, which takes what is about the server.
pub(super) fn parse_replica(url: &str, tls: TlsSettings) -> Result<Endpoint<PgConnectOptions>> {
    read(url, tls, true, |_| Ok(false))
}

/// Takes an option of the store over; `false` if it is none.
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

/// What a URL says of its server.
#[derive(Default)]
struct Server {
    host: Option<String>,
    port: Option<u16>,
    user: Option<String>,
    password: Option<Secret>,
    database: Option<String>,
    application: Option<String>,
    start: Vec<String>,
    settings: Vec<(String, String)>,
    statements: Option<usize>,
    connect_timeout: Option<Duration>,
    /// The option by which the server must prove more than that it has been reached.
    proof: Option<&'static str>,
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
            || server.set_foreign(option)?;
        if !known {
            let of_store = if is_replica {
                String::new()
            } else {
                format!("table, schema, {}, synchronous_commit, unlogged, ", Settings::OPTIONS)
            };
            return Err(option.unknown(&format!("{of_store}{}, {OF_SERVER}", TlsSettings::OPTIONS)));
        }
    }
    verify_named_roots(&mut tls);
    let options = server.options()?;
    if let Some(proof) = server.proof {
        prove(proof, &options, &mut tls)?;
    }
    Ok(Endpoint { options, tls: Some(tls), connect_timeout: server.connect_timeout })
}

fn only_one_server() -> session_core::Error {
    config(
        "the URL names several servers, and a store has one: name the primary, or an address that leads to it",
    )
}

/// Takes an option about TLS over, as libpq and other clients call it; `false` if it is none.
fn set_tls(tls: &mut TlsSettings, option: &UrlOption) -> Result<bool> {
    let modes = TlsMode::NAMES.into_iter();
    // The last is what the client of Node.js adds.
    let modes = modes.chain([("allow", TlsMode::Prefer), ("no-verify", TlsMode::Require)]);
    let mode = match option.name() {
        "sslmode" | "ssl-mode" | "ssl_mode" => option.one_of(&modes.collect::<Vec<_>>())?,
        // The clients of Java, Python and Node.js.
        "ssl" if option.switch().is_ok() => on_is(option, TlsMode::VerifyFull)?,
        "ssl" => option.one_of(&modes.collect::<Vec<_>>())?,
        "requiressl" => on_is(option, TlsMode::Require)?,
        // Prisma.
        "sslaccept" => {
            option.one_of(&[("strict", TlsMode::VerifyFull), ("accept_invalid_certs", TlsMode::Require)])?
        }
        // Of no protocol below what the driver takes.
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

/// The driver knows none of the proofs that libpq can ask the server for. A verified certificate keeps an impostor away as well; on this
/// machine there is no way on which one could be.
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

impl Server {
    /// Takes an option about the server over; `false` if it is none.
    fn set(&mut self, option: &UrlOption, is_replica: bool) -> Result<bool> {
        let text = || option.value().to_owned();
        match option.name() {
            "host" | "hostaddr" if option.value().contains(',') => return Err(only_one_server()),
            "host" => self.host = Some(text()),
            "hostaddr" => match option.value().parse::<std::net::IpAddr>() {
                Ok(address) => self.host = Some(address.to_string()),
                Err(_) => return Err(option.refused("an IP address")),
            },
            "port" => self.port = Some(option.number()?),
            "user" => self.user = Some(text()),
            "password" => self.password = Some(Secret::from(text())),
            "dbname" => self.database = Some(text()),
            "application_name" | "ApplicationName" => self.application = Some(text()),
            "fallback_application_name" => {
                self.application = self.application.take().or_else(|| Some(text()))
            }
            "options" => self.start.push(text()),
            "connect_timeout" | "connectTimeout" | "loginTimeout" => {
                self.connect_timeout = match option.limit() {
                    Ok(seconds) => seconds.map(Duration::from_secs),
                    Err(_) => return Err(option.refused("a whole number of seconds, or 0 or off for none")),
                };
            }
            "statement-cache-capacity"
            | "statement_cache_capacity"
            | "statement_cache_size"
            | "prepared_statement_cache_size" => self.statements = Some(option.number()?),
            "pgbouncer" => {
                if option.switch()? {
                    self.statements = self.statements.or(Some(0));
                }
            }
            "prepared_statements" => {
                if !option.switch()? {
                    self.statements = Some(0);
                }
            }
            // Of the client of Java; zero is what is written for a pooler.
            "prepareThreshold" if option.value() == "0" => self.statements = Some(0),
            "target_session_attrs" | "targetServerType" => {
                let roles = ["any", "read-write", "primary", "master"].map(|role| (role, true));
                let of_replica = ["standby", "prefer-standby", "read-only", "secondary", "preferSecondary"];
                let of_replica = of_replica.map(|role| (role, is_replica));
                if !option.one_of(&[&roles[..], &of_replica[..]].concat())? {
                    return Err(option.refused("any, read-write or primary; the builder takes a replica"));
                }
            }
            "channel_binding" => {
                if option.one_of(&[("disable", false), ("prefer", false), ("require", true)])? {
                    self.proof = Some("channel_binding");
                }
            }
            "require_auth" => self.proof = Some("require_auth"),
            "gssencmode" => {
                if option.one_of(&[("disable", false), ("prefer", false), ("require", true)])? {
                    return Err(unsupported("gssencmode", "set tls=verify-full"));
                }
            }
            "requirepeer" => {
                return Err(unsupported("requirepeer", "let the directory of the socket be the server's"));
            }
            "passfile" => return Err(unsupported("passfile", "set the environment variable PGPASSFILE")),
            name => match name.strip_prefix("options[").and_then(|name| name.strip_suffix(']')) {
                Some(setting) => self.settings.push((setting.to_owned(), text())),
                None => return Ok(false),
            },
        }
        Ok(true)
    }

    /// Looks over what other clients and poolers know, and what has no meaning here; `false` if it is none of that.
    fn set_foreign(&self, option: &UrlOption) -> Result<bool> {
        match option.name() {
            "sslnegotiation" if option.value() == "postgres" => {}
            "client_encoding" | "charset" | "encoding"
                if option.one_of(&[("utf8", ()), ("utf-8", ()), ("auto", ())]).is_ok() => {}
            name if IGNORED.contains(&name) => option.ignore(),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The options of the driver.
    fn options(&self) -> Result<PgConnectOptions> {
        let unset = PgConnectOptions::new_without_pgpass();
        let (host, port) = (self.host.as_deref(), self.port.unwrap_or(unset.get_port()));
        let socket = unset.get_socket().and_then(|path| path.to_str());
        let host = host.filter(|host| !host.is_empty()).or(socket).unwrap_or(unset.get_host());
        // By a URL without a secret, because only from one does the driver take the file of passwords and what is raw in `options`.
        let mut url = format!("postgres:///?host={}&port={port}", encoded(host));
        let user = self.user.iter().map(|user| ("user", user));
        let database = self.database.iter().map(|database| ("dbname", database));
        let start = self.start.iter().map(|start| ("options", start));
        for (name, value) in user.chain(database).chain(start) {
            url.extend(["&", name, "=", &encoded(value)]);
        }
        let options = url.parse::<PgConnectOptions>();
        let mut options =
            options.map_err(|_| config("the driver cannot use the host or the user of the URL"))?;
        if let Some(password) = &self.password {
            options = options.password(password.expose());
        }
        if let Some(application) = &self.application {
            options = options.application_name(application);
        }
        if let Some(statements) = self.statements {
            options = options.statement_cache_capacity(statements);
        }
        if self.settings.is_empty() {
            return Ok(options);
        }
        Ok(options.options(self.settings.iter().map(|(name, value)| (name, value))))
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// What libpq, other clients, their pools and some providers' URLs know, and has no meaning for this store. None of it protects
/// anything.
const IGNORED: [&str; 48] = [
    // Of libpq.
    "gssdelegation",
    "gsslib",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "ssl_max_protocol_version",
    "sslcertmode",
    "sslcompression",
    // The driver asks for encryption first, which every server that takes a direct one understands, too.
    "sslnegotiation",
    "sslsni",
    "tcp_user_timeout",
    // Of other clients.
    "binaryTransfer",
    "binary_parameters",
    "charset",
    "client_encoding",
    "command_timeout",
    "encoding",
    "idle_in_transaction_session_timeout",
    "lock_timeout",
    "prepareThreshold",
    "query_timeout",
    "reWriteBatchedInserts",
    "socketTimeout",
    "socket_timeout",
    "statement_timeout",
    "tcpKeepAlive",
    "timezone",
    "uselibpqcompat",
    // Of their pools.
    "idle_timeout",
    "max_connection_lifetime",
    "max_conn_lifetime",
    "max_idle_connection_lifetime",
    "max_overflow",
    "min_connections",
    "pool_health_check_period",
    "pool_max_conn_idle_time",
    "pool_max_conn_lifetime",
    "pool_min_conns",
    "pool_mode",
    "pool_pre_ping",
    "pool_recycle",
    "pool_timeout",
    "pooler",
    // Of providers.
    "supa",
    "workaround",
];

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::{PostgresStore, server::Connector};

    /// What the URL comes to, as far as `Debug` shows it, or the error.
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
                    assert!(!cfg!(feature = "tls"), "{options}: {error}");
                    assert!(
                        error.contains("feature `tls` of session-sql") && error.contains("tls=disable"),
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
