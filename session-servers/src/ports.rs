//! Choosing ports.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The start of the search, above the well-known servers.
const FIRST: u16 = 20_000;
/// Default start of the port range of outgoing connections.
const EPHEMERAL: u16 = 32_768;
/// Minimum size of the range. A system setting that leaves fewer ports is ignored.
const ENOUGH: u16 = 1_000;

/// The ports below those of outgoing connections. Binding port 0 would give one of *those*. While
/// the server on it is down, another process could get that port, or a client that retries could
/// get it as its own local port and be connected to itself.
static RANGE: LazyLock<Range<u16>> = LazyLock::new(|| {
    let start = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .filter(|start| *start >= FIRST + ENOUGH);
    FIRST..start.unwrap_or(EPHEMERAL)
});

/// The next index in the range. It starts at random, so that processes started together search in
/// different places. It then advances by one, so that the same process is offered no port twice.
static NEXT: LazyLock<AtomicUsize> = LazyLock::new(|| {
    let [first, second, ..] = RandomState::new().hash_one(()).to_le_bytes();
    AtomicUsize::new(usize::from(u16::from_le_bytes([first, second])))
});

/// Returns an address of this machine on which no process listens *now*. Another process can bind
/// it first, so the caller must handle that.
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

/// Returns true if a process listens on `addr`.
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
