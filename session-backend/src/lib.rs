#![doc = include_str!("../README.md")]

mod backend;
mod batch;
mod credentials;
mod event_stream;
mod options;
mod tls;
mod url;

pub use backend::{Backend, only};
pub use batch::{BatchSettings, Batched, chunk_ranges};
pub use credentials::{Credentials, CredentialsProvider, Secret, SharedProvider};
pub use event_stream::event_stream;
pub use options::UrlOption;
pub use tls::{Pem, TlsMode, TlsSettings, is_this_machine};
pub use url::{Host, ServerUrl};

pub(crate) fn config(reason: impl Into<String>) -> session_core::Error {
    session_core::Error::new(session_core::ErrorKind::Config, session_core::Operation::Connect)
        .because(reason)
}
