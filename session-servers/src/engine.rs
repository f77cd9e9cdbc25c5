//! What one kind of server has to say about itself.

use std::ffi::OsString;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use crate::Program;

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

    /// The URL under which clients reach the server at `addr`.
    fn url(&self, addr: SocketAddr) -> String;

    /// Asks the server at `addr` for a sign of life, over a new connection. The caller limits the time.
    fn ping(&self, addr: SocketAddr) -> impl Future<Output = io::Result<()>> + Send;

    /// The process id of whoever serves at `addr`, or an error for as long as nobody is ready to.
    ///
    /// This is how a start tells its own server from a stranger's on the same port.
    fn serving_pid(&self, addr: SocketAddr) -> impl Future<Output = io::Result<u32>> + Send;
}
