use std::time::Duration;

use session_backend::{ServerUrl, TlsMode, TlsSettings, UrlOption};
use session_core::Result;
use sqlx::mysql::MySqlConnectOptions;

use super::{
    builder::{MySqlStoreBuilder, STATEMENTS},
    errors::config,
};
use crate::server::{
    Endpoint, Settings,
    foreign::{on_is, set_tls_file, unsupported, verify_named_roots},
};

const EXAMPLE: &str = "mysql://user:password@host/database";

/// The options of a URL about the server, except those that are ignored.
const OF_SERVER: &str = "socket, user, password, ssl-mode, ssl-ca, ssl-cert, ssl-key, charset, collation, connect_timeout, \
     statement-cache-capacity";

/// Parses a URL. Its options override those of the builder.
pub(super) fn parse(url: &str, builder: &mut MySqlStoreBuilder) -> Result<Endpoint<MySqlConnectOptions>> {
    let url = ServerUrl::parse(url, EXAMPLE)?;
    if url.scheme != "mysql" && url.scheme != "mariadb" {
        let scheme = url.scheme;
        return Err(config(format!("the scheme {scheme:?} is not known here; `mysql` and `mariadb` are")));
    }
    let mut server = Server {
        options: MySqlConnectOptions::new().statement_cache_capacity(STATEMENTS),
        tls: builder.settings().tls.clone(),
        connect_timeout: None,
    };
    let mut hosts = url.hosts.iter();
    if let Some(host) = hosts.next() {
        server.map(|options| {
            if host.name.starts_with('/') {
                options.socket(&host.name)
            } else {
                options.host(&host.name).port(host.port.unwrap_or(DEFAULT_PORT))
            }
        });
    }
    if hosts.next().is_some() {
        return Err(config(
            "the URL names several servers, and a store has one: name the primary, or an address that leads to it",
        ));
    }
    if let Some(user) = &url.user {
        server.map(|options| options.username(user));
    }
    if let Some(password) = &url.password {
        server.map(|options| options.password(password.expose()));
    }
    if !url.path.is_empty() {
        server.map(|options| options.database(&url.path));
    }
    for option in &url.options {
        let known = of_store(option, builder)?
            || server.set_tls(option)?
            || server.tls.set(option)?
            || server.set(option)?
            || is_foreign(option)?;
        if !known {
            let of_tls = TlsSettings::OPTIONS;
            return Err(
                option.unknown(&format!("table, schema, {}, {of_tls}, {OF_SERVER}", Settings::OPTIONS))
            );
        }
    }
    let Server { options, mut tls, connect_timeout } = server;
    verify_named_roots(&mut tls);
    Ok(Endpoint { options, tls: Some(tls), connect_timeout })
}

const DEFAULT_PORT: u16 = 3306;

/// Applies an option of the store; returns false if it is not one.
fn of_store(option: &UrlOption, builder: &mut MySqlStoreBuilder) -> Result<bool> {
    let set = std::mem::take(builder);
    *builder = match option.name() {
        "table" => set.table(option.value()),
        "schema" => set.schema(option.value()),
        _ => {
            *builder = set;
            return builder.settings().set(option);
        }
    };
    Ok(true)
}

/// The server settings of a URL.
struct Server {
    options: MySqlConnectOptions,
    tls: TlsSettings,
    connect_timeout: Option<Duration>,
}

impl Server {
    fn map(&mut self, change: impl FnOnce(MySqlConnectOptions) -> MySqlConnectOptions) {
        self.options = change(self.options.clone());
    }

