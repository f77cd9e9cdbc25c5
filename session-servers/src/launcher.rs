//! Starts child processes that die with this one.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{LazyLock, mpsc};
use std::thread;

use tokio::sync::oneshot;

use crate::account::Account;
use crate::process::Process;

/// A process to start.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    /// The working directory.
    pub(crate) directory: PathBuf,
    /// The file that receives standard output and standard error.
    pub(crate) log: File,
    /// The account to run as. `None` keeps the account of this process.
    pub(crate) account: Option<Account>,
}

/// A launch and the channel for its result. The result is a [`Process`] and not a bare child, so
/// the process is killed if the caller has gone away.
type Order = (Launch, oneshot::Sender<io::Result<Process>>);

/// The thread that starts all processes. The kernel sends the parent-death signal when the *thread*
/// that started the child ends. It must therefore be a thread that lives as long as the process,
/// not one of a test or a runtime.
static LAUNCHER: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
    let (sender, orders) = mpsc::channel();
    // If the thread cannot be spawned, the receiver is dropped, and every order fails as it should.
    let _ = thread::Builder::new().name("session-servers".into()).spawn(move || serve(&orders));
    sender
});

fn serve(orders: &mpsc::Receiver<Order>) {
    let leash = has_leash();
    for (launch, answer) in orders {
        let _ = answer.send(launch.run(leash));
    }
}

/// A command that runs another program with a parent-death signal, which std cannot set.
///
/// It replaces itself with that program, so the child's id is that of the server. The signal is set
/// in the child: if the parent dies just before that, the child is left behind.
///
/// The command also changes the account, before it sets the signal: the kernel clears the signal
/// when the account changes.
fn leash(account: Option<&Account>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if let Some(Account { uid, gid }) = account {
        command.args(["--reuid", &uid.to_string(), "--regid", &gid.to_string(), "--clear-groups"]);
    }
    command.arg("--");
    command
}

/// Returns true if [`leash`] works here. It is tried and not looked up: macOS has no such program,
/// and the one of `BusyBox` lacks the option.
fn has_leash() -> bool {
    let quiet = || Stdio::null();
    let status = leash(None).arg("true").stdin(quiet()).stdout(quiet()).stderr(quiet()).status();
    status.is_ok_and(|status| status.success())
}

impl Launch {
    /// Starts the process.
    pub(crate) async fn start(self) -> io::Result<Process> {
        let gone = || io::Error::other("the launcher thread is gone");
        let (sender, answer) = oneshot::channel();
        LAUNCHER.send((self, sender)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    fn run(self, leashed: bool) -> io::Result<Process> {
        let mut command = if leashed {
            let mut command = leash(self.account.as_ref());
            command.arg(&self.program);
            // Leaves the terminal's foreground group, so that Ctrl-C reaches only this process,
            // which can still use the server while it shuts down. Without the leash, Ctrl-C must
            // reach the servers too, because nothing else ends them with this process.
            command.process_group(0);
            command
        } else {
            let mut command = Command::new(&self.program);
            if let Some(account) = &self.account {
                command.uid(account.uid).gid(account.gid);
            }
            command
        };
        command.args(self.args).current_dir(self.directory).stdin(Stdio::null());
        command.stdout(self.log.try_clone()?).stderr(self.log);
        command.spawn().map(Process::new)
    }
}
