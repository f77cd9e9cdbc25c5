//! A server that is known only by its command.

use std::ffi::OsString;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Mutex;

use libtest_mimic::Trial;
use session_servers::{ChildServer, Engine, LaunchError, Program, Server};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::trials::{Verdict, case, case_with};

pub(crate) fn trials() -> Vec<Trial> {
    let program = || Program::new("memcached", "apt-get install memcached");
    vec![
        case_with("child_comes_back_on_its_port", "memcached", program(), comes_back_on_its_port),
        case_with("child_is_frozen_and_thawed", "memcached", program(), is_frozen_and_thawed),
        case_with("child_dies_when_dropped", "memcached", program(), dies_when_dropped),
        case_with("child_is_told_from_another", "memcached", program(), is_told_from_another),
        case("child_that_ends_early_shows_its_log", that_ends_early_shows_its_log),
        case("child_that_is_missing_is_named", that_is_missing_is_named),
    ]
}

async fn start() -> Result<Server<ChildServer>, LaunchError> {
    let memcached = ChildServer::command("memcached").run_as("nobody");
    memcached.args(["-l", "127.0.0.1", "-p", ChildServer::PORT, "-U", "0"]).start().await
}

/// Sends one line over a new connection and returns the first line of the reply.
async fn ask(server: &Server<ChildServer>, line: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(server.addr()).await?;
    stream.write_all(format!("{line}\r\n").as_bytes()).await?;
    let mut reply = String::new();
    BufReader::new(stream).read_line(&mut reply).await?;
    Ok(reply)
}

async fn comes_back_on_its_port() -> Verdict {
    let server = start().await?;
    let (addr, pid) = (server.addr(), server.pid());
    assert!(ask(&server, "version").await?.starts_with("VERSION "));
    server.kill().await?;
    let refused = server.ping().await.expect_err("it is dead");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    server.restart().await?;
    assert_eq!(server.addr(), addr);
    assert_ne!(server.pid(), pid);
    assert!(ask(&server, "version").await?.starts_with("VERSION "));
    Ok(())
}

async fn is_frozen_and_thawed() -> Verdict {
    let server = start().await?;
    server.freeze().await?;
    let mut asking = Box::pin(ask(&server, "version"));
    assert!(tokio::time::timeout(crate::line::SILENCE, &mut asking).await.is_err(), "it is frozen");
    server.thaw()?;
    assert!(asking.await?.starts_with("VERSION "));
    Ok(())
}

async fn dies_when_dropped() -> Verdict {
    for frozen in [false, true] {
        let server = start().await?;
        let (addr, pid) = (server.addr(), server.pid().ok_or("it has ended")?);
        if frozen {
            server.freeze().await?;
        }
        drop(server);
        let refused = TcpStream::connect(addr).await.expect_err("its port is closed");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "it was reaped");
    }
    Ok(())
}

/// A `memcached` that listens on another port than its first one, which a listener of ours
/// occupies.
#[derive(Debug)]
struct Elsewhere {
    memcached: ChildServer,
    rival: Mutex<Option<TcpListener>>,
}

impl Engine for Elsewhere {
    fn program(&self) -> Program {
        self.memcached.program()
    }

    fn command_line(&self, data: &Path, addr: SocketAddr) -> Vec<OsString> {
        let mut rival = self.rival.lock().expect("no panic while locked");
        let port = if rival.is_none() { "-1" } else { ChildServer::PORT };
        rival.get_or_insert_with(|| TcpListener::bind(addr).expect("the port was free"));
        self.memcached.clone().args(["-p", port]).command_line(data, addr)
    }

    fn account(&self) -> Option<&str> {
        self.memcached.account()
    }

    fn url(&self, addr: SocketAddr) -> String {
        self.memcached.url(addr)
    }

    async fn ping(&self, addr: SocketAddr) -> io::Result<()> {
        self.memcached.ping(addr).await
    }
}

async fn is_told_from_another() -> Verdict {
    let memcached = ChildServer::command("memcached").run_as("nobody").args(["-l", "127.0.0.1", "-U", "0"]);
    let server = Server::launch(Elsewhere { memcached, rival: Mutex::new(None) }).await?;
    let rival = server.engine().rival.lock().expect("no panic").take().ok_or("no port was taken")?;
    // Only Linux reports which process listens.
    assert!(cfg!(not(target_os = "linux")) || server.addr() != rival.local_addr()?);
    Ok(())
}

async fn that_ends_early_shows_its_log() -> Verdict {
    let script = ChildServer::command("sh").args(["-c", "echo port {port} in $PWD is {directory}; exit 3"]);
    let Err(error) = script.start().await else { return Err("a script became a server".into()) };
    let text = error.to_string();
    assert!(text.contains("sh did not start: it ended early, exit status: 3"), "{text}");
    let said = text.lines().last().unwrap_or_default();
    let (port, directories) = said.split_once(" in ").ok_or("the arguments came out changed")?;
    assert!(port.strip_prefix("port ").is_some_and(|port| port.parse::<u16>().is_ok()), "{text}");
    let (working, given) = directories.split_once(" is ").ok_or("the arguments came out changed")?;
    assert_eq!(working, given);
    Ok(())
}

async fn that_is_missing_is_named() -> Verdict {
    let missing = ChildServer::command("no-such-server");
    let Err(error) = missing.clone().start().await else { return Err("nothing became a server".into()) };
    assert_eq!(error.to_string(), "no-such-server is not installed (try: put no-such-server on PATH)");
    let Err(error) = missing.installed_by("apt-get install it").start().await else {
        return Err("nothing became a server".into());
    };
    assert_eq!(error.to_string(), "no-such-server is not installed (try: apt-get install it)");
    Ok(())
}
