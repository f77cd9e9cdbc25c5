//! Names of cookies, and of the hosts that they are sent to.

use std::net::Ipv4Addr;

/// The name prefixes for which browsers enforce a policy. Browsers ignore their case.
pub(crate) const HOST: &str = "__Host-";
pub(crate) const SECURE: &str = "__Secure-";
pub(crate) const HTTP: &str = "__Http-";

/// The maximum number of domains of the host for which a duplicate cookie is removed.
const MOST_DOMAINS: usize = 4;

pub(crate) fn has_prefix(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// The name without the prefixes that require `Secure`.
pub(crate) fn bare(mut name: &str) -> &str {
    while let Some(prefix) = [HOST, SECURE, HTTP].iter().find(|prefix| has_prefix(name, prefix)) {
        name = &name[prefix.len()..];
    }
    name
}

/// Whether browsers accept this as the domain of a cookie: labels of letters, digits and hyphens.
pub(crate) fn is_host_name(domain: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    domain.len() <= 253 && domain.split('.').all(is_label)
}

/// The domains that a host is part of, except those of one label, for which browsers accept no
/// cookie.
pub(crate) fn domains_of(host: &str) -> impl Iterator<Item = &str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    let is_name = is_host_name(name) && name.parse::<Ipv4Addr>().is_err();
    let names =
        std::iter::successors(is_name.then_some(name), |name| name.split_once('.').map(|(_, parent)| parent));
    names.filter(|name| name.contains('.')).take(MOST_DOMAINS)
}
