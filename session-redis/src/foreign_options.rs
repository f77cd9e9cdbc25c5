use std::{path::PathBuf, time::Duration};

use session_backend::{Pem, TlsMode, UrlOption};
use session_core::Result;

use crate::{builder::RedisStoreBuilder, errors::config};

/// Options of other clients' URLs, which cloud providers show to their customers: redis-py and
/// Celery, go-redis, Lettuce, redis-rs. An option with a meaning here is applied; any other is
/// ignored with a warning. No option that protects anything is ignored.
#[derive(Debug)]
pub(crate) struct ForeignOptions {
    scheme: TlsMode,
    /// What the server must prove, if an option says so.
    mode: Option<TlsMode>,
    checks_name: bool,
}

/// Options without a meaning for this store.
const MEANINGLESS: [&str; 34] = [
    "client_setinfo",
    "conn_max_idle_time",
    "conn_max_lifetime",
    "decode_responses",
    "encoding",
    "encoding_errors",
    "family",
    "health_check_interval",
    "idle_check_frequency",
    "idle_timeout",
    "lib_name",
    "lib_version",
    "max_active_conns",
    "max_conn_age",
    "max_connections",
    "max_idle_conns",
    "max_redirects",
    "max_retry_backoff",
    "min_idle_conns",
    "min_retry_backoff",
    "pool_fifo",
    "pool_size",
    "pool_timeout",
    "read_only",
    "retry_on_error",
    "retry_on_timeout",
    "route_by_latency",
    "route_randomly",
    "single_connection_client",
    "socket_keepalive",
    "socket_read_size",
    "socket_type",
    "virtual_host",
    "write_timeout",
];

impl ForeignOptions {
    /// For a URL whose scheme has this TLS mode.
    pub(crate) fn new(scheme: TlsMode) -> Self {
        Self { scheme, mode: None, checks_name: true }
    }

