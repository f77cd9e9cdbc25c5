//! The server settings of a URL.

use std::time::Duration;

use session_backend::{Secret, UrlOption};
use session_core::Result;
use sqlx::postgres::PgConnectOptions;

use super::errors::config;
use crate::server::foreign::unsupported;

/// The options of any URL, except those that are ignored.
pub(super) const OF_SERVER: &str = "host, hostaddr, port, user, password, dbname, sslmode, sslrootcert, sslcert, sslkey, channel_binding, \
     application_name, options, connect_timeout, target_session_attrs, statement-cache-capacity, pgbouncer";

/// The server settings of a URL.
#[derive(Default)]
pub(super) struct Server {
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) database: Option<String>,
    pub(super) application: Option<String>,
    pub(super) start: Vec<String>,
    pub(super) settings: Vec<(String, String)>,
    pub(super) statements: Option<usize>,
    pub(super) connect_timeout: Option<Duration>,
    /// The option by which the server must prove more than that it was reached.
    pub(super) proof: Option<&'static str>,
}

pub(super) fn only_one_server() -> session_core::Error {
    config(
        "the URL names several servers, and a store has one: name the primary, or an address that leads to it",
    )
}

impl Server {
    /// Applies an option about the server; returns false if it is not one.
    pub(super) fn set(&mut self, option: &UrlOption, is_replica: bool) -> Result<bool> {
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
                self.application = self.application.take().or_else(|| Some(text()));
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
            // The Java client. Zero is what is written for a pooler.
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

    /// The options of the driver.
    pub(super) fn options(&self) -> Result<PgConnectOptions> {
        let unset = PgConnectOptions::new_without_pgpass();
        let (host, port) = (self.host.as_deref(), self.port.unwrap_or(unset.get_port()));
        let socket = unset.get_socket().and_then(|path| path.to_str());
        let host = host.filter(|host| !host.is_empty()).or(socket).unwrap_or(unset.get_host());
        // Parsed from a URL without a secret: only from a URL does the driver use the password file
        // and raw `options`.
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
    text.bytes().fold(String::new(), |encoded, byte| encoded + &format!("%{byte:02X}"))
}

/// Accepts options of other clients and poolers that have no meaning here; returns false for any
/// other option.
pub(super) fn is_foreign(option: &UrlOption) -> bool {
    match option.name() {
        "sslnegotiation" if option.value() == "postgres" => {}
        "client_encoding" | "charset" | "encoding"
            if option.one_of(&[("utf8", ()), ("utf-8", ()), ("auto", ())]).is_ok() => {}
        name if IGNORED.contains(&name) => option.ignore(),
        _ => return false,
    }
    true
}

/// Options of libpq, other clients, their pools and some providers' URLs that have no meaning for
/// this store. None of them protects anything.
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
    // The driver requests encryption first, which every server that accepts a direct start of TLS
    // understands as well.
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
