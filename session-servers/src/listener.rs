//! Finds the process that listens on a port, by `/proc` on Linux.

use std::collections::HashSet;
use std::fs;

use rustix::process::Pid;

use crate::family::Family;

/// The code of the listening state in the kernel's socket tables.
const LISTENS: &str = "0A";

/// Returns true if the process `pid`, or a child of it, listens on `port`. `None` if the kernel
/// does not tell.
pub(crate) fn listens(pid: u32, port: u16) -> Option<bool> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    let tables: Vec<_> = tables.into_iter().flatten().collect();
    let listening: HashSet<&str> = tables.iter().flat_map(|table| listening(table, port)).collect();
    if listening.is_empty() {
        return None;
    }
    let children = Pid::from_raw(pid.cast_signed()).map(|pid| Family::of(pid).ids().collect::<Vec<_>>());
    let mut all_told = true;
    for process in std::iter::once(pid).chain(children.into_iter().flatten()) {
        match sockets(process) {
            Some(sockets) if sockets.iter().any(|socket| listening.contains(socket.as_str())) => {
                return Some(true);
            }
            Some(_) => {}
            None => all_told = false,
        }
    }
    all_told.then_some(false)
}

/// The inodes of the sockets in a table that listen on `port`.
fn listening(table: &str, port: u16) -> impl Iterator<Item = &str> {
    let port = format!(":{port:04X}");
    table.lines().skip(1).filter_map(move |line| {
        let mut fields = line.split_whitespace();
        let address = fields.nth(1)?;
        let state = fields.nth(1)?;
        (address.ends_with(&port) && state == LISTENS).then(|| fields.nth(5))?
    })
}

/// The inodes of the sockets that a process has open. `None` if this process may not look, or that
/// process has ended.
fn sockets(pid: u32) -> Option<Vec<String>> {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let targets = open.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    Some(
        targets
            .filter_map(|target| {
                Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
            })
            .collect(),
    )
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::process::{self, Command};

    use super::listens;

    #[test]
    fn the_process_that_listens_is_known() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        assert_eq!(listens(process::id(), port), Some(true));
        let mut other = Command::new("sleep").arg("60").spawn().expect("a process");
        assert_eq!(listens(other.id(), port), Some(false));
        other.kill().and_then(|()| other.wait()).expect("it has ended");
    }

    #[test]
    fn an_open_connection_does_not_listen() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let _client = TcpStream::connect(addr).expect("it listens");
        let _accepted = listener.accept().expect("a connection");
        drop(listener);
        assert_eq!(listens(process::id(), addr.port()), None);
    }
}
