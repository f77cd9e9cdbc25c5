//! The description of one kind of server.

use std::ffi::OsString;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::listener::listens;
use crate::{LaunchError, Program};

/// The signal that asks a server to shut down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shutdown {
    /// SIGTERM.
    #[default]
    Terminate,
    /// SIGINT. `PostgreSQL` then ends at once. On SIGTERM, it waits until its last client has gone.
    Interrupt,
}

/// One kind of server, with its configuration. [`Server`](crate::Server) launches and controls it.
///
/// The program must stay in the foreground, listen on the given address, keep everything it stores in the
/// given directory, and print its log.
pub trait Engine: fmt::Debug + Send + Sync + 'static {
    /// The program to run.
    fn program(&self) -> Program;

    /// The arguments for a server which listens on `addr` and keeps its files in `data`, an
    /// existing directory.
    ///
    /// Called for every start, so also with another address after a port turned out to be taken.
    fn command_line(&self, data: &Path, addr: SocketAddr) -> Vec<OsString>;

    /// The system account to run as if this process is root, for programs that refuse to run as
    /// root. Default: none.
    fn account(&self) -> Option<&str> {
        None
    }

    /// The signal that asks the server to shut down. Default: [`Shutdown::Terminate`].
    fn shutdown(&self) -> Shutdown {
        Shutdown::default()
    }

    /// The commands which fill the empty directory `data` before the first start, each as a program
    /// and its arguments. Default: none.
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

    /// Checks that the server at `addr` responds, over a new connection. The caller limits the
    /// time.
    fn ping(&self, addr: SocketAddr) -> impl Future<Output = io::Result<()>> + Send;

    /// Returns true if the server that answers at `addr` is the process `pid`, which was started to
    /// serve there. Returns an error while no server answers. The caller limits the time.
    ///
    /// A start uses this to tell its own server from another program on the same port. The provided
    /// implementation pings the server and then asks the kernel which process listens. Only Linux
    /// tells, and only about processes of our own account unless this process is root. If the
    /// kernel does not tell, the server is assumed to be the right one.
    fn serves(&self, addr: SocketAddr, pid: u32) -> impl Future<Output = io::Result<bool>> + Send {
        async move {
            self.ping(addr).await?;
            Ok(tokio::task::spawn_blocking(move || listens(pid, addr.port())).await?.unwrap_or(true))
        }
    }
}

/// A command that must succeed before the first start of a server.
#[derive(Debug, Clone)]
pub struct Preparation {
    /// The program to run.
    pub program: PathBuf,
    /// The arguments of the program.
    pub args: Vec<OsString>,
}
