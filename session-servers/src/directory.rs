//! The temporary directory of one server.

use std::env;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Once;

use tempfile::TempDir;

use crate::account::Account;

/// How much of a log an error quotes: enough for several messages, and short enough to read.
const TAIL: u64 = 4_096;

/// The prefix of the names of all directories.
const PREFIX: &str = "session-servers-";

/// The name of the lock file, which the process that owns the directory has locked.
const LOCK: &str = "lock";

/// A server's data and its log. Removed on drop.
///
/// It is left behind by a server in a `static`, and by a process that is killed. The next process
/// that needs a directory removes such remains.
#[derive(Debug)]
pub(crate) struct Directory {
    root: TempDir,
    account: Option<Account>,
    /// The kernel releases the lock when this process ends, in whatever way.
    _lock: File,
}

impl Directory {
    /// Creates a directory that belongs to `account`, or else to the account of this process.
    pub(crate) fn new(account: Option<Account>) -> io::Result<Self> {
        static SWEPT: Once = Once::new();
        SWEPT.call_once(|| sweep(&env::temp_dir()));
        let root = tempfile::Builder::new().prefix(PREFIX).tempdir()?;
        let lock = claim(root.path())?;
        let directory = Self { root, account, _lock: lock };
        fs::create_dir(directory.data())?;
        // Some programs require a directory that other accounts cannot read.
        fs::set_permissions(directory.data(), Permissions::from_mode(0o700))?;
        if let Some(account) = account {
            account.own(directory.root.path())?;
            account.own(&directory.data())?;
        }
        Ok(directory)
    }

    /// The account that the directory belongs to. `None` means that of this process.
    pub(crate) fn account(&self) -> Option<Account> {
        self.account
    }

    /// The directory in which the server keeps its files.
    pub(crate) fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    /// Opens the log to append the output of another run.
    pub(crate) fn open_log(&self) -> io::Result<File> {
        File::options().create(true).append(true).open(self.log())
    }

    /// The end of the log, over all runs. If the log cannot be read, the error text instead.
    pub(crate) fn log_tail(&self) -> String {
        self.read_tail().unwrap_or_else(|error| format!("(no log: {error})"))
    }

    fn read_tail(&self) -> io::Result<String> {
        let mut log = File::open(self.log())?;
        let length = log.metadata()?.len();
        log.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        log.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn log(&self) -> PathBuf {
        self.root.path().join("server.log")
    }
}

/// Marks a directory as owned by this process. The lock file gets its name only after it is locked,
/// so that no other process finds it unlocked.
fn claim(root: &Path) -> io::Result<File> {
    let unnamed = root.join("unlocked");
    let lock = File::create(&unnamed)?;
    lock.lock()?;
    fs::rename(unnamed, root.join(LOCK))?;
    Ok(lock)
}

/// Removes the directories of processes that have ended, as far as permissions allow.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX)
            && let Ok(lock) = File::open(entry.path().join(LOCK))
            && lock.try_lock().is_ok()
        {
            // A directory that cannot be removed, e.g. another user's, must not prevent a launch.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write;

    use super::{Directory, LOCK, PREFIX, TAIL, claim, sweep};

    #[test]
    fn what_a_process_that_has_ended_left_is_removed() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let [left, used, strange] = ["left", "used", "strange"].map(|name| {
            let path = parent.path().join(format!("{PREFIX}{name}"));
            fs::create_dir(&path).expect("a directory");
            path
        });
        // The kernel releases the lock when a process ends. In this test, closing the file does.
        drop(claim(&left).expect("a lock"));
        let _in_use = claim(&used).expect("a lock");
        File::create(parent.path().join(LOCK)).expect("a file");
        sweep(parent.path());
        assert!(!left.exists());
        assert!(used.exists() && strange.exists() && parent.path().join(LOCK).exists());
    }

    #[test]
    fn the_tail_is_the_end_of_all_runs() {
        let directory = Directory::new(None).expect("a temporary directory");
        for line in ["first run\n", &"x".repeat(5_000), "last words\n"] {
            directory.open_log().and_then(|mut log| log.write_all(line.as_bytes())).expect("a writable log");
        }
        let tail = directory.log_tail();
        assert_eq!(tail.len() as u64, TAIL);
        assert!(tail.ends_with("xlast words\n"));
    }
}
