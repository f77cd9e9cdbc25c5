//! What one kind of server has to say about itself.

use std::ffi::OsString;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::listener::listens;
use crate::{LaunchError, Program};

/// The signal by which a server is asked to end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shutdown {
    /// SIGTERM.
    #[default]
    Terminate,
    /// SIGINT: `PostgreSQL` ends at once then, and by SIGTERM only when its last client has gone.
    Interrupt,
}

/// One kind of server, with its configuration. [`Server`](crate::Server) does the rest.
///
/// The program must stay in the foreground, listen on the given address, keep everything it stores in the
/// given directory, and print its log.
pub trait Engine: fmt::Debug + Send + Sync + 'static {
    /// What to run.
    fn program(&self) -> Program;

    /// The arguments for a server which listens on `addr` and keeps its files in `data`, an existing
    /// directory.
    ///
    /// Called for every start, so also with another address after a port turned out to be taken.
    fn command_line(&self, data: &Path, addr: SocketAddr) -> Vec<OsString>;

    /// The system account to run as when we are root, for programs that refuse to be root themselves. None unless
    /// overridden.
    fn account(&self) -> Option<&str> {
        None
    }

    /// How the server is asked to end.
    fn shutdown(&self) -> Shutdown {
        Shutdown::default()
    }

    /// The commands which fill the empty directory `data` before the first start, each as a program and its arguments. None
    /// unless overridden.
    ///
    /// # Errors
    ///
    /// [`NotInstalled`](LaunchError::NotInstalled) when one of the programs is missing.
    fn preparation(&self, data: &Path) -> Result<Vec<Preparation>, LaunchError> {
        let _ = data;
        Ok(Vec::new())
    }

    /// The URL under which clients reach the server at `addr`.
    fn url(&self, addr: SocketAddr) -> String;

    /// Asks the server at `addr` for a sign of life, over a new connection. The caller limits the time.
    fn ping(&self, addr: SocketAddr) -> impl Future<Output = io::Result<()>> + Send;

    /// Whether the server that answers at `addr` is the process `pid`, which was started to serve there; an error for as long as
    /// nothing answers. The caller limits the time.
    ///
    /// This is how a start tells its own server from another program on the same port. As provided: pings the server and then asks
    /// the kernel which process listens. Only Linux tells, and only about processes of our own account unless we are root; a server
    /// about which it does not tell is believed.
    fn serves(&self, addr: SocketAddr, pid: u32) -> impl Future<Output = io::Result<bool>> + Send {
        async move {
            self.ping(addr).await?;
            Ok(tokio::task::spawn_blocking(move || listens(pid, addr.port())).await?.unwrap_or(true))
        }
    }
}

/// A command that must succeed before a server can start.
#[derive(Debug, Clone)]
pub struct Preparation {
    /// What to run.
    pub program: PathBuf,
    /// With which arguments.
    pub args: Vec<OsString>,
}
