//! A child process which does not outlive its handle.

use std::io;
use std::process::{Child, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::family::Family;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::time::{sleep, timeout};

/// The interval of polling for changes that the kernel does not announce.
const POLL: Duration = Duration::from_millis(2);
/// The timeout of a process for obeying a signal. A server that writes a large file on shutdown
/// needs seconds, not minutes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running or finished child process. Dropping it kills and reaps the process, and kills its
/// children.
///
/// All methods that signal or reap hold the lock, so a signal reaches only our own child: until the
/// child is reaped, the kernel does not reuse its id.
#[derive(Debug)]
pub(crate) struct Process {
    child: Mutex<Child>,
}

impl Process {
    pub(crate) fn new(child: Child) -> Self {
        Self { child: Mutex::new(child) }
    }

    /// The process id, even after the process has finished.
    pub(crate) fn id(&self) -> u32 {
        self.child().id()
    }

    /// The exit status, if the process has ended.
    pub(crate) fn exited(&self) -> io::Result<Option<ExitStatus>> {
        self.child().try_wait()
    }

    /// Sends a signal, or fails with `NotFound` when the process has ended.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let mut child = self.child();
        if child.try_wait()?.is_some() {
            return Err(not_running());
        }
        Ok(kill_process(Pid::from_child(&child), signal)?)
    }

    /// Halts the process and its children. Returns once all of their threads are stopped.
    pub(crate) async fn freeze(&self) -> io::Result<()> {
        self.signal(Signal::STOP)?;
        patiently(async {
            while !self.is_frozen()? {
                sleep(POLL).await;
            }
            let family = self.family()?;
            family.signal(Signal::STOP);
            while !family.is_halted() {
                sleep(POLL).await;
            }
            Ok(())
        })
        .await
    }

    /// Lets the process and its children run again.
    pub(crate) fn thaw(&self) -> io::Result<()> {
        if self.exited()?.is_some() {
            return Err(not_running());
        }
        if self.is_frozen()? {
            self.family()?.signal(Signal::CONT);
        }
        self.signal(Signal::CONT)
    }

    /// Ends the process and its children at once, and waits until they are gone.
    pub(crate) async fn kill(&self) -> io::Result<ExitStatus> {
        if self.exited()?.is_none() {
            match self.freeze().await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Err(_ended) => {}
                Ok(()) => {
                    let family = self.family()?;
                    family.signal(Signal::KILL);
                    patiently(async {
                        while !family.has_ended() {
                            sleep(POLL).await;
                        }
                        self.signal(Signal::KILL)
                    })
                    .await?;
                }
            }
        }
        self.wait().await
    }

    /// The children of the process, which must be halted.
    fn family(&self) -> io::Result<Family> {
        let mut child = self.child();
        if child.try_wait()?.is_some() {
            return Err(not_running());
        }
        Ok(Family::of(Pid::from_child(&child)))
    }

    fn is_frozen(&self) -> io::Result<bool> {
        let child = self.child();
        // `NOWAIT` leaves the stop and the exit for the next freeze and for `try_wait` to see.
        let options =
            WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(Pid::from_child(&child)), options)? {
            Some(status) if status.stopped() => Ok(true),
            Some(_) => Err(not_running()),
            None => Ok(false),
        }
    }

    /// Waits for the end of the process, without a timeout.
    pub(crate) async fn ended(&self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.exited()? {
                return Ok(status);
            }
            sleep(POLL).await;
        }
    }

    /// Waits for the end of a process that is about to end. Fails after [`PATIENCE`].
    pub(crate) async fn wait(&self) -> io::Result<ExitStatus> {
        patiently(self.ended()).await
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut child = self.child();
        if let Ok(None) = child.try_wait() {
            let pid = Pid::from_child(&child);
            let halted = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            if kill_process(pid, Signal::STOP).is_ok() && waitid(WaitId::Pid(pid), halted).is_ok() {
                let family = Family::of(pid);
                family.signal(Signal::KILL);
                while !family.has_ended() {
                    std::thread::sleep(POLL);
                }
            }
        }
        // `Child::kill` does nothing to a process that was already reaped. SIGKILL also ends a
        // frozen process. A failure of either call leaves nothing to do.
        let _ = child.kill();
        let _ = child.wait();
    }
}

async fn patiently<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| {
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("the server did not obey within {PATIENCE:?}")))
    })
}

fn not_running() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the server is not running")
}
