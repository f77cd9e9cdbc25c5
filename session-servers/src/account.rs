//! The account that a server runs as.

use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::path::Path;

/// An account of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Account {
    /// Finds the account of this name if this process is root. Returns `None` if it is not root,
    /// and so cannot change its account.
    pub(crate) fn to_become(name: &str) -> io::Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let accounts = fs::read_to_string("/etc/passwd")?;
        Self::find(&accounts, name).map(Some).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("there is no account {name} in /etc/passwd"))
        })
    }

    fn find(accounts: &str, name: &str) -> Option<Self> {
        accounts.lines().find_map(|line| {
            let mut fields = line.split(':');
            if fields.next() != Some(name) {
                return None;
            }
            let mut number = |skipped| fields.nth(skipped)?.parse().ok();
            Some(Self { uid: number(1)?, gid: number(0)? })
        })
    }

    /// Changes the ownership of a file or directory to this account.
    pub(crate) fn own(self, path: &Path) -> io::Result<()> {
        chown(path, Some(self.uid), Some(self.gid))
    }
}

#[cfg(test)]
mod tests {
    use super::Account;

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let accounts =
            "root:x:0:0:root:/root:/bin/sh\npostgres2:x:7:8::/:\npostgres:x:101:104:admin:/var:/bin/bash\n";
        assert_eq!(Account::find(accounts, "postgres"), Some(Account { uid: 101, gid: 104 }));
        assert_eq!(Account::find(accounts, "mysql"), None);
    }
}