    /// Applies a TLS option, by the names of other clients; returns false if it is not one.
    fn set_tls(&mut self, option: &UrlOption) -> Result<bool> {
        let mode = match option.name() {
            "sslmode" | "ssl-mode" | "ssl_mode" | "sslMode" => {
                let of_mysql = [
                    ("disabled", TlsMode::Disable),
                    ("preferred", TlsMode::Prefer),
                    ("required", TlsMode::Require),
                    ("verify_ca", TlsMode::VerifyCa),
                    ("verify_identity", TlsMode::VerifyFull),
                    // MariaDB's Java client.
                    ("trust", TlsMode::Require),
                ];
                option.one_of(&[&of_mysql[..], &TlsMode::NAMES[..]].concat())?
            }
            // The Go client. All other values are the store's own.
            "tls" if option.switch().is_ok() => on_is(option, TlsMode::VerifyFull)?,
            "tls" if option.value() == "skip-verify" => TlsMode::Require,
            "tls" if option.value() == "preferred" => TlsMode::Prefer,
            // The Node.js client, with its TLS settings as JSON.
            "ssl" if option.value().starts_with('{') => {
                let text: String = option.value().split_whitespace().collect();
                match &*text {
                    r#"{"rejectUnauthorized":true}"# => TlsMode::VerifyFull,
                    r#"{"rejectUnauthorized":false}"# => TlsMode::Require,
                    _ => return Err(option.refused("on, off or {\"rejectUnauthorized\":true}")),
                }
            }
            "ssl" => on_is(option, TlsMode::VerifyFull)?,
            // The Java clients.
            "useSSL" | "useSsl" | "requireSSL" => match self.tls.mode {
                Some(mode) if option.switch()? => mode,
                _ => on_is(option, TlsMode::Require)?,
            },
            "verifyServerCertificate" if option.switch()? => TlsMode::VerifyFull,
            "trustServerCertificate" if option.switch()? => TlsMode::Require,
            "verifyServerCertificate" | "trustServerCertificate" => return Ok(true),
            "enabledTLSProtocols" | "tlsVersions" | "enabledSslProtocolSuites" => {
                let mut versions = option.value().split(',').map(str::trim);
                if !versions.any(|version| version.eq_ignore_ascii_case("TLSv1.2")) {
                    return Err(option.refused("a list with TLSv1.2"));
                }
                return Ok(true);
            }
            // Prisma.
            "sslaccept" => option
                .one_of(&[("strict", TlsMode::VerifyFull), ("accept_invalid_certs", TlsMode::Require)])?,
            "sslpassword" | "sslidentity" => {
                return Err(unsupported(
                    option.name(),
                    "name a key that is not encrypted, and its certificate: tls_key, tls_cert",
                ));
            }
            _ => return Ok(set_tls_file(&mut self.tls, option)),
        };
        self.tls.mode = Some(mode);
        Ok(true)
    }

