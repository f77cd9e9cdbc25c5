use std::{path::PathBuf, time::Duration};

use mongodb::{
    error::{Error as DriverError, ErrorKind as DriverKind},
    options::ClientOptions,
};
use session_backend::{Credentials, Host, Pem, ServerUrl, TlsMode, TlsSettings, UrlOption, is_this_machine};
use session_core::{Error, Operation, Result};

use crate::{errors::config, settings::NEVER};

const EXAMPLE: &str = "mongodb://user:password@localhost:27017/database";

const SRV: &str = "mongodb+srv";

/// For the error about an unknown option.
const KNOWN: &str = "those of MongoDB's connection strings, and tls, tls_roots, tls_cert, tls_key";

/// A parsed URL. It is checked before the driver sees it, because the driver's errors repeat parts
/// of it.
#[derive(Clone, Debug)]
pub(crate) struct Url {
    parts: ServerUrl,
    /// The options for the driver, under its own names.
    options: Vec<(String, String)>,
    pub(crate) tls: TlsSettings,
    /// Whether the store accepts any certificate of the server.
    insecure: bool,
    /// Whether the mode was given as `true`, which leaves open whether certificates are verified.
    is_plain_true: bool,
    /// Whether the URL turns off the timeout of connecting.
    pub(crate) connects_until_the_deadline: bool,
}

