//! Finding a server's program.

use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::LaunchError;

/// A program on `PATH`, and how to get it when it is not there.
///
/// ```
/// let shell = session_servers::Program::new("sh", "apt-get install dash");
/// assert!(shell.find().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    name: String,
    install: String,
    directories: Vec<PathBuf>,
}

impl Program {
    /// The program called `name`, which the command `install` provides.
    #[must_use]
    pub fn new(name: impl Into<String>, install: impl Into<String>) -> Self {
        Self { name: name.into(), install: install.into(), directories: Vec::new() }
    }

    /// Looks into these directories, too, after `PATH`: for servers that packages install beside it.
    #[must_use]
    pub fn or_in(mut self, directories: impl IntoIterator<Item = PathBuf>) -> Self {
        self.directories.extend(directories);
        self
    }

    /// Its name, as given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is: the first executable file of that name on `PATH`, or in the [other directories](Self::or_in).
    ///
    /// # Errors
    ///
    /// [`LaunchError::NotInstalled`] when there is none.
    pub fn find(&self) -> Result<PathBuf, LaunchError> {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path)
            .chain(self.directories.iter().cloned())
            .map(|directory| directory.join(&self.name))
            .find(|file| is_executable(file))
            .ok_or_else(|| LaunchError::NotInstalled {
                program: self.name.clone(),
                install: self.install.clone(),
            })
    }
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}
