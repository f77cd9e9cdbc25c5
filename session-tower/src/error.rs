use std::{error::Error, fmt, ops::Deref};

/// The error of a handler whose session could not be loaded or changed. Wraps a
/// [`session_manager::SessionError`], which it derefs to; `?` converts it.
///
/// As an axum response, it is what the layer sends when it cannot save: see
/// [`SessionLayer::on_failure`](crate::SessionLayer::on_failure).
#[derive(Debug)]
pub struct SessionError(session_manager::SessionError);

impl SessionError {
    /// The wrapped error.
    pub fn into_inner(self) -> session_manager::SessionError {
        self.0
    }
}

impl From<session_manager::SessionError> for SessionError {
    fn from(error: session_manager::SessionError) -> Self {
        Self(error)
    }
}

impl Deref for SessionError {
    type Target = session_manager::SessionError;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for SessionError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
