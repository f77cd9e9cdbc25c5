//! Requirements on every kind of server, tested on servers with special needs: several processes,
//! another account, a directory to be filled.

use std::fs;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use libtest_mimic::Trial;
use session_servers::mariadb::MariaDb;
use session_servers::postgres::{PgBouncer, Postgres};
use session_servers::{Engine, Server};

use crate::helper;
use crate::trials::{Verdict, case, case_with};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = of::<Postgres>("postgres");
    trials.extend(of::<MariaDb>("mysql"));
    let program = || Postgres::new().program();
    trials.push(case_with("postgres_a_replica_follows", "postgres", program(), a_replica_follows));
    let pooler = || PgBouncer::before(([127, 0, 0, 1], 0).into()).program();
    trials.push(case_with("postgres_a_pooler_stands_before", "pgbouncer", pooler(), a_pooler_stands_before));
    trials.push(case("missing_servers_say_how_to_install_them", missing_servers_say_how_to_install_them));
    trials.push(case("the_environment_names_external_databases", the_environment_names_external_databases));
    trials
}

/// The cases for one kind of server, whose name in `SESSION_REQUIRE` is `name`.
fn of<E: Engine + Default>(name: &'static str) -> Vec<Trial> {
    let (named, program) = (|case: &str| format!("{name}_{case}"), || E::default().program());
    vec![
        case_with(&named("starts_beside_another"), name, program(), starts_beside_another::<E>),
        case_with(&named("freeze_and_thaw"), name, program(), freeze_and_thaw::<E>),
        case_with(&named("kill_and_restart"), name, program(), kill_and_restart::<E>),
        case_with(&named("stop_is_graceful"), name, program(), stop_is_graceful::<E>),
        case_with(&named("drop_leaves_no_process"), name, program(), drop_leaves_no_process::<E>),
    ]
}

async fn starts_beside_another<E: Engine + Default>() -> Verdict {
    let (one, other) = tokio::try_join!(Server::<E>::start(), Server::<E>::start())?;
    assert_ne!(one.port(), other.port());
    one.kill().await?;
    other.ping().await?;
    Ok(())
}

async fn freeze_and_thaw<E: Engine + Default>() -> Verdict {
    let server = Server::<E>::start().await?;
    let pid = server.pid().ok_or("the server has ended")?;
    for _ in 0..10 {
        server.freeze().await?;
        for process in family(pid) {
            assert!(matches!(state(process), Some('T' | 'Z') | None), "process {process} still runs");
        }
        server.thaw()?;
        server.ping().await?;
    }
    server.freeze().await?;
    assert_eq!(server.ping().await.err().map(|error| error.kind()), Some(io::ErrorKind::TimedOut));
    let status = server.stop().await?;
    assert!(status.success(), "{status}");
    Ok(())
}

async fn kill_and_restart<E: Engine + Default>() -> Verdict {
    let server = Server::<E>::start().await?;
    let addr = server.addr();
    for frozen in [false, true] {
        let family = family(server.pid().ok_or("the server has ended")?);
        if frozen {
            server.freeze().await?;
        }
        server.kill().await?;
        for process in family {
            assert!(matches!(state(process), Some('Z') | None), "process {process} has outlived the kill");
        }
        assert_eq!(
            server.ping().await.err().map(|error| error.kind()),
            Some(io::ErrorKind::ConnectionRefused)
        );
        server.restart().await?;
        assert_eq!(server.addr(), addr);
        server.ping().await?;
    }
    Ok(())
}

async fn stop_is_graceful<E: Engine + Default>() -> Verdict {
    let server = Server::<E>::start().await?;
    // A shutdown does not wait for a client that stays connected.
    let _client = tokio::net::TcpStream::connect(server.addr()).await?;
    let status = server.stop().await?;
    assert!(status.success(), "{status}");
    server.restart().await?;
    server.ping().await?;
    Ok(())
}

async fn drop_leaves_no_process<E: Engine + Default>() -> Verdict {
    for frozen in [false, true] {
        let server = Server::<E>::start().await?;
        let family = family(server.pid().ok_or("the server has ended")?);
        if frozen {
            server.freeze().await?;
        }
        drop(server);
        for process in family {
            assert!(matches!(state(process), Some('Z') | None), "process {process} still exists");
        }
    }
    Ok(())
}

async fn a_pooler_stands_before() -> Verdict {
    let server = Server::<Postgres>::start().await?;
    let pooler = PgBouncer::before(server.addr()).start().await?;
    assert_ne!(pooler.pid(), server.pid());
    server.kill().await?;
    pooler.ping().await?;
    pooler.kill().await?;
    pooler.restart().await?;
    pooler.freeze().await?;
    // For the pooler, `SIGTERM` is the immediate shutdown, which exits with 1.
    assert_eq!(pooler.stop().await?.code(), Some(1));
    Ok(())
}

async fn a_replica_follows() -> Verdict {
    let primary = Server::<Postgres>::start().await?;
    let replica = Postgres::new().replica_of(primary.addr()).start().await?;
    assert_ne!(replica.pid(), primary.pid());
    replica.ping().await?;
    replica.kill().await?;
    replica.restart().await?;
    // The replica answers reads before it streams.
    while !replica.log().contains("started streaming WAL from primary") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    primary.ping().await?;
    Ok(())
}

async fn missing_servers_say_how_to_install_them() -> Verdict {
    for (role, variable, packages) in [
        (
            "find postgres",
            "SESSION_POSTGRES_URL",
            ["postgres is not installed (try: apt-get install postgresql)", "initdb"],
        ),
        (
            "find mariadb",
            "SESSION_MYSQL_URL",
            ["mariadbd is not installed (try: apt-get install mariadb-server)", ""],
        ),
    ] {
        let output =
            helper::command(role)?.env("PATH", "").env_remove(variable).stdin(Stdio::null()).output()?;
        let said = String::from_utf8(output.stdout)?;
        // A server that is installed outside `PATH` is found there.
        assert!(said.starts_with("launched") || packages.iter().any(|text| said.starts_with(text)), "{said}");
    }
    Ok(())
}

async fn the_environment_names_external_databases() -> Verdict {
    for (role, variable, url) in [
        ("find postgres", "SESSION_POSTGRES_URL", "postgres://me:secret@db.example/app"),
        ("find mariadb", "SESSION_MYSQL_URL", "mysql://me:secret@db.example/app"),
    ] {
        let output = helper::command(role)?.env(variable, url).output()?;
        assert_eq!(String::from_utf8(output.stdout)?, format!("external {url} External(..)\n"));
    }
    Ok(())
}

/// A process and its children. Only Linux reports them. On other systems, only the answers of the
/// server are checked.
fn family(pid: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers
        .filter(|process| {
            *process == pid || field(*process, 1).is_some_and(|parent| parent == pid.to_string())
        })
        .collect()
}

fn state(process: u32) -> Option<char> {
    field(process, 0)?.chars().next()
}

/// A field of the kernel's status of a process, counted from its state.
fn field(process: u32, number: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before the state is in parentheses and can contain any character.
    stat.rsplit(')').next()?.split_whitespace().nth(number).map(str::to_owned)
}
