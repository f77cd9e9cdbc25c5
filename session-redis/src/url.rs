use std::{path::PathBuf, time::Duration};

use session_batch::BatchSettings;
use session_core::Result;

use crate::{address::Address, builder::RedisStoreBuilder, errors::config, settings::Place};

/// What may stand behind the `?`.
const OPTIONS: &str = "db, user, password, namespace, connections, deadline_ms, connect_timeout_ms, silence_ms, resends, \
                       max_data_len, batching, in_flight";

const SCHEMES: &str =
    "redis, rediss, redis+unix, redis+sentinel, rediss+sentinel, redis+cluster and rediss+cluster";

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26_379;

/// Reads a URL, whose options overrule those of the builder. Nothing of it is repeated in an error that could be a password.
pub(crate) fn parse(url: &str, mut builder: RedisStoreBuilder) -> Result<(Place, RedisStoreBuilder)> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(config("this is not a URL; one looks like `redis://localhost:6379`"));
    };
    let (secure, kind) = match scheme.split_once('+').unwrap_or((scheme, "")) {
        ("redis", kind) => (false, kind),
        ("rediss", kind) if kind != "unix" => (true, kind),
        _ => return Err(unknown_scheme(scheme)),
    };
    builder.settings.tls.on = secure;
    let (rest, fragment) = rest.split_once('#').map_or((rest, None), |(rest, after)| (rest, Some(after)));
    if fragment.is_some() {
        return Err(config("a URL of a server has no `#`; in a password, `%23` stands for it"));
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let place = if kind == "unix" {
        let path = decoded(rest)?;
        if !path.starts_with('/') {
            return Err(config("a `redis+unix` URL names a path, as in `redis+unix:///run/redis.sock`"));
        }
        Place::Server(Address::Unix(PathBuf::from(path)))
    } else {
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let hosts = match authority.rsplit_once('@') {
            None => authority,
            Some((login, hosts)) => {
                builder = with_login(login, builder)?;
                hosts
            }
        };
        match kind {
            "" => {
                let [host] = &hosts.split(',').collect::<Vec<_>>()[..] else {
                    return Err(config(format!("the URL names several servers; {SCHEMES} are the schemes")));
                };
                builder = with_database(path, builder)?;
                Place::Server(Address::parse(&decoded(host)?, PORT)?)
            }
            "sentinel" => {
                let (service, database) = path.split_once('/').unwrap_or((path, ""));
                if service.is_empty() {
                    return Err(config(
                        "the URL names no service; it is in the path, as in `redis+sentinel://host:26379/mymaster`",
                    ));
                }
                builder = with_database(database, builder)?;
                Place::Sentinel { sentinels: addresses(hosts, SENTINEL_PORT)?, service: decoded(service)? }
            }
            "cluster" => {
                builder = with_database(path, builder)?;
                Place::Cluster(addresses(hosts, PORT)?)
            }
            _ => return Err(unknown_scheme(scheme)),
        }
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        builder = with_option(name, &decoded(value)?, builder)?;
    }
    Ok((place, builder))
}

fn unknown_scheme(scheme: &str) -> session_core::Error {
    // What comes after may hold a password.
    let scheme: String = scheme.chars().take(32).collect();
    config(format!("the scheme {scheme:?} is not known; {SCHEMES} are"))
}

fn addresses(hosts: &str, port: u16) -> Result<Vec<Address>> {
    hosts.split(',').map(|host| Address::parse(&decoded(host)?, port)).collect()
}

fn with_login(login: &str, builder: RedisStoreBuilder) -> Result<RedisStoreBuilder> {
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let builder = if user.is_empty() { builder } else { builder.user(decoded(user)?) };
    Ok(if password.is_empty() { builder } else { builder.password(decoded(password)?) })
}

fn with_database(path: &str, builder: RedisStoreBuilder) -> Result<RedisStoreBuilder> {
    if path.is_empty() {
        return Ok(builder);
    }
    let number = path.parse().map_err(|_| config(format!("the database {path:?} is not a number")))?;
    Ok(builder.database(number))
}

fn with_option(name: &str, value: &str, builder: RedisStoreBuilder) -> Result<RedisStoreBuilder> {
    let millis = || Ok::<_, session_core::Error>(Duration::from_millis(number(name, value)?));
    Ok(match name {
        "db" => builder.database(number(name, value)?),
        "user" => builder.user(value),
        "password" => builder.password(value),
        "namespace" => builder.namespace(value),
        "connections" => builder.connections(number(name, value)?),
        "deadline_ms" => builder.deadline(millis()?),
        "connect_timeout_ms" => builder.connect_timeout(millis()?),
        "silence_ms" => builder.silence(millis()?),
        "resends" => builder.resends(number(name, value)?),
        "max_data_len" => builder.max_data_len(number(name, value)?),
        "in_flight" => {
            let batches = number(name, value)?;
            let batching = builder.settings.batching.in_flight(batches);
            builder.batching(batching)
        }
        "batching" => match value {
            "on" => builder,
            "off" => builder.batching(BatchSettings::off()),
            _ => {
                return Err(config(format!(
                    "the option batching={value} is not known; batching=on or batching=off is"
                )));
            }
        },
        _ => return Err(config(format!("the option {name:?} is not known; these are: {OPTIONS}"))),
    })
}

fn number<N: std::str::FromStr>(name: &str, value: &str) -> Result<N> {
    value.parse().map_err(|_| config(format!("the option {name}={value} is not a whole number in its range")))
}

/// The text with `%` and two hexadecimal digits replaced by the byte that they stand for.
fn decoded(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        rest = match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(16 * high + low).unwrap_or_default());
                &after[2..]
            }
            (b'%', ..) => {
                return Err(config(
                    "a `%` in the URL must be followed by two hexadecimal digits; `%25` stands for itself",
                ));
            }
            _ => {
                bytes.push(*first);
                after
            }
        };
    }
    String::from_utf8(bytes).map_err(|error| config("the URL is not UTF-8").with_source(error))
}
