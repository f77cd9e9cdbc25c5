//! `PostgreSQL`: one server, a streaming replica of it, and a pooler in front of it.

mod pgbouncer;
mod wire;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::{Endpoint, Engine, LaunchError, Preparation, Program, Server, Shutdown};

pub use pgbouncer::{PgBouncer, PgBouncerServer};

/// A launched `postgres`.
pub type PostgresServer = Server<Postgres>;

/// Runs `postgres` on the loopback address, with any further arguments.
///
/// The superuser and the database are both `postgres`, and there is no password.
///
/// ```no_run
/// # async fn example() -> Result<(), session_servers::LaunchError> {
/// use session_servers::postgres::Postgres;
///
/// let many_clients = Postgres::new().args(["-c", "max_connections=500"]).start().await?;
/// # Ok(())
/// # }
/// ```
///
/// Needs an account `postgres` if this process is root, because the server refuses to run as root.
#[derive(Debug, Clone, Default)]
pub struct Postgres {
    args: Vec<OsString>,
    primary: Option<SocketAddr>,
}

impl Postgres {
    /// The default configuration.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds arguments for `postgres`. They come last, so they override the defaults.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Makes the server a streaming replica of the launched server at `primary`. It accepts reads.
    #[must_use]
    pub fn replica_of(mut self, primary: SocketAddr) -> Self {
        self.primary = Some(primary);
        self
    }

    /// Starts a server with this configuration. When this returns, a replica has copied all
    /// existing data, and follows the primary.
    ///
    /// # Errors
    ///
    /// As for [`Server::launch`].
    pub async fn start(self) -> Result<PostgresServer, LaunchError> {
        Server::launch(self).await
    }
}

impl Engine for Postgres {
    fn program(&self) -> Program {
        program("postgres")
    }

    fn command_line(&self, data: &Path, addr: SocketAddr) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec!["-D".into(), data.into()];
        args.extend(["-p".into(), addr.port().to_string().into()]);
        for setting in [
            format!("listen_addresses={}", addr.ip()),
            "unix_socket_directories=".to_owned(),
            "max_connections=300".to_owned(),
            // On shutdown, the server waits that long for a client that has just connected and has
            // sent nothing yet.
            "authentication_timeout=10".to_owned(),
        ] {
            args.extend(["-c".into(), setting.into()]);
        }
        args.extend(self.args.iter().cloned());
        args
    }

    fn account(&self) -> Option<&str> {
        Some("postgres")
    }

    fn shutdown(&self) -> Shutdown {
        Shutdown::Interrupt
    }

    fn preparation(&self, data: &Path) -> Result<Vec<Preparation>, LaunchError> {
        let (name, args) = match self.primary {
            None => {
                let args = [
                    "-U",
                    "postgres",
                    "-A",
                    "trust",
                    "-E",
                    "UTF8",
                    "--locale=C",
                    "--no-instructions",
                    "--no-sync",
                ];
                ("initdb", args.map(OsString::from).to_vec())
            }
            Some(primary) => {
                let from = format!("postgresql://postgres@{primary}/?application_name=replica");
                let args = [
                    "--write-recovery-conf",
                    "--checkpoint=fast",
                    "--wal-method=stream",
                    "--no-sync",
                    "-d",
                    &from,
                ];
                ("pg_basebackup", args.map(OsString::from).to_vec())
            }
        };
        let directory = [OsString::from("-D"), data.into()];
        let args = args.into_iter().chain(directory).collect();
        Ok(vec![Preparation { program: program(name).find()?, args }])
    }

    fn url(&self, addr: SocketAddr) -> String {
        format!("postgres://postgres@{addr}/postgres")
    }

    async fn ping(&self, addr: SocketAddr) -> io::Result<()> {
        wire::ask(addr, "SELECT 1").await.map(drop)
    }

    async fn serves(&self, addr: SocketAddr, pid: u32) -> io::Result<bool> {
        let file = wire::ask(addr, "SELECT pg_read_file('postmaster.pid')").await?;
        Ok(file.lines().next().is_some_and(|line| line.trim() == pid.to_string()))
    }
}

/// The server named by `SESSION_POSTGRES_URL`, or a launched one.
///
/// # Errors
///
/// As for [`Server::launch`], and never for an external server.
pub async fn endpoint() -> Result<Endpoint<Postgres>, LaunchError> {
    Endpoint::find("SESSION_POSTGRES_URL", Postgres::new()).await
}

/// A program of the server. Debian installs each release in a directory outside `PATH`. The newest
/// release is used.
fn program(name: &str) -> Program {
    let releases = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut releases: Vec<(u32, PathBuf)> = releases
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    releases.sort_unstable_by(|one, other| other.cmp(one));
    Program::new(name, "apt-get install postgresql").or_in(releases.into_iter().map(|(_, path)| path))
}
