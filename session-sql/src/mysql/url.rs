use std::{str::FromStr, time::Duration};

use session_core::Result;
use sqlx::mysql::MySqlConnectOptions;

use super::{builder::MySqlStoreBuilder, errors::config};
use crate::query::{number, split};

/// What may stand behind the `?` beside what the driver knows.
const OPTIONS: &str =
    "table, schema, connections, deadline_ms, max_data_len, purge_interval_ms, batching, migrate";

/// What the driver knows.
const DRIVERS: [&str; 13] = [
    "sslmode",
    "ssl-mode",
    "sslca",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "charset",
    "collation",
    "statement-cache-capacity",
    "socket",
    "timezone",
];

/// Reads a URL, whose options overrule those of the builder. Nothing of it is repeated in an error that could be a password.
pub(super) fn parse(
    url: &str,
    mut builder: MySqlStoreBuilder,
) -> Result<(MySqlConnectOptions, MySqlStoreBuilder)> {
    let example = "`mysql://user:password@host/database`";
    let Some((scheme, _)) = url.split_once("://") else {
        return Err(config(format!("this is not a URL; one looks like {example}")));
    };
    if scheme != "mysql" && scheme != "mariadb" {
        let scheme: String = scheme.chars().take(32).collect();
        return Err(config(format!("the scheme {scheme:?} is not known here; `mysql` and `mariadb` are")));
    }
    let (rest, ours) = split(url, &DRIVERS)?;
    for (name, value) in ours {
        let value = &*value;
        let refused =
            |accepted: &str| Err(config(format!("the option {name}={value} is not known; {accepted} is")));
        match &*name {
            "table" => builder = builder.table(value),
            "schema" => builder = builder.schema(value),
            "connections" => builder = builder.connections(number(&name, value)?),
            "deadline_ms" => builder = builder.deadline(Duration::from_millis(number(&name, value)?)),
            "max_data_len" => builder = builder.max_data_len(number(&name, value)?),
            "purge_interval_ms" => {
                builder = builder.purge_interval(Some(Duration::from_millis(number(&name, value)?)));
            }
            "batching" => match value {
                "on" => {}
                "off" => builder = builder.batching(None),
                _ => return refused("batching=on or batching=off"),
            },
            "migrate" => match value {
                "on" => builder = builder.migrate(true),
                "off" => builder = builder.migrate(false),
                _ => return refused("migrate=on or migrate=off"),
            },
            _ => {
                return Err(config(format!(
                    "the option {name:?} is not known; these are: {OPTIONS}, and of the driver: {}",
                    DRIVERS.join(", ")
                )));
            }
        }
    }
    // The driver's text could repeat a part of the URL.
    let options = MySqlConnectOptions::from_str(&rest)
        .map_err(|_| config(format!("the URL cannot be read; one looks like {example}, where special characters of a password are written as `%` and two digits")))?;
    Ok((options, builder))
}
