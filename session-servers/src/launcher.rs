//! Starting child processes that die with this one.

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

/// What to start.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    /// The working directory.
    pub(crate) directory: PathBuf,
    /// Where standard output and error go.
    pub(crate) log: File,
    /// Whom to run as, if not as ourselves.
    pub(crate) account: Option<Account>,
}

/// A launch and who asked for it. The answer is a [`Process`] and not a bare child, so that it is killed when
/// the one who asked has gone away.
type Order = (Launch, oneshot::Sender<io::Result<Process>>);

/// The thread that starts everything. The kernel sends the parent-death signal when the *thread* that started
/// the child ends, so it must be one that lives as long as the process, not a test's or a runtime's.
static LAUNCHER: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
    let (sender, orders) = mpsc::channel();
    // When the thread cannot be had, the receiver is dropped, and every order fails as it should.
    let _ = thread::Builder::new().name("session-servers".into()).spawn(move || serve(&orders));
    sender
});

fn serve(orders: &mpsc::Receiver<Order>) {
    let leash = has_leash();
    for (launch, answer) in orders {
        let _ = answer.send(launch.run(leash));
    }
}

/// The program that runs another one with a parent-death signal, which std cannot ask for. It replaces itself
/// with that program, so that the child's id is the server's. The signal is asked for in the child: a parent
/// that dies in the moment before leaves the child behind.
///
/// The same program changes the account, and in this order: the kernel forgets the signal when the account changes.
fn leash(account: Option<&Account>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if let Some(Account { uid, gid }) = account {
        command.args(["--reuid", &uid.to_string(), "--regid", &gid.to_string(), "--clear-groups"]);
    }
    command.arg("--");
    command
}

/// Whether [`leash`] works here. Tried and not looked up: macOS has no such program, and `BusyBox` one
/// without the option.
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
            // Out of the terminal's foreground group, so that Ctrl-C reaches us only and we can still use the
            // server while we shut down. Without the leash, Ctrl-C is what ends the servers with us.
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