    /// Applies an option. Returns `false` if it is none of these.
    pub(crate) fn set(&mut self, option: &UrlOption, builder: &mut RedisStoreBuilder) -> Result<bool> {
        let file = || Some(Pem::File(PathBuf::from(option.value())));
        match option.name() {
            "protocol" => {
                if !option.one_of(&[("3", true), ("resp3", true), ("2", false), ("resp2", false)])? {
                    option.ignore();
                }
            }
            "timeout" | "socket_timeout" | "read_timeout" => {
                if let Some(deadline) = span(option)? {
                    *builder = builder.clone().deadline(deadline);
                }
            }
            "connect_timeout" | "socket_connect_timeout" | "dial_timeout" => {
                if let Some(timeout) = span(option)? {
                    *builder = builder.clone().connect_timeout(timeout);
                }
            }
            "clientname" | "clientName" => builder.settings.client_name = Some(option.value().to_owned()),
            "ssl" => match (option.switch()?, self.scheme) {
                (true, _) => self.mode = self.mode.or(Some(TlsMode::VerifyFull)),
                (false, TlsMode::Disable) => {}
                (false, _) => {
                    return Err(
                        option.refused("true in a URL whose scheme asks for TLS; tls=disable turns it off")
                    );
                }
            },
            "ssl_cert_reqs" | "verifyPeer" => {
                self.mode = Some(option.one_of(&[
                    ("none", TlsMode::Require),
                    ("CERT_NONE", TlsMode::Require),
                    ("ca", TlsMode::VerifyCa),
                    ("optional", TlsMode::VerifyFull),
                    ("CERT_OPTIONAL", TlsMode::VerifyFull),
                    ("required", TlsMode::VerifyFull),
                    ("CERT_REQUIRED", TlsMode::VerifyFull),
                    ("full", TlsMode::VerifyFull),
                    ("true", TlsMode::VerifyFull),
                    ("false", TlsMode::Require),
                ])?);
            }
            "skip_verify" => {
                if option.switch()? {
                    self.mode = Some(TlsMode::Require);
                }
            }
            "ssl_check_hostname" => self.checks_name = option.switch()?,
            "ssl_ca_certs" => builder.settings.tls.roots = file(),
            "ssl_certfile" => builder.settings.tls.certificate = file(),
            "ssl_keyfile" => builder.settings.tls.key = file(),
            name if MEANINGLESS.contains(&name) => option.ignore(),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Called after the last option. An option `tls` overrules these options.
    pub(crate) fn finish(self, builder: &mut RedisStoreBuilder) -> Result<()> {
        let mode = match self.mode {
            Some(TlsMode::VerifyFull) | None if !self.checks_name => Some(TlsMode::VerifyCa),
            mode => mode,
        };
        let tls = &mut builder.settings.tls;
        if mode.is_some()
            && tls.mode.is_none()
            && self.scheme == TlsMode::Disable
            && mode != Some(TlsMode::VerifyFull)
        {
            return Err(config(
                "the URL says what the server's certificate need not prove, and its scheme asks for no TLS; use rediss://, or tls=",
            ));
        }
        tls.mode = tls.mode.or(mode);
        Ok(())
    }
}

/// A duration: a number of seconds, or a number with a unit, such as `500ms` or `5s`. `None` for
/// zero and less, which mean the default or no end in those clients; such an option is ignored.
fn span(option: &UrlOption) -> Result<Option<Duration>> {
    let text = option.value().trim();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let seconds = match &text[digits.len()..] {
        "" | "s" => 1.0,
        "us" => 1e-6,
        "ms" => 1e-3,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(option.refused("a number of seconds, or of another unit as in 500ms")),
    };
    let wrong = |_| option.refused("a number of seconds, or of another unit as in 500ms");
    let number: f64 = if digits == "None" { 0.0 } else { digits.parse().map_err(wrong)? };
    let span = Duration::try_from_secs_f64(number * seconds).ok().filter(|span| !span.is_zero());
    if span.is_none() {
        option.ignore();
    }
    Ok(span)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use session_backend::TlsMode;
    use session_core::Result;

    use crate::{RedisStore, RedisStoreBuilder, url};

    fn read(options: &str, scheme: &str) -> Result<RedisStoreBuilder> {
        let url = format!("{scheme}://localhost?{options}");
        url::parse(&url, RedisStore::builder()).map(|(_, builder)| builder)
    }

    #[test]
    fn spans_of_time_have_the_units_of_their_clients() {
        for (options, deadline) in [
            ("socket_timeout=2.5", 2_500),
            ("timeout=10s", 10_000),
            ("timeout=700ms", 700),
            ("read_timeout=1m", 60_000),
            ("read_timeout=-1", 5_000),
            ("timeout=0", 5_000),
        ] {
            let settings = read(options, "redis").expect(options).settings;
            assert_eq!(settings.deadline, Duration::from_millis(deadline), "{options}");
        }
        let settings = read("connect_timeout=10&max_retries=7&protocol=3&client_name=web", "redis");
        let settings = settings.expect("all have a meaning").settings;
        assert_eq!(settings.connect_timeout, Duration::from_secs(10));
        assert_eq!((settings.max_retries, settings.client_name.as_deref()), (7, Some("web")));
        for wrong in ["timeout=soon", "timeout=5days", "protocol=4"] {
            read(wrong, "redis").expect_err(wrong);
        }
    }

    #[test]
    fn what_a_certificate_must_prove_is_never_ignored() {
        for (options, mode) in [
            ("ssl_cert_reqs=none", Some(TlsMode::Require)),
            ("ssl_cert_reqs=CERT_NONE", Some(TlsMode::Require)),
            ("ssl_cert_reqs=required", Some(TlsMode::VerifyFull)),
            ("ssl_cert_reqs=optional", Some(TlsMode::VerifyFull)),
            ("ssl_check_hostname=false", Some(TlsMode::VerifyCa)),
            ("ssl_check_hostname=false&ssl_cert_reqs=none", Some(TlsMode::Require)),
            ("skip_verify=true", Some(TlsMode::Require)),
            ("verifyPeer=CA", Some(TlsMode::VerifyCa)),
            ("tls=verify-full&ssl_cert_reqs=none", Some(TlsMode::VerifyFull)),
            ("ssl_cert_reqs=none&tls=verify-full", Some(TlsMode::VerifyFull)),
            ("decode_responses=true", None),
        ] {
            assert_eq!(read(options, "rediss").expect(options).settings.tls.mode, mode, "{options}");
        }
        for wrong in ["ssl_cert_reqs=maybe", "ssl=false", "ssl_min_version=TLSv1.3", "ssl_validate_ocsp=true"]
        {
            read(wrong, "rediss").expect_err(wrong);
        }
        for wrong in ["ssl_cert_reqs=none", "ssl_check_hostname=false"] {
            read(wrong, "redis").expect_err(wrong);
        }
        assert_eq!(read("ssl=true", "redis").expect("TLS").settings.tls.mode, Some(TlsMode::VerifyFull));
    }

    #[test]
    fn zero_and_off_turn_off() {
        for off in ["0", "off"] {
            let options = format!(
                "keepalive_ms={off}&max_retries={off}&max_in_flight={off}&max_data_len={off}&batching={off}"
            );
            let settings = read(&options, "redis").expect("all can be off").settings;
            assert_eq!((settings.keepalive, settings.max_retries), (None, 0), "{off}");
            assert_eq!(settings.max_data_len, crate::settings::MAX_MAX_DATA_LEN);
        }
        for wrong in ["deadline_ms=0", "connect_timeout_ms=0", "deadline_ms=off", "connections=0"] {
            read(wrong, "redis").expect_err(wrong);
        }
    }
}
