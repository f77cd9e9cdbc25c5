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

/// How many ports are tried. A second try is rare, so many failures in a row have another cause.
const PORTS: usize = 10;
/// The timeout of [`Server::ping`].
const PING: Duration = Duration::from_secs(1);

/// A real server with its own port and temporary directory, which can be broken on purpose.
///
/// The address and the data last from the start to the drop, over all restarts of the process. All
/// methods take `&self`, so one task can break a server that other tasks use. Concurrent calls of
/// [`stop`](Self::stop), [`kill`](Self::kill) and [`restart`](Self::restart) run one after another.
///
/// Dropping the server kills the process, frozen or not, reaps it, and removes the directory. That
/// blocks the thread for the few milliseconds which the kernel needs. A `static` is never dropped:
/// its process ends with ours, but its directory stays.
#[derive(Debug)]
pub struct Server<E> {
    engine: E,
    program: PathBuf,
    addr: SocketAddr,
    turn: tokio::sync::Mutex<()>,
    // Declared before the directory, so that it is dropped first. A live server would write files
    // while the directory is being removed.
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
    /// [`PortTaken`](LaunchError::PortTaken) when ten ports in a row were taken by other processes,
    /// [`Io`](LaunchError::Io) when the machine lacks a resource.
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

    /// The engine that the server was launched with.
    #[must_use]
    pub fn engine(&self) -> &E {
        &self.engine
    }

    /// The URL for clients.
    #[must_use]
    pub fn url(&self) -> String {
        self.engine.url(self.addr)
    }

    /// The address on which the server listens whenever it runs.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The port of [`addr`](Self::addr).
    #[must_use]
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// The process id, while the server runs. It changes with a restart.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        let process = self.process();
        matches!(process.exited(), Ok(None)).then(|| process.id())
    }

    /// The last four kilobytes of the server's output, over all of its runs.
    #[must_use]
    pub fn log(&self) -> String {
        self.directory.log_tail()
    }

    /// Checks that the server responds, over a new connection and without credentials.
    ///
    /// # Errors
    ///
    /// `TimedOut` after a second without an answer (the server is frozen), `ConnectionRefused` when
    /// it does not run, otherwise the error that occurred.
    pub async fn ping(&self) -> io::Result<()> {
        timeout(PING, self.engine.ping(self.addr)).await.unwrap_or_else(|_| {
            Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("{} did not answer within {PING:?}", self.addr),
            ))
        })
    }

    /// Freezes the server and its child processes (SIGSTOP).
    ///
    /// Connections stay open, and the kernel even accepts new ones, but no request is answered.
    /// When this returns, the server executes nothing more. Freezing it again is a no-op.
    ///
    /// # Errors
    ///
    /// `NotFound` when it does not run, `TimedOut` when it could not be halted within 30 seconds.
    pub async fn freeze(&self) -> io::Result<()> {
        self.process().freeze().await
    }

    /// Resumes a frozen server (SIGCONT). It then handles everything that arrived in the meantime.
    ///
    /// # Errors
    ///
    /// `NotFound` when it does not run.
    pub fn thaw(&self) -> io::Result<()> {
        self.process().thaw()
    }

    /// Asks the server to [shut down](Engine::shutdown), waits until it has, and returns its exit
    /// status.
    ///
    /// A frozen server is thawed first. For a server that has already ended, returns its status,
    /// which is not an error.
    ///
    /// # Errors
    ///
    /// `TimedOut` when the server has not ended within 30 seconds. It may then still be running.
    pub async fn stop(&self) -> io::Result<ExitStatus> {
        let _turn = self.turn.lock().await;
        self.end().await
    }

    /// Kills the server and its child processes (SIGKILL), frozen or not, as in a crash. Waits
    /// until it is gone, and returns its exit status as [`stop`](Self::stop) does.
    ///
    /// # Errors
    ///
    /// `TimedOut` when the kernel has not ended it within 30 seconds.
    pub async fn kill(&self) -> io::Result<ExitStatus> {
        let _turn = self.turn.lock().await;
        self.process().kill().await
    }

    /// Starts the server again on the same port and the same data, and returns once it answers.
    ///
    /// A running server is shut down first, as by [`stop`](Self::stop). Dropping the future leaves
    /// the server stopped.
    ///
    /// # Errors
    ///
    /// As for [`launch`](Self::launch), but no other port is tried. The server is then stopped.
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
        // With this order of the signals, a frozen server shuts down before it does anything else.
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
