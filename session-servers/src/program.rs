//! Finding a server's program.

use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::LaunchError;

/// A program, the places where it may be, and the command that installs it.
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
    variable: Option<String>,
    fallback: Option<PathBuf>,
}

impl Program {
    /// A program called `name`, which the command `install` installs.
    #[must_use]
    pub fn new(name: impl Into<String>, install: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            install: install.into(),
            directories: Vec::new(),
            variable: None,
            fallback: None,
        }
    }

    /// Also searches these directories, after `PATH`: for servers that packages install outside it.
    #[must_use]
    pub fn or_in(mut self, directories: impl IntoIterator<Item = PathBuf>) -> Self {
        self.directories.extend(directories);
        self
    }

    /// Lets the environment variable `name` hold the path of the program. If it is set, no other
    /// place is searched.
    #[must_use]
    pub fn named_by(mut self, name: impl Into<String>) -> Self {
        self.variable = Some(name.into());
        self
    }

    /// The file to use if the program is in none of the searched directories.
    #[must_use]
    pub fn or_at(mut self, file: impl Into<PathBuf>) -> Self {
        self.fallback = Some(file.into());
        self
    }

    /// The name of the program, as given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Finds the program.
    ///
    /// Returns the file that the variable names. If there is none, returns the first executable
    /// file of this name on `PATH`, then in the [other directories](Self::or_in), then the
    /// [fallback file](Self::or_at).
    ///
    /// # Errors
    ///
    /// [`LaunchError::NotInstalled`] if no file is found, or if the variable names a file that is
    /// not executable.
    pub fn find(&self) -> Result<PathBuf, LaunchError> {
        if let Some(variable) = &self.variable
            && let Some(file) = env::var_os(variable).filter(|file| !file.is_empty()).map(PathBuf::from)
        {
            return if is_executable(&file) { Ok(file) } else { Err(self.not_at(variable, &file)) };
        }
        let path = env::var_os("PATH").unwrap_or_default();
        let on_path = env::split_paths(&path).map(|directory| directory.join(&self.name));
        let elsewhere = self.directories.iter().map(|directory| directory.join(&self.name));
        on_path.chain(elsewhere).chain(self.fallback.clone()).find(|file| is_executable(file)).ok_or_else(
            || LaunchError::NotInstalled { program: self.name.clone(), install: self.install.clone() },
        )
    }

    fn not_at(&self, variable: &str, file: &Path) -> LaunchError {
        LaunchError::NotInstalled {
            program: format!("{} at {}, which {variable} names,", self.name, file.display()),
            install: format!("unset {variable}, or {}", self.install),
        }
    }
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}
