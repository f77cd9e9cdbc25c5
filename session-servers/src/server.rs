//! A launched server.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::timeout;

use crate::account::Account;
use crate::directory::Directory;
use crate::ports::free_addr;
use crate::process::Process;
use crate::run::{prepare, run};
use crate::{Engine, LaunchError, Shutdown};

/// How many ports are tried before giving up. A second one is rare, so many in a row mean something else.
const PORTS: usize = 10;
/// How long [`Server::ping`] waits.
const PING: Duration = Duration::from_secs(1);

/// A real server on a port of its own, with a temporary directory of its own, which can be broken on purpose.
///
/// The address and the data last from the start to the drop; the process comes and goes. Everything works
/// through `&self`, so that one task can break the server that others use. [`stop`](Self::stop),
/// [`kill`](Self::kill) and [`restart`](Self::restart) take turns.
///
/// Dropping it kills the process, frozen or not, reaps it, and removes the directory. That blocks the thread
/// for the few milliseconds which the kernel needs. A `static` is never dropped: its process ends with ours,
/// but its directory stays.
#[derive(Debug)]
pub struct Server<E> {
    engine: E,
    program: PathBuf,
    addr: SocketAddr,
    turn: tokio::sync::Mutex<()>,
    // Above the directory, so that it is dropped first: a live server would write while its files are
    // removed.
    process: Mutex<Arc<Process>>,
    directory: Directory,
}

impl<E: Engine + Default> Server<E> {
    /// Starts a server with the default configuration. See [`launch`](Self::launch).
    ///
    /// # Errors
    ///
    /// As for [`launch`](Self::launch).
    pub async fn start() -> Result<Self, LaunchError> {
        Self::launch(E::default()).await
    }
}

impl<E: Engine> Server<E> {
    /// Starts a server, and returns once it answers on its port.
    ///
    /// # Errors
    ///
    /// [`NotInstalled`](LaunchError::NotInstalled) when there is no such program,
    /// [`Failed`](LaunchError::Failed) with the end of its log when it does not come up,
    /// [`PortTaken`](LaunchError::PortTaken) when ten ports in a row were snatched away,
    /// [`Io`](LaunchError::Io) when the machine is out of something.
    pub async fn launch(engine: E) -> Result<Self, LaunchError> {
        let program = engine.program().find()?;
        let account = match engine.account() {
            Some(name) => Account::to_become(name).map_err(LaunchError::io("find the server's account"))?,
            None => None,
        };
        let directory = Directory::new(account).map_err(LaunchError::io("create a temporary directory"))?;
        prepare(&engine, &directory).await?;
        let mut attempt = 1;
        let (addr, process) = loop {
            let addr = free_addr().map_err(LaunchError::io("find a free port"))?;
            match run(&engine, &program, &directory, addr).await {
                Ok(process) => break (addr, Mutex::new(Arc::new(process))),
                Err(LaunchError::PortTaken { .. }) if attempt < PORTS => attempt += 1,
                Err(error) => return Err(error),
            }
        };
        Ok(Self { engine, program, addr, turn: tokio::sync::Mutex::default(), process, directory })
    }

    /// What it was launched with.
    #[must_use]
    pub fn engine(&self) -> &E {
        &self.engine
    }

    /// The URL for clients.
    #[must_use]
    pub fn url(&self) -> String {
        self.engine.url(self.addr)
    }

    /// The address on which it listens whenever it runs.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The port of [`addr`](Self::addr).
    #[must_use]
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// The process id, while it runs. Another one after a restart.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        let process = self.process();
        matches!(process.exited(), Ok(None)).then(|| process.id())
    }

    /// The last four kilobytes of what it printed, over all of its runs.
    #[must_use]
    pub fn log(&self) -> String {
        self.directory.log_tail()
    }

    /// Asks for a sign of life, over a new connection and without credentials.
    ///
    /// # Errors
    ///
    /// `TimedOut` after a second without an answer (it is frozen), `ConnectionRefused` when it does not run,
    /// otherwise whatever went wrong.
    pub async fn ping(&self) -> io::Result<()> {
        timeout(PING, self.engine.ping(self.addr)).await.unwrap_or_else(|_| {
            Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("{} did not answer within {PING:?}", self.addr),
            ))
        })
    }

    /// Freezes it and its child processes (SIGSTOP): connections stay open and new ones are even accepted by the kernel, but nobody
    /// answers. When this returns, it executes nothing more. Freezing it again changes nothing.
    ///
    /// # Errors
    ///
    /// `NotFound` when it does not run, `TimedOut` when it could not be halted within 30 seconds.
    pub async fn freeze(&self) -> io::Result<()> {
        self.process().freeze().await
    }

    /// Lets it run again (SIGCONT), with everything that has arrived in the meantime.
    ///
    /// # Errors
    ///
    /// `NotFound` when it does not run.
    pub fn thaw(&self) -> io::Result<()> {
        self.process().thaw()
    }

    /// Asks it to [shut down](Engine::shutdown) and waits until it has; a frozen server is thawed for that. Returns how
    /// it ended; a server that does not run ended before, which is not an error.
    ///
    /// # Errors
    ///
    /// `TimedOut` when it has not ended within 30 seconds; it may still be running then.
    pub async fn stop(&self) -> io::Result<ExitStatus> {
        let _turn = self.turn.lock().await;
        self.end().await
    }

    /// Kills it and its child processes (SIGKILL), frozen or not, as in a crash, and waits until it is gone. Returns how it ended, as
    /// [`stop`](Self::stop) does.
    ///
    /// # Errors
    ///
    /// `TimedOut` when the kernel has not ended it within 30 seconds.
    pub async fn kill(&self) -> io::Result<ExitStatus> {
        let _turn = self.turn.lock().await;
        self.process().kill().await
    }

    /// Starts it again on the same port and the same data, and returns once it answers. One that still runs
    /// is shut down first, as by [`stop`](Self::stop). Dropping the future leaves it stopped.
    ///
    /// # Errors
    ///
    /// As for [`launch`](Self::launch); there is no other port to try here. The server is stopped then.
    pub async fn restart(&self) -> Result<(), LaunchError> {
        let _turn = self.turn.lock().await;
        self.end().await.map_err(LaunchError::io("stop the server"))?;
        let process = run(&self.engine, &self.program, &self.directory, self.addr).await?;
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(process);
        Ok(())
    }

    async fn end(&self) -> io::Result<ExitStatus> {
        let process = self.process();
        let signal = match self.engine.shutdown() {
            Shutdown::Terminate => Signal::TERM,
            Shutdown::Interrupt => Signal::INT,
        };
        // The order of the signals makes the shutdown the first thing that a frozen server does.
        match process.signal(signal).and_then(|()| process.thaw()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        process.wait().await
    }

    fn process(&self) -> Arc<Process> {
        Arc::clone(&self.process.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
