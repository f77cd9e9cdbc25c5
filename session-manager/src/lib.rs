#![doc = include_str!("../README.md")]

mod backoff;
mod builder;
mod changes;
mod codec;
mod commit;
mod commit_outcome;
mod cookie;
mod error;
mod events;
mod login;
mod logout;
mod manager;
mod owners;
pub mod payload;
mod save;
mod session;
mod settings;
mod snapshot;
mod state;
mod twins;
mod update;
mod write_queue;

pub use builder::SessionManagerBuilder;
pub use codec::{Codec, SessionValue};
pub use cookie::CookieChange;
pub use error::{Result, SessionError};
pub use events::SessionEvent;
pub use login::Login;
pub use manager::SessionManager;
pub use owners::OwnedSession;
pub use save::Saved;
pub use session::Session;
pub use session_core;
pub use settings::{SameKey, WhenReached};