impl Url {
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let parts = ServerUrl::parse(&with_app_name_encoded(url), EXAMPLE)?;
        if !["mongodb", SRV].contains(&&*parts.scheme) {
            return Err(config(format!(
                "the URL begins with neither `mongodb://` nor `{SRV}://`; one looks like `{EXAMPLE}`"
            )));
        }
        if parts.hosts.is_empty() {
            return Err(config(format!("the URL names no server; one looks like `{EXAMPLE}`")));
        }
        let mut url = Self {
            parts: parts.clone(),
            options: Vec::new(),
            tls: TlsSettings::default(),
            insecure: false,
            is_plain_true: false,
            connects_until_the_deadline: false,
        };
        let mut met = Vec::new();
        for option in &parts.options {
            let name = option.name().to_ascii_lowercase();
            if name != "readpreferencetags" && met.contains(&name) {
                return Err(option.refused("one value, and stands there twice"));
            }
            url.set(&name, option)?;
            met.push(name);
        }
        let goes_with_any = matches!(url.tls.mode, None | Some(TlsMode::Require)) || url.is_plain_true;
        if url.insecure && !goes_with_any {
            return Err(config("the options tls and tlsInsecure of the URL contradict each other"));
        }
        Ok(url)
    }

    /// Applies a TLS option, in this project's form or MongoDB's. Returns `false` for any other.
    fn set_tls(&mut self, name: &str, option: &UrlOption) -> Result<bool> {
        let file = || Some(Pem::File(PathBuf::from(option.value())));
        match name {
            "tls" | "ssl" => {
                let named = TlsMode::NAMES.into_iter();
                // With `true`, other options say whether the certificate is verified.
                let all = named.chain([("true", TlsMode::VerifyFull), ("false", TlsMode::Disable)]);
                let mode = option.one_of(&all.collect::<Vec<_>>())?;
                self.tls.mode = Some(mode);
                self.is_plain_true = option.value().eq_ignore_ascii_case("true");
            }
            "tls_roots" | "tls_cert" | "tls_key" => return self.tls.set(option),
            "tlscafile" => self.tls.roots = file(),
            "tlscertificatekeyfile" => (self.tls.certificate, self.tls.key) = (file(), file()),
            "tlsinsecure" | "tlsallowinvalidcertificates" => self.insecure |= option.switch()?,
            "tlsallowinvalidhostnames" => {
                if option.switch()? {
                    return Err(option.refused("false alone: the driver cannot verify a certificate without its host; set tls=verify-full, or tls=require to verify nothing"));
                }
            }
            "tlscertificatekeyfilepassword" => {
                return Err(option.refused("no value here: decrypt the key, and protect its file"));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn set(&mut self, name: &str, option: &UrlOption) -> Result<()> {
        if self.set_tls(name, option)? {
            return Ok(());
        }
        let number = |bound: Option<u64>, off: u64| bound.unwrap_or(off).to_string();
        let value = match name {
            // Limits and intervals, all of which can be turned off.
            "maxpoolsize" | "maxconnecting" => number(option.limit()?, u32::MAX.into()),
            "minpoolsize" | "maxidletimems" | "localthresholdms" | "wtimeoutms" | "wtimeout" => {
                number(option.limit()?, 0)
            }
            "heartbeatfrequencyms" => {
                let least = Duration::from_millis(500);
                let interval = option.interval_millis()?.map_or(NEVER, |interval| interval.max(least));
                interval.as_millis().to_string()
            }
            "connecttimeoutms" => {
                let Some(timeout) = option.interval_millis()? else {
                    self.connects_until_the_deadline = true;
                    return Ok(());
                };
                timeout.as_millis().to_string()
            }
            // If this is off, the store's deadline ends the wait.
            "serverselectiontimeoutms" => match option.interval_millis()? {
                Some(timeout) => timeout.as_millis().to_string(),
                None => return Ok(()),
            },
            "directconnection"
            | "journal"
            | "j"
            | "loadbalanced"
            | "retryreads"
            | "retrywrites"
            | "enableoverloadretargeting" => option.switch()?.to_string(),
            "appname"
            | "authmechanism"
            | "authmechanismproperties"
            | "authsource"
            | "maxadaptiveretries"
            | "maxstalenessseconds"
            | "readconcernlevel"
            | "readpreference"
            | "readpreferencetags"
            | "replicaset"
            | "servermonitoringmode"
            | "srvmaxhosts"
            | "srvservicename"
            | "w" => option.value().to_owned(),
            // Options of other drivers: the store has a deadline for each operation, compresses
            // nothing and stores no UUIDs.
            "sockettimeoutms"
            | "timeoutms"
            | "waitqueuetimeoutms"
            | "waitqueuemultiple"
            | "compressors"
            | "zlibcompressionlevel"
            | "uuidrepresentation"
            | "usenewurlparser"
            | "useunifiedtopology"
            | "slaveok"
            | "tlsdisableocspendpointcheck"
            | "tlsdisablecertificaterevocationcheck" => {
                option.ignore();
                return Ok(());
            }
            _ => return Err(option.unknown(KNOWN)),
        };
        let driver_name = match name {
            "j" => "journal",
            "wtimeout" => "wtimeoutms",
            name => name,
        };
        self.options.push((driver_name.to_owned(), value));
        Ok(())
    }

    /// The TLS mode of the URL, for a store without a setting of its own. `mongodb://` without any
    /// TLS option is plain text in every driver.
    pub(crate) fn tls_mode(&self) -> TlsMode {
        let TlsSettings { roots, certificate, .. } = &self.tls;
        match self.tls.mode {
            _ if self.insecure => TlsMode::Require,
            Some(mode) => mode,
            None if self.parts.scheme == SRV || roots.is_some() || certificate.is_some() => {
                TlsMode::VerifyFull
            }
            None => TlsMode::Disable,
        }
    }

    /// Whether all servers are on this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.parts.scheme != SRV && self.parts.hosts.iter().all(|host| is_this_machine(&host.name))
    }

    /// The driver's options, with this login in place of the URL's.
    pub(crate) async fn options(&self, login: Option<&Credentials>) -> Result<ClientOptions> {
        match ClientOptions::parse(self.text(login, None)).await {
            Ok(options) => Ok(options),
            Err(error) => Err(self.refused(login, &error).await),
        }
    }

    /// The error for a URL that the driver refuses. It does not repeat the driver's message, which
    /// can contain any part of the URL.
    async fn refused(&self, login: Option<&Credentials>, error: &DriverError) -> Error {
        if self.parts.scheme == SRV {
            return match &*error.kind {
                DriverKind::InvalidArgument { .. } => config(format!(
                    "the `{SRV}` URL cannot be used: its server has no port, and its options must fit it"
                )),
                _ => Error::unavailable(Operation::Connect, false).because(format!(
                    "the servers behind the `{SRV}` URL were not found: there is no answer of the name service, or no valid SRV record in it"
                )),
            };
        }
        for (at, (name, _)) in self.options.iter().enumerate() {
            if ClientOptions::parse(self.text(login, Some(at))).await.is_ok() {
                return config(format!(
                    "the option {name} of the URL cannot be used: its value is none that the driver takes, or does not go with the rest of the URL"
                ));
            }
        }
        config(format!(
            "the URL cannot be used: its user, its servers, its database and its options do not go together; one looks like `{EXAMPLE}`"
        ))
    }

    /// The URL for the driver, without the option at position `without`.
    fn text(&self, login: Option<&Credentials>, without: Option<usize>) -> String {
        let ServerUrl { scheme, user, password, hosts, path, .. } = &self.parts;
        let user = login.and_then(|login| login.user.as_ref()).or(user.as_ref());
        let password = login.map(|login| &login.password).or(password.as_ref());
        let password =
            password.map_or_else(String::new, |password| format!(":{}", encoded(password.expose())));
        let login = user.map_or_else(String::new, |user| format!("{}{password}@", encoded(user)));
        let hosts: Vec<String> = hosts.iter().map(host).collect();
        let options = self.options.iter().enumerate().filter(|(at, _)| Some(*at) != without);
        let options: Vec<String> =
            options.map(|(_, (name, value))| format!("{name}={}", encoded(value))).collect();
        format!("{scheme}://{login}{}/{}?{}", hosts.join(","), encoded(path), options.join("&"))
    }
}

fn host(Host { name, port }: &Host) -> String {
    let name = match name {
        socket if socket.starts_with('/') => encoded(socket),
        address if address.contains(':') => format!("[{address}]"),
        name => name.clone(),
    };
    port.map_or_else(|| name.clone(), |port| format!("{name}:{port}"))
}

fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// The URL with each `@` in the option `appName` encoded. Azure's URLs end with
/// `appName=@account@`; any other `@` after the servers indicates a password that is not encoded.
fn with_app_name_encoded(url: &str) -> String {
    let Some((front, query)) = url.split_once('?') else { return url.to_owned() };
    let is_app_name =
        |pair: &str| pair.split('=').next().is_some_and(|name| name.eq_ignore_ascii_case("appName"));
    let pairs = query.split('&').map(|pair| {
        if front.contains('@') && is_app_name(pair) { pair.replace('@', "%40") } else { pair.to_owned() }
    });
    format!("{front}?{}", pairs.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Url {
        Url::parse(url).expect(url)
    }

    #[test]
    fn a_login_takes_the_place_of_another() {
        let login = Credentials::new("us@er", "p/w");
        for (url, with) in [
            ("mongodb://localhost", "mongodb://us%40er:p%2Fw@localhost/?"),
            ("mongodb://a:b@host1:1,[::1]:2/db?w=1", "mongodb://us%40er:p%2Fw@host1:1,[::1]:2/db?w=1"),
            ("mongodb+srv://host/?authSource=a", "mongodb+srv://us%40er:p%2Fw@host/?authsource=a"),
            ("mongodb://%2Frun%2Fm.sock", "mongodb://us%40er:p%2Fw@%2Frun%2Fm.sock/?"),
        ] {
            assert_eq!(parsed(url).text(Some(&login), None), with);
        }
        let password = Credentials::password("new");
        assert_eq!(parsed("mongodb://a:b@h").text(Some(&password), None), "mongodb://a:new@h/?");
    }

    #[test]
    fn tls_of_all_forms() {
        for (url, mode) in [
            ("mongodb://h", TlsMode::Disable),
            ("mongodb://h/?tls=false", TlsMode::Disable),
            ("mongodb+srv://h", TlsMode::VerifyFull),
            ("mongodb+srv://h/?tls=disable", TlsMode::Disable),
            ("mongodb://h/?ssl=true", TlsMode::VerifyFull),
            ("mongodb://h/?tls=verify-full", TlsMode::VerifyFull),
            ("mongodb://h/?tls=require", TlsMode::Require),
            ("mongodb://h/?tlsInsecure=true", TlsMode::Require),
            ("mongodb://h/?tls=true&tlsInsecure=true", TlsMode::Require),
            ("mongodb://h/?tlsCAFile=/x", TlsMode::VerifyFull),
            ("mongodb://h/?tls_roots=/x", TlsMode::VerifyFull),
            ("mongodb://h/?tlsAllowInvalidCertificates=true&tls=require", TlsMode::Require),
        ] {
            assert_eq!(parsed(url).tls_mode(), mode, "{url}");
        }
        for mode in ["false", "disable", "verify-full"] {
            Url::parse(&format!("mongodb://h/?tlsInsecure=true&tls={mode}")).expect_err("a contradiction");
        }
        assert!(parsed("mongodb://localhost:1,127.0.0.1:2").is_local());
        assert!(!parsed("mongodb://localhost:1,db:2").is_local());
        assert!(!parsed("mongodb+srv://localhost").is_local());
    }

    #[test]
    fn an_app_name_of_azure() {
        let url = parsed("mongodb://acct:k%3D@acct.example:10255/?ssl=true&retrywrites=false&appName=@acct@");
        assert!(url.text(None, None).ends_with("?retrywrites=false&appname=%40acct%40"), "{url:?}");
        Url::parse("mongodb://u:p?appName=x@h").expect_err("a password that is not encoded");
    }
}
