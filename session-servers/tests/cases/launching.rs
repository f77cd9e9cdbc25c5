//! How servers start, and which errors are reported when they do not.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use libtest_mimic::Trial;
use session_servers::redis::{Redis, RedisServer};
use session_servers::{Engine, LaunchError, Program, Server};

use crate::helper;
use crate::trials::{Verdict, case, redis_case};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        redis_case("starts_and_answers_ping", starts_and_answers_ping),
        redis_case("two_servers_get_different_ports", two_servers_get_different_ports),
        redis_case("a_taken_port_means_another_port", a_taken_port_means_another_port),
        redis_case("a_stranger_on_the_port_is_not_our_server", a_stranger_is_not_our_server),
        redis_case("a_refused_configuration_shows_the_log", a_refused_configuration_shows_the_log),
        case("an_early_end_shows_status_and_log", an_early_end_shows_status_and_log),
        case("a_missing_program_is_named", a_missing_program_is_named),
        case("missing_redis_says_how_to_install_it", missing_redis_says_how_to_install_it),
        case("the_environment_names_an_external_server", the_environment_names_an_external_server),
    ]
}

async fn starts_and_answers_ping() -> Verdict {
    let server = RedisServer::start().await?;
    server.ping().await?;
    assert_eq!(server.url(), format!("redis://127.0.0.1:{}", server.port()));
    assert!(server.pid().is_some());
    assert!(server.log().contains("Ready to accept connections"), "{}", server.log());
    Ok(())
}

async fn two_servers_get_different_ports() -> Verdict {
    let (one, two) = tokio::try_join!(RedisServer::start(), RedisServer::start())?;
    assert_ne!(one.port(), two.port());
    assert_ne!(one.pid(), two.pid());
    one.kill().await?;
    two.ping().await?;
    Ok(())
}

/// Redis whose first port is taken by another listener between the choice and the start.
#[derive(Debug)]
struct Snatched {
    /// The listener on the first port. It is kept so that the port stays taken.
    rival: Mutex<Option<TcpListener>>,
    /// Takes the listener and the usual arguments, and returns the arguments for the first start.
    first: fn(TcpListener, Vec<OsString>) -> Vec<OsString>,
}

impl Engine for Snatched {
    fn program(&self) -> Program {
        Redis::new().program()
    }

    fn command_line(&self, data: &Path, addr: SocketAddr) -> Vec<OsString> {
        let args = Redis::new().command_line(data, addr);
        let mut rival = self.rival.lock().expect("no panic while locked");
        if rival.is_some() {
            return args;
        }
        let listener = TcpListener::bind(addr).expect("the port was free");
        let copy = listener.try_clone().expect("a second handle");
        *rival = Some(listener);
        (self.first)(copy, args)
    }

    fn url(&self, addr: SocketAddr) -> String {
        Redis::new().url(addr)
    }

    async fn ping(&self, addr: SocketAddr) -> io::Result<()> {
        Redis::new().ping(addr).await
    }

    async fn serves(&self, addr: SocketAddr, pid: u32) -> io::Result<bool> {
        Redis::new().serves(addr, pid).await
    }
}

impl Snatched {
    fn new(first: fn(TcpListener, Vec<OsString>) -> Vec<OsString>) -> Self {
        Self { rival: Mutex::new(None), first }
    }

    async fn launch(self) -> Verdict {
        let server = Server::launch(self).await?;
        // A ping cannot tell the server from its rival.
        let pid = server.pid().ok_or("the server has ended")?;
        assert!(Redis::new().serves(server.addr(), pid).await?);
        Ok(())
    }
}

async fn a_taken_port_means_another_port() -> Verdict {
    // The rival closes every connection, so only the early exit shows that the port is taken.
    Snatched::new(|rival, args| {
        thread::spawn(move || while rival.accept().is_ok() {});
        args
    })
    .launch()
    .await
}

async fn a_stranger_is_not_our_server() -> Verdict {
    // Our server runs but opens no port, while the rival answers like Redis, as another process.
    Snatched::new(|rival, args| {
        thread::spawn(move || rival.incoming().flatten().try_for_each(pretend_to_be_redis));
        args.into_iter().chain(["--port".into(), "0".into()]).collect()
    })
    .launch()
    .await
}

fn pretend_to_be_redis(mut client: impl Read + Write) -> io::Result<()> {
    let mut question = [0; 64];
    let length = client.read(&mut question)?;
    let info = "process_id:1\r\n";
    match &question[..length] {
        b"PING\r\n" => client.write_all(b"+PONG\r\n"),
        _ => write!(client, "${}\r\n{info}\r\n", info.len()),
    }
}

async fn a_refused_configuration_shows_the_log() -> Verdict {
    let outcome = Redis::new().args(["--no-such-setting", "yes"]).start().await;
    let Err(LaunchError::Failed { program, log, .. }) = outcome else {
        return Err(format!("unexpected: {outcome:?}").into());
    };
    assert_eq!(program, "redis-server");
    assert!(log.contains("no-such-setting"), "{log}");
    Ok(())
}

/// A shell script that never becomes a server.
#[derive(Debug)]
struct Script {
    program: &'static str,
    text: &'static str,
}

impl Engine for Script {
    fn program(&self) -> Program {
        Program::new(self.program, "apt-get install what-is-missing")
    }

    fn command_line(&self, _: &Path, _: SocketAddr) -> Vec<OsString> {
        vec!["-c".into(), self.text.into()]
    }

    fn url(&self, addr: SocketAddr) -> String {
        format!("script://{addr}")
    }

    async fn ping(&self, _: SocketAddr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn serves(&self, _: SocketAddr, _: u32) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

async fn an_early_end_shows_status_and_log() -> Verdict {
    let script = Script { program: "sh", text: "echo to the output; echo to the error >&2; exit 3" };
    let Err(error) = Server::launch(script).await else { return Err("a script became a server".into()) };
    let text = error.to_string();
    for part in ["sh did not start", "exit status: 3", "to the output", "to the error"] {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
    assert!(!error.is_not_installed());
    Ok(())
}

async fn a_missing_program_is_named() -> Verdict {
    let script = Script { program: "no-such-server", text: "" };
    let Err(error) = Server::launch(script).await else { return Err("nothing became a server".into()) };
    assert!(error.is_not_installed());
    let expected = "no-such-server is not installed (try: apt-get install what-is-missing)";
    assert_eq!(error.to_string(), expected);
    Ok(())
}

async fn missing_redis_says_how_to_install_it() -> Verdict {
    let output =
        helper::command("find an endpoint")?.env("PATH", "").env_remove("SESSION_REDIS_URL").output()?;
    assert!(!output.status.success());
    let expected = "redis-server is not installed (try: apt-get install redis-server)\n";
    assert_eq!(String::from_utf8(output.stdout)?, expected);
    Ok(())
}

async fn the_environment_names_an_external_server() -> Verdict {
    let url = "redis://:secret@redis.example:6379/2";
    let output = helper::command("find an endpoint")?.env("SESSION_REDIS_URL", url).output()?;
    assert_eq!(String::from_utf8(output.stdout)?, format!("external {url} External(..)\n"));
    assert!(output.status.success());
    Ok(())
}
