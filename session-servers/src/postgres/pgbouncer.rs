//! A connection pooler in front of a server.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::wire;
use crate::{Engine, LaunchError, Program, Server};

/// A launched `pgbouncer`.
pub type PgBouncerServer = Server<PgBouncer>;

/// The name of the administration database of the pooler.
const CONSOLE: &str = "pgbouncer";

/// Runs `pgbouncer` in front of one server.
///
/// It listens on the loopback address, accepts the superuser without a password, and uses
/// transaction mode. Further settings can be added.
///
/// ```no_run
/// # async fn example() -> Result<(), session_servers::LaunchError> {
/// use session_servers::postgres::{PgBouncer, Postgres};
///
/// let server = Postgres::new().start().await?;
/// let pooler = PgBouncer::before(server.addr()).settings(["default_pool_size = 2"]).start().await?;
/// # Ok(())
/// # }
/// ```
///
/// Needs an account `postgres` if this process is root, because `pgbouncer` refuses to run as root.
#[derive(Debug, Clone)]
pub struct PgBouncer {
    server: SocketAddr,
    settings: Vec<String>,
}

impl PgBouncer {
    /// The default configuration, in front of the launched server at `server`.
    #[must_use]
    pub fn before(server: SocketAddr) -> Self {
        Self { server, settings: Vec::new() }
    }

    /// Adds lines to the section `[pgbouncer]` of the configuration file. They come last, so they
    /// override the defaults.
    #[must_use]
    pub fn settings<S: Into<String>>(mut self, lines: impl IntoIterator<Item = S>) -> Self {
        self.settings.extend(lines.into_iter().map(Into::into));
        self
    }

    /// Starts a pooler with this configuration.
    ///
    /// # Errors
    ///
    /// As for [`Server::launch`].
    pub async fn start(self) -> Result<PgBouncerServer, LaunchError> {
        Server::launch(self).await
    }

    fn configuration(&self, data: &Path, addr: SocketAddr) -> String {
        let (host, port) = (self.server.ip(), self.server.port());
        let mut lines = vec![
            "[databases]".to_owned(),
            format!("* = host={host} port={port} user=postgres"),
            "[pgbouncer]".to_owned(),
            format!("listen_addr = {}", addr.ip()),
            format!("listen_port = {}", addr.port()),
            format!("pidfile = {}", data.join("pid").display()),
            "unix_socket_dir =".to_owned(),
            "auth_type = any".to_owned(),
            "pool_mode = transaction".to_owned(),
            "max_client_conn = 500".to_owned(),
        ];
        lines.extend(self.settings.iter().cloned());
        lines.join("\n") + "\n"
    }
}

impl Engine for PgBouncer {
    fn program(&self) -> Program {
        Program::new("pgbouncer", "apt-get install pgbouncer")
            .or_in(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
    }

    /// Also creates the configuration file, without which the pooler does not start.
    fn command_line(&self, data: &Path, addr: SocketAddr) -> Vec<OsString> {
        let file = data.join("pgbouncer.ini");
        // If the file cannot be written, the pooler reports that in its log.
        let _ = fs::write(&file, self.configuration(data, addr));
        vec![file.into()]
    }

    fn account(&self) -> Option<&str> {
        Some("postgres")
    }

    fn url(&self, addr: SocketAddr) -> String {
        format!("postgres://postgres@{addr}/postgres")
    }

    async fn ping(&self, addr: SocketAddr) -> io::Result<()> {
        wire::rows(addr, CONSOLE, "SHOW VERSION").await.map(drop)
    }

    async fn serves(&self, addr: SocketAddr, pid: u32) -> io::Result<bool> {
        let settings = wire::rows(addr, CONSOLE, "SHOW CONFIG").await?;
        let file = settings.into_iter().find(|setting| setting.first().is_some_and(|name| name == "pidfile"));
        let file = file.and_then(|setting| setting.into_iter().nth(1)).unwrap_or_default();
        let text = tokio::task::spawn_blocking(move || fs::read_to_string(file)).await??;
        Ok(text.trim() == pid.to_string())
    }
}
