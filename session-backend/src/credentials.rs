use std::{fmt, future::Future, sync::Arc};

use async_trait::async_trait;
use session_core::Result;

/// A text that must not be shown. Its `Debug` reveals nothing of it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text, for the driver that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for Secret {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// The user of a server, and the password. Its `Debug` does not show the password.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The user; `None` for the one that the URL or the builder names.
    pub user: Option<String>,
    /// The password.
    pub password: Secret,
}

impl Credentials {
    /// A user and the password.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: Some(user.into()), password: Secret(password.into()) }
    }

    /// A password alone, for the user that the URL or the builder names.
    pub fn password(password: impl Into<String>) -> Self {
        Self { user: None, password: Secret(password.into()) }
    }
}

/// A source of credentials that change while the program runs, such as cloud tokens or vault
/// leases.
///
/// A store calls the provider before each connection that it opens, and again at the next attempt
/// after the server refused the login. The provider should therefore cache its credentials for as
/// long as they are valid. Open connections stay open when a credential expires. If the server
/// closes them, the store connects anew.
///
/// Every `async` closure without arguments is a provider:
///
/// ```
/// use session_backend::{Credentials, CredentialsProvider};
///
/// fn provider() -> impl CredentialsProvider {
///     || async { Ok(Credentials::new("app", std::env::var("DATABASE_TOKEN").unwrap_or_default())) }
/// }
/// # let _ = provider();
/// ```
#[async_trait]
pub trait CredentialsProvider: Send + Sync + 'static {
    /// Returns the credentials that are valid now.
    ///
    /// # Errors
    /// The reason why the provider has no credentials, and
    /// [`Unavailable`](session_core::ErrorKind::Unavailable) if a later attempt may succeed. The
    /// operation that needed the connection fails with this error. It must not contain the secret.
    async fn credentials(&self) -> Result<Credentials>;
}

#[async_trait]
impl<F, R> CredentialsProvider for F
where
    F: Fn() -> R + Send + Sync + 'static,
    R: Future<Output = Result<Credentials>> + Send + 'static,
{
    async fn credentials(&self) -> Result<Credentials> {
        self().await
    }
}

/// A shared provider, as the settings of a store hold it. Its `Debug` reveals nothing.
#[derive(Clone)]
pub struct SharedProvider(Arc<dyn CredentialsProvider>);

impl SharedProvider {
    /// Shares this provider.
    pub fn new(provider: impl CredentialsProvider) -> Self {
        Self(Arc::new(provider))
    }
}

#[async_trait]
impl CredentialsProvider for SharedProvider {
    async fn credentials(&self) -> Result<Credentials> {
        self.0.credentials().await
    }
}

impl fmt::Debug for SharedProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialsProvider")
    }
}

#[cfg(test)]
mod tests {
    use super::{Credentials, CredentialsProvider, SharedProvider};

    #[tokio::test]
    async fn a_closure_provides_and_nothing_is_shown() {
        let provider = SharedProvider::new(|| async { Ok(Credentials::new("app", "geheim")) });
        let credentials = provider.credentials().await.expect("it provides");
        assert_eq!(credentials.password.expose(), "geheim");
        assert!(!format!("{provider:?} {credentials:?}").contains("geheim"));
    }
}
