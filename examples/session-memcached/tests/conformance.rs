//! Runs the suite on Memcached, with every hook.

use std::io::{Read, Write};
use std::{net::SocketAddr, net::TcpStream, process::ExitCode, sync::Arc, time::Duration};

use session_conformance::{Capability, ChildServer, Foreign, SharedServer, Suite, Target, Unavailable};
use session_memcached::MemcachedStore;

/// The deadline of an operation, and how long the store may be unavailable after its server is
/// back.
const LIMIT: Duration = Duration::from_secs(1);

/// Returns all that the server replies to this request.
fn ask(addr: SocketAddr, request: &[u8]) -> Vec<u8> {
    let (mut stream, mut reply) = (TcpStream::connect(addr).expect("the server runs"), Vec::new());
    stream.write_all(&[request, b"quit\r\n"].concat()).expect("it reads");
    stream.read_to_end(&mut reply).expect("it replies");
    reply
}

/// Replaces the record with this name.
fn plant(addr: SocketAddr, name: &str, foreign: Foreign) {
    let found = ask(addr, format!("get {name}\r\n").as_bytes());
    // Between "VALUE <name> <flags> <length>" and "END".
    let record = &found[found.iter().position(|byte| *byte == b'\n').expect("VALUE") + 1..found.len() - 7];
    let planted = match foreign {
        Foreign::Truncated => record[..record.len() - 8].to_vec(),
        Foreign::NewerFormat => [&record[..4], &[2], &record[5..]].concat(),
        _ => b"text".to_vec(),
    };
    let set = format!("set {name} 0 0 {}\r\n", planted.len());
    assert_eq!(ask(addr, &[set.as_bytes(), &planted, b"\r\n"].concat()), b"STORED\r\n");
}

fn main() -> ExitCode {
    let args = ["-l", "127.0.0.1", "-p", ChildServer::PORT, "-M", "-m", "1024"];
    let server = SharedServer::new(ChildServer::command("memcached").args(args).run_as("nobody"));
    let target = Target::child_server("memcached", &server, LIMIT, LIMIT, |addr, namespace| async move {
        let store = MemcachedStore::new(addr.to_string(), namespace.as_str(), LIMIT);
        Ok(Arc::new(store.map_err(Unavailable::because)?) as _)
    });
    let target = target.foreign_bytes(Foreign::ALL, move |namespace, key, foreign| {
        let server = server.clone();
        async move { plant(server.addr().await.expect("it runs"), &format!("{namespace}:{key}"), foreign) }
    });
    let target = target
        .without(Capability::Owners, "Memcached has no index")
        .without(Capability::Maintenance, "Memcached lists no keys")
        .without(Capability::Watch, "Memcached has no notifications");
    Suite::new().target(target).main()
}