    /// Applies an option about the server; returns false if it is not one.
    fn set(&mut self, option: &UrlOption) -> Result<bool> {
        let value = option.value();
        let timeout = |unit: fn(u64) -> Duration, accepted: &str| {
            option.limit().map(|limit| limit.map(unit)).map_err(|_| option.refused(accepted))
        };
        match option.name() {
            "socket" | "unix_socket" | "unixSocket" | "localSocket" => {
                self.map(|options| options.socket(value));
            }
            "user" => self.map(|options| options.username(value)),
            "password" => self.map(|options| options.password(value)),
            "charset" => self.map(|options| options.charset(value)),
            "collation" | "connectionCollation" => self.map(|options| options.collation(value)),
            "statement-cache-capacity" | "statement_cache_capacity" => {
                let capacity = option.number()?;
                self.map(|options| options.statement_cache_capacity(capacity));
            }
            "connect_timeout" => {
                self.connect_timeout =
                    timeout(Duration::from_secs, "a whole number of seconds, or 0 or off for none")?;
            }
            "connectTimeout" => {
                self.connect_timeout =
                    timeout(Duration::from_millis, "a whole number of milliseconds, or 0 or off for none")?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Accepts options of other clients that have no meaning here; returns false for any other option.
fn is_foreign(option: &UrlOption) -> Result<bool> {
    let is_one_of = |values: &[&str]| values.iter().any(|value| value.eq_ignore_ascii_case(option.value()));
    match option.name() {
        // The store sets its connections to UTC, and to a character set that holds every character.
        "timezone" | "time-zone" | "time_zone" | "serverTimezone" | "connectionTimeZone"
            if is_one_of(&["UTC", "Z", "+00:00", "Etc/UTC", "GMT"]) => {}
        "characterEncoding" | "character_set" if is_one_of(&["UTF-8", "UTF8", "utf8mb4"]) => {}
        // The store exchanges no password by a key that the server sends.
        "allowPublicKeyRetrieval" if !option.switch()? => {}
        name if IGNORED.contains(&name) => option.ignore(),
        _ => return Ok(false),
    }
    Ok(true)
}

/// Options of other clients, their pools and some providers' URLs that have no meaning for this
/// store. None of them protects anything.
const IGNORED: [&str; 43] = [
    "acquireTimeout",
    "allowMultiQueries",
    "allowNativePasswords",
    "allowPublicKeyRetrieval",
    "autoReconnect",
    "cachePrepStmts",
    "character_set",
    "characterEncoding",
    "characterSetResults",
    "checkConnLiveness",
    "clientFoundRows",
    "connectionTimeZone",
    "interpolateParams",
    "jdbcCompliantTruncation",
    "loc",
    "max_connection_lifetime",
    "max_idle_connection_lifetime",
    "maxAllowedPacket",
    "max_overflow",
    "multiStatements",
    "nullCatalogMeansCurrent",
    "parseTime",
    "pool_pre_ping",
    "pool_recycle",
    "pool_timeout",
    "prepStmtCacheSize",
    "prepStmtCacheSqlLimit",
    "readTimeout",
    "rewriteBatchedStatements",
    "serverTimezone",
    "socketTimeout",
    "socket_timeout",
    "tcpKeepAlive",
    "time-zone",
    "time_zone",
    "timeout",
    "timezone",
    "tinyInt1isBit",
    "useCompression",
    "useServerPrepStmts",
    "useUnicode",
    "writeTimeout",
    "zeroDateTimeBehavior",
];

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::MySqlStore;

    /// The `Debug` output of what the URL comes to, or of the error.
    fn opened(url: &str) -> Result<String, String> {
        let endpoint = parse(url, &mut MySqlStore::builder()).map_err(|error| format!("{error:?}"))?;
        let connector = endpoint.connector(None);
        connector.map(|connector| format!("{connector:?}")).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn off_this_machine_the_server_is_verified() {
        let base = "mysql://app:SECRET@db.example/app";
        for (options, mode) in [
            ("", "VerifyFull"),
            ("?ssl-mode=VERIFY_IDENTITY", "VerifyFull"),
            ("?ssl={\"rejectUnauthorized\":true}", "VerifyFull"),
            ("?sslaccept=strict", "VerifyFull"),
            ("?tls=true", "VerifyFull"),
            ("?useSSL=true&verifyServerCertificate=true", "VerifyFull"),
            ("?verifyServerCertificate=true&useSSL=true", "VerifyFull"),
            ("?ssl-mode=REQUIRED", "Require"),
            ("?tls=skip-verify", "Require"),
            ("?useSSL=true&requireSSL=true", "Require"),
        ] {
            match opened(&format!("{base}{options}")) {
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
        for options in ["?tls=disable", "?tls=false", "?ssl-mode=DISABLED", "?useSSL=false", "?ssl=off"] {
            assert!(opened(&format!("{base}{options}")).expect(options).contains("Disable"), "{options}");
        }
        for local in
            ["mysql://app@localhost/app", "mysql://app@[::1]:33/app", "mysql://app@x/app?socket=/run/s"]
        {
            assert!(opened(local).expect(local).contains("Disable"), "{local}");
        }
    }

    #[test]
    fn the_parts_reach_the_driver() {
        let url = "mysql://us%40er:p%2Fw@h.example:6000/a%20b?collation=utf8mb4_bin&tls=disable";
        let options = parse(url, &mut MySqlStore::builder()).expect("it is right").options;
        assert_eq!((options.get_host(), options.get_port()), ("h.example", 6000));
        assert_eq!((options.get_username(), options.get_database()), ("us@er", Some("a b")));
        assert_eq!(options.get_collation(), Some("utf8mb4_bin"));
        assert!(format!("{options:?}").contains("p/w"), "the driver needs the password");
    }
}
