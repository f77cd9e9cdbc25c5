//! A server that is known only as a program with a port.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use tokio::net::TcpStream;

use crate::{Engine, LaunchError, Program, Server};

/// Runs a server of which this crate knows only the command, for third-party engines.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use session_servers::ChildServer;
///
/// let memcached = ChildServer::command("memcached").args(["-l", "127.0.0.1", "-p", ChildServer::PORT, "-U", "0"]);
/// let server = memcached.run_as("nobody").start().await?;
/// let _client = tokio::net::TcpStream::connect(server.addr()).await?;
/// # Ok(())
/// # }
/// ```
///
/// The program must stay in the foreground and listen on the loopback address. It is ready when it
/// accepts connections. A [`ping`](Server::ping) succeeds if it accepts one, which the kernel does
/// even for a frozen server. An engine that needs more implements [`Engine`].
#[derive(Debug, Clone)]
pub struct ChildServer {
    program: Program,
    args: Vec<String>,
    account: Option<String>,
}

impl ChildServer {
    /// Placeholder for the port in [`args`](Self::args), as a whole argument or within one.
    pub const PORT: &'static str = "{port}";

    /// Placeholder for the server's directory in [`args`](Self::args). The directory is empty at
    /// the first start and is also the working directory.
    pub const DIRECTORY: &'static str = "{directory}";

    /// The program of this name on `PATH`, or at this absolute path, without arguments.
    #[must_use]
    pub fn command(program: impl Into<String>) -> Self {
        let program = program.into();
        let install = format!("put {program} on PATH");
        Self { program: Program::new(program, install), args: Vec::new(), account: None }
    }

    /// Adds arguments, in which [`PORT`](Self::PORT) and [`DIRECTORY`](Self::DIRECTORY) are replaced.
    #[must_use]
    pub fn args<A: Into<String>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// The system account to run as if this process is root, for programs that refuse to run as
    /// root. Default: the account of this process.
    #[must_use]
    pub fn run_as(mut self, name: impl Into<String>) -> Self {
        self.account = Some(name.into());
        self
    }

    /// The command that installs the program. An error names it when the program is missing.
    #[must_use]
    pub fn installed_by(mut self, command: impl Into<String>) -> Self {
        self.program = Program::new(self.program.name(), command);
        self
    }

    /// Starts a server with this configuration.
    ///
    /// # Errors
    ///
    /// As for [`Server::launch`].
    pub async fn start(self) -> Result<Server<Self>, LaunchError> {
        Server::launch(self).await
    }
}

impl Engine for ChildServer {
    fn program(&self) -> Program {
        self.program.clone()
    }

    fn command_line(&self, data: &Path, addr: SocketAddr) -> Vec<OsString> {
        let (port, directory) = (addr.port().to_string(), data.to_string_lossy());
        let replace = |arg: &String| arg.replace(Self::PORT, &port).replace(Self::DIRECTORY, &directory);
        self.args.iter().map(replace).map(OsString::from).collect()
    }

    fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    fn url(&self, addr: SocketAddr) -> String {
        format!("tcp://{addr}")
    }

    async fn ping(&self, addr: SocketAddr) -> io::Result<()> {
        TcpStream::connect(addr).await.map(drop)
    }
}
