//! Finding a server's program.

use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::LaunchError;

/// A program, where it may be, and how to get it when it is not there.
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
    /// The program called `name`, which the command `install` provides.
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

    /// Looks into these directories, too, after `PATH`: for servers that packages install beside it.
    #[must_use]
    pub fn or_in(mut self, directories: impl IntoIterator<Item = PathBuf>) -> Self {
        self.directories.extend(directories);
        self
    }

    /// Lets the environment variable `name` hold the path of the program. When it is set, nothing else is tried.
    #[must_use]
    pub fn named_by(mut self, name: impl Into<String>) -> Self {
        self.variable = Some(name.into());
        self
    }

    /// The file to take when the program is not on `PATH`.
    #[must_use]
    pub fn or_at(mut self, file: impl Into<PathBuf>) -> Self {
        self.fallback = Some(file.into());
        self
    }

    /// Its name, as given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is: the file that its variable names, or else the first executable file of its name on `PATH`, or in the
    /// [other directories](Self::or_in), or else the file given for the case that there is none.
    ///
    /// # Errors
    ///
    /// [`LaunchError::NotInstalled`] when there is none, and when the variable names a file that cannot be executed.
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
