//! `MariaDB`: one server, and a Galera cluster of several.

mod galera;
mod wire;

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::{Endpoint, Engine, LaunchError, Preparation, Program, Server};

pub use galera::{Galera, provider};

/// A launched `mariadbd`.
pub type MariaDbServer = Server<MariaDb>;

/// The subdirectory of the tables.
const FILES: &str = "files";
/// The subdirectory of temporary files. A server removes the files in it, so it must not be shared.
const TEMPORARY: &str = "temporary";

/// The database that exists from the start.
const DATABASE: &str = "sessions";

/// Runs `mariadbd` on the loopback address, with any further arguments.
///
/// The user is `root` without a password, and the database is `sessions`.
///
/// ```no_run
/// # async fn example() -> Result<(), session_servers::LaunchError> {
/// use session_servers::mariadb::MariaDb;
///
/// let small_packets = MariaDb::new().args(["--max-allowed-packet=1M"]).start().await?;
/// # Ok(())
/// # }
/// ```
///
/// Needs an account `mysql` if this process is root, because the server refuses to run as root.
#[derive(Debug, Clone, Default)]
pub struct MariaDb {
    args: Vec<OsString>,
}

impl MariaDb {
    /// The default configuration.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds arguments for `mariadbd`. They come last, so they override the defaults.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Starts a server with this configuration.
    ///
    /// # Errors
    ///
    /// As for [`Server::launch`].
    pub async fn start(self) -> Result<MariaDbServer, LaunchError> {
        Server::launch(self).await
    }
}

impl Engine for MariaDb {
    fn program(&self) -> Program {
        program("mariadbd")
    }

    fn command_line(&self, data: &Path, addr: SocketAddr) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec!["--no-defaults".into()];
        args.extend(places(data));
        args.extend([set("socket", &data.join("s")), set("pid-file", &data.join("pid"))]);
        args.push(format!("--bind-address={}", addr.ip()).into());
        args.push(format!("--port={}", addr.port()).into());
        // Without the first option, the server resolves a host name for each connection.
        args.extend(["--skip-name-resolve", "--max-connections=300"].map(Into::into));
        args.extend(self.args.iter().cloned());
        args
    }

    fn account(&self) -> Option<&str> {
        Some("mysql")
    }

    fn preparation(&self, data: &Path) -> Result<Vec<Preparation>, LaunchError> {
        let mkdir = |name: PathBuf| {
            let program = Program::new("mkdir", "apt-get install coreutils").find()?;
            Ok::<_, LaunchError>(Preparation { program, args: vec![name.into()] })
        };
        let install =
            ["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-log-bin"];
        let install = Preparation {
            program: program("mariadb-install-db").find()?,
            args: install.map(OsString::from).into_iter().chain(places(data)).collect(),
        };
        // A database is a directory, so creating the directory creates the database.
        let database = data.join(FILES).join(DATABASE);
        Ok(vec![mkdir(data.join(FILES))?, mkdir(data.join(TEMPORARY))?, install, mkdir(database)?])
    }

    fn url(&self, addr: SocketAddr) -> String {
        format!("mysql://root@{addr}/{DATABASE}")
    }

    async fn ping(&self, addr: SocketAddr) -> io::Result<()> {
        wire::ask(addr, "SELECT 1").await.map(drop)
    }

    async fn serves(&self, addr: SocketAddr, pid: u32) -> io::Result<bool> {
        // The server does not report its process id. Only its account may read its pid file, but
        // this process may, too.
        let file = wire::ask(addr, "SELECT @@pid_file").await?;
        let text = tokio::task::spawn_blocking(move || std::fs::read_to_string(file)).await??;
        Ok(text.trim() == pid.to_string())
    }
}

/// The server named by `SESSION_MYSQL_URL`, or a launched one.
///
/// # Errors
///
/// As for [`Server::launch`], and never for an external server.
pub async fn endpoint() -> Result<Endpoint<MariaDb>, LaunchError> {
    Endpoint::find("SESSION_MYSQL_URL", MariaDb::new()).await
}

fn places(data: &Path) -> [OsString; 2] {
    [set("datadir", &data.join(FILES)), set("tmpdir", &data.join(TEMPORARY))]
}

fn set(name: &str, path: &Path) -> OsString {
    [format!("--{name}=").into(), path.as_os_str().to_owned()].into_iter().collect()
}

/// A program of the server, which may be in a directory outside a user's `PATH`.
fn program(name: &str) -> Program {
    Program::new(name, "apt-get install mariadb-server")
        .or_in(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
}
