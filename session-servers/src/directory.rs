//! The temporary directory of one server.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::account::Account;

/// How much of a log an error quotes: enough for a stack of complaints, little enough to read.
const TAIL: u64 = 4_096;

/// A server's data and its log. Removed on drop.
#[derive(Debug)]
pub(crate) struct Directory {
    root: TempDir,
    account: Option<Account>,
}

impl Directory {
    /// A new one, which belongs to `account`, or else to us.
    pub(crate) fn new(account: Option<Account>) -> io::Result<Self> {
        let root = tempfile::Builder::new().prefix("session-servers-").tempdir()?;
        let directory = Self { root, account };
        fs::create_dir(directory.data())?;
        // Some programs want a directory that nobody else can look into.
        fs::set_permissions(directory.data(), Permissions::from_mode(0o700))?;
        if let Some(account) = account {
            account.own(directory.root.path())?;
            account.own(&directory.data())?;
        }
        Ok(directory)
    }

    /// Whom it belongs to, if not to us.
    pub(crate) fn account(&self) -> Option<Account> {
        self.account
    }

    /// Where the server keeps its files.
    pub(crate) fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    /// The log, opened for the output of one more run.
    pub(crate) fn open_log(&self) -> io::Result<File> {
        File::options().create(true).append(true).open(self.log())
    }

    /// The end of the log, over all runs. A log that cannot be read says so instead.
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{Directory, TAIL};

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
