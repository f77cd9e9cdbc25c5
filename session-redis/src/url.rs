use std::path::PathBuf;

use session_backend::BatchSettings;
use session_backend::{Host, ServerUrl, TlsMode, UrlOption};
use session_core::Result;

use crate::{
    address::Address, builder::RedisStoreBuilder, errors::config, foreign_options::ForeignOptions,
    settings::Place,
};

/// The options that may follow the `?`.
const OPTIONS: &str = "db, user, password, namespace, connections, deadline_ms, connect_timeout_ms, keepalive_ms, max_retries, \
                       max_data_len, batching, max_in_flight, client_name, tls, tls_roots, tls_cert, tls_key";

const SCHEMES: &str = "redis, rediss, redis+unix, redis+sentinel, rediss+sentinel, redis+cluster and rediss+cluster, and the same with valkey";

const EXAMPLE: &str = "redis://user:password@localhost:6379/0";

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26_379;

/// Parses a URL. Its options overrule those of the builder.
pub(crate) fn parse(text: &str, mut builder: RedisStoreBuilder) -> Result<(Place, RedisStoreBuilder)> {
    let url = ServerUrl::parse(text, EXAMPLE)?;
    let (protocol, kind) = url.scheme.split_once('+').unwrap_or((&url.scheme, ""));
    let mode = match protocol {
        "redis" | "valkey" => TlsMode::Disable,
        "rediss" | "valkeys" if kind != "unix" => TlsMode::VerifyFull,
        _ => return Err(unknown_scheme(&url.scheme)),
    };
    builder.settings.scheme = Some(mode);
    let login = &mut builder.settings.login;
    login.user = url.user.or(login.user.take());
    login.password = url.password.or(login.password.take());
    let mut database = url.path.as_str();
    let place = match kind {
        "unix" => {
            database = "";
            if !url.hosts.is_empty() || url.path.is_empty() {
                return Err(config("a `redis+unix` URL names a path, as in `redis+unix:///run/redis.sock`"));
            }
            Place::Server(Address::Unix(PathBuf::from(format!("/{}", url.path))))
        }
        "" => match <[Host; 1]>::try_from(url.hosts) {
            Ok([host]) => Place::Server(Address::of(host, PORT)),
            Err(hosts) if hosts.is_empty() => return Err(no_host()),
            Err(_) => {
                return Err(config(format!("the URL names several servers; the schemes are {SCHEMES}")));
            }
        },
        "sentinel" => {
            let (service, behind) = url.path.split_once('/').unwrap_or((&url.path, ""));
            if service.is_empty() {
                return Err(config(
                    "the URL names no service; it is in the path, as in `redis+sentinel://host:26379/mymaster`",
                ));
            }
            database = behind;
            Place::Sentinel { sentinels: addresses(url.hosts, SENTINEL_PORT)?, service: service.to_owned() }
        }
        "cluster" => Place::Cluster(addresses(url.hosts, PORT)?),
        _ => return Err(unknown_scheme(&url.scheme)),
    };
    if !database.is_empty() {
        let number = database.parse();
        builder = builder.database(number.map_err(|_| {
            config("the path of the URL is the number of a database, and is not a number; one looks like `redis://localhost/3`")
        })?);
    }
    let mut foreign = ForeignOptions::new(mode);
    for option in &url.options {
        if !builder.settings.tls.set(option)? && !foreign.set(option, &mut builder)? {
            builder = with_option(option, builder)?;
        }
    }
    foreign.finish(&mut builder)?;
    Ok((place, builder))
}

fn unknown_scheme(scheme: &str) -> session_core::Error {
    config(format!("the scheme {scheme:?} is not known; these are: {SCHEMES}"))
}

fn no_host() -> session_core::Error {
    config(format!("the URL has no host; one looks like `{EXAMPLE}`"))
}

fn addresses(hosts: Vec<Host>, port: u16) -> Result<Vec<Address>> {
    if hosts.is_empty() {
        return Err(no_host());
    }
    Ok(hosts.into_iter().map(|host| Address::of(host, port)).collect())
}

fn with_option(option: &UrlOption, builder: RedisStoreBuilder) -> Result<RedisStoreBuilder> {
    Ok(match option.name() {
        "db" | "database" => builder.database(option.number()?),
        "user" | "username" => builder.user(option.value()),
        "password" => builder.password(option.value()),
        "namespace" => builder.namespace(option.value()),
        "connections" => match option.number()? {
            0 => return Err(option.refused("a whole number from 1 to 64")),
            number => builder.connections(number),
        },
        "deadline_ms" => builder.deadline(option.millis()?),
        "connect_timeout_ms" => builder.connect_timeout(option.millis()?),
        "keepalive_ms" => match option.interval_millis()? {
            Some(keepalive) => builder.keepalive(keepalive),
            None => builder.without_keepalive(),
        },
        // go-redis writes -1 for none.
        "max_retries" if option.value() == "-1" => builder.max_retries(0),
        "max_retries" => {
            let times = option.limit()?.unwrap_or(0);
            builder
                .max_retries(u32::try_from(times).map_err(|_| option.refused("a whole number in its range"))?)
        }
        "max_data_len" => {
            let most = option.limit()?.map_or(Ok(usize::MAX), usize::try_from);
            builder.max_data_len(most.map_err(|_| option.refused("a whole number in its range"))?)
        }
        "max_in_flight" => {
            // Off, or more than can be counted: no limit.
            let batches = option.limit()?.map_or(Ok(usize::MAX), usize::try_from).unwrap_or(usize::MAX);
            let batching = builder.settings.batching.max_in_flight(batches);
            builder.batching(batching)
        }
        "batching" if option.switch()? => builder,
        "batching" => builder.batching(BatchSettings::disabled()),
        "client_name" => builder.client_name(option.value()),
        _ => return Err(option.unknown(OPTIONS)),
    })
}
