use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{StatusCode, header::HOST, uri::Authority},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

/// The names that a browser on this machine uses for it.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The hosts under which the pages are served.
///
/// A page of another site cannot read these pages, unless that site resolves its name to this
/// address (DNS rebinding). Then the browser treats both as one site, and only the host name in the
/// request distinguishes them.
#[derive(Clone)]
pub(crate) struct Hosts {
    names: Arc<[String]>,
    is_public: bool,
}

impl Hosts {
    /// The loopback names, the listening address, and the names in `more`.
    pub(crate) fn new(listening: IpAddr, more: &[String]) -> Self {
        let mut names: Vec<String> = LOOPBACK.map(str::to_owned).to_vec();
        names.extend(more.iter().map(|name| plain(name)));
        if !listening.is_unspecified() {
            names.push(match listening {
                IpAddr::V4(address) => address.to_string(),
                IpAddr::V6(address) => format!("[{address}]"),
            });
        }
        let is_public =
            !listening.is_loopback() || more.iter().any(|name| !LOOPBACK.contains(&plain(name).as_str()));
        Self { names: names.into(), is_public }
    }

    /// Whether browsers on other machines use this server. Then cookies, which are as sensitive as
    /// passwords, may be sent over TLS only.
    pub(crate) fn are_public(&self) -> bool {
        self.is_public
    }

    fn serve(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        !host.contains('@') && self.names.contains(&plain(authority.host()))
    }
}

/// In lower case, without the trailing dot of an absolute name.
fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Rejects requests for other hosts. `/health` is exempt: it shows nothing of any session, and is
/// called by machines that know only an address.
pub(crate) async fn check(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(Authority::as_str));
    if request.uri().path() == "/health" || host.is_some_and(|host| hosts.serve(host)) {
        return next.run(request).await;
    }
    let said = "This host is not served here. Start the demo with --host and its name.\n";
    (StatusCode::MISDIRECTED_REQUEST, said).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(listening: &str, more: &[&str]) -> Hosts {
        let more: Vec<_> = more.iter().map(|name| (*name).to_owned()).collect();
        Hosts::new(listening.parse().expect("an address"), &more)
    }

    #[test]
    fn loopback_the_address_and_what_is_named_are_served() {
        let hosts = hosts("192.0.2.7", &["App.example.com"]);
        for host in
            ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:80", "192.0.2.7", "app.example.com.:443"]
        {
            assert!(hosts.serve(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "app.example.com@evil.example",
            "evil@localhost",
            "a b",
        ] {
            assert!(!hosts.serve(host), "{host}");
        }
    }

    #[test]
    fn what_is_reached_from_elsewhere_is_public() {
        assert!(!hosts("127.0.0.1", &[]).are_public());
        assert!(!hosts("::1", &["localhost"]).are_public());
        assert!(hosts("0.0.0.0", &[]).are_public());
        assert!(hosts("127.0.0.1", &["app.example.com"]).are_public(), "a proxy is in front");
    }
}
