//! Choosing ports.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where the search begins: above the well-known servers.
const FIRST: u16 = 20_000;
/// Where outgoing connections get their ports from, unless the system says otherwise.
const EPHEMERAL: u16 = 32_768;
/// Fewer ports than this are not worth staying out of the way for.
const ENOUGH: u16 = 1_000;

/// Ports below those of outgoing connections. Binding port 0 would give one of *those*, and while the server
/// on it is down, a stranger can get it, or a client that retries gets it as its own and is connected to
/// itself.
static RANGE: LazyLock<Range<u16>> = LazyLock::new(|| {
    let start = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .filter(|start| *start >= FIRST + ENOUGH);
    FIRST..start.unwrap_or(EPHEMERAL)
});

/// Random at first, so that processes started together search in different places; then one by one, so that
/// no port is offered twice to the same process.
static NEXT: LazyLock<AtomicUsize> = LazyLock::new(|| {
    let [first, second, ..] = RandomState::new().hash_one(()).to_le_bytes();
    AtomicUsize::new(usize::from(u16::from_le_bytes([first, second])))
});

/// An address of this machine on which nobody listens *now*. Another process can be quicker: whoever uses it
/// must expect that.
pub(crate) fn free_addr() -> io::Result<SocketAddr> {
    for _ in RANGE.clone() {
        let index = NEXT.fetch_add(1, Ordering::Relaxed) % RANGE.len();
        if let Some(port) = RANGE.clone().nth(index) {
            let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            match TcpListener::bind(addr) {
                Ok(_) => return Ok(addr),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, format!("no free port in {:?}", *RANGE)))
}

/// Whether somebody listens on `addr`.
pub(crate) fn is_taken(addr: SocketAddr) -> bool {
    TcpListener::bind(addr).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::TcpListener;

    use super::{free_addr, is_taken};

    #[test]
    fn no_port_is_offered_twice() {
        let addrs: HashSet<_> = (0..50).map(|_| free_addr().expect("a free port")).collect();
        assert_eq!(addrs.len(), 50);
    }

    #[test]
    fn a_listener_takes_its_port() {
        let addr = free_addr().expect("a free port");
        let listener = TcpListener::bind(addr).expect("the port is free");
        assert!(is_taken(addr));
        drop(listener);
        assert!(!is_taken(addr));
    }
}
