//! Breaking servers, and restoring them.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;

use libtest_mimic::Trial;
use session_servers::redis::{Redis, RedisServer};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::trials::{Verdict, redis_case};

/// The number of the signal, which is the same on every Unix.
const SIGKILL: i32 = 9;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        redis_case("freeze_silences_and_thaw_brings_back", freeze_silences_and_thaw_brings_back),
        redis_case("freeze_returns_when_nothing_moves", freeze_returns_when_nothing_moves),
        redis_case("kill_loses_no_acknowledged_write", kill_loses_no_acknowledged_write),
        redis_case("kill_ends_a_frozen_server", kill_ends_a_frozen_server),
        redis_case("stop_is_graceful", stop_is_graceful),
        redis_case("stop_thaws_first", stop_thaws_first),
        redis_case("restart_stops_a_running_server", restart_stops_a_running_server),
        redis_case("a_stopped_server_cannot_be_frozen", a_stopped_server_cannot_be_frozen),
        redis_case("restart_says_when_the_port_is_taken", restart_says_when_the_port_is_taken),
    ]
}

async fn freeze_silences_and_thaw_brings_back() -> Verdict {
    let server = RedisServer::start().await?;
    let pid = server.pid();
    server.freeze().await?;
    assert_eq!(ping_error(&server).await, Some(io::ErrorKind::TimedOut));
    assert_eq!(server.pid(), pid, "a frozen server is still there");
    server.thaw()?;
    server.ping().await?;
    Ok(())
}

async fn freeze_returns_when_nothing_moves() -> Verdict {
    let server = RedisServer::start().await?;
    let pid = server.pid().ok_or("the server has ended")?;
    for _ in 0..50 {
        server.freeze().await?;
        assert!(is_halted(pid)?);
        server.freeze().await?;
        server.thaw()?;
        server.ping().await?;
    }
    Ok(())
}

/// Returns true if the kernel has stopped every thread. Only Linux reports that. On other systems,
/// only the answers of the server are checked.
fn is_halted(pid: u32) -> io::Result<bool> {
    if cfg!(target_os = "linux") {
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let stat = fs::read_to_string(thread?.path().join("stat"))?;
            // The state follows the name, which is in parentheses and can contain any character.
            if !stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" T ")) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

async fn kill_loses_no_acknowledged_write() -> Verdict {
    let server = Redis::new().args(["--appendonly", "yes", "--appendfsync", "always"]).start().await?;
    let (addr, pid) = (server.addr(), server.pid());
    assert_eq!(ask(addr, "SET key acknowledged").await?, "+OK");

    let status = server.kill().await?;
    assert_eq!(status.signal(), Some(SIGKILL));
    assert_eq!(ping_error(&server).await, Some(io::ErrorKind::ConnectionRefused));
    assert_eq!(server.pid(), None);

    server.restart().await?;
    assert_eq!(server.addr(), addr);
    assert_ne!(server.pid(), pid);
    assert_eq!(ask(addr, "STRLEN key").await?, format!(":{}", "acknowledged".len()));
    Ok(())
}

async fn kill_ends_a_frozen_server() -> Verdict {
    let server = RedisServer::start().await?;
    server.freeze().await?;
    server.kill().await?;
    server.restart().await?;
    server.ping().await?;
    Ok(())
}

async fn stop_is_graceful() -> Verdict {
    // Redis saves on shutdown only if it has save points. This save point is never reached by
    // itself.
    let server = Redis::new().args(["--save", "3600 1000000"]).start().await?;
    assert_eq!(ask(server.addr(), "SET key saved").await?, "+OK");

    let status = server.stop().await?;
    assert!(status.success(), "{status}");
    assert_eq!(ping_error(&server).await, Some(io::ErrorKind::ConnectionRefused));
    assert_eq!(server.stop().await?, status, "stopping again changes nothing");
    assert_eq!(server.kill().await?, status, "there is nothing to kill");

    server.restart().await?;
    assert_eq!(ask(server.addr(), "STRLEN key").await?, format!(":{}", "saved".len()));
    Ok(())
}

async fn stop_thaws_first() -> Verdict {
    let server = RedisServer::start().await?;
    server.freeze().await?;
    let status = server.stop().await?;
    assert!(status.success(), "{status}");
    Ok(())
}

async fn restart_stops_a_running_server() -> Verdict {
    let server = RedisServer::start().await?;
    let pid = server.pid();
    server.restart().await?;
    server.ping().await?;
    assert_ne!(server.pid(), pid);
    Ok(())
}

async fn a_stopped_server_cannot_be_frozen() -> Verdict {
    let server = RedisServer::start().await?;
    server.stop().await?;
    let errors = [server.freeze().await.err(), server.thaw().err()];
    for error in errors {
        assert_eq!(error.map(|error| error.kind()), Some(io::ErrorKind::NotFound));
    }
    Ok(())
}

async fn restart_says_when_the_port_is_taken() -> Verdict {
    let server = RedisServer::start().await?;
    server.stop().await?;
    let rival = std::net::TcpListener::bind(server.addr())?;
    let error = server.restart().await.err().ok_or("two listeners share a port")?;
    assert!(error.to_string().contains("another program listens"), "{error}");
    drop(rival);
    server.restart().await?;
    Ok(())
}

async fn ping_error(server: &RedisServer) -> Option<io::ErrorKind> {
    server.ping().await.err().map(|error| error.kind())
}

/// Sends one inline command and returns the first line of the reply.
async fn ask(addr: SocketAddr, command: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(format!("{command}\r\n").as_bytes()).await?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await?;
    Ok(line.trim_end().to_owned())
}
