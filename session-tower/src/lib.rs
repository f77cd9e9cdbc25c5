#![doc = include_str!("../README.md")]

mod body;
mod caching;
mod cookie_names;
mod cookie_settings;
mod error;
#[cfg(feature = "axum")]
mod extract;
mod failure;
mod future;
mod layer;
mod lifetime;
#[cfg(feature = "axum")]
mod named;
mod presented;
mod request_session;
mod service;
mod session;
#[cfg(any(feature = "tower-sessions", feature = "tower-sessions-014"))]
mod tower_sessions_store;

pub use body::ResponseBody;
pub use cookie_settings::{CookieLifetime, CookieSettings, InvalidCookie, SameSite};
pub use error::SessionError;
pub use failure::{CustomResponse, EmptyResponse, FailureResponse};
pub use future::ResponseFuture;
pub use layer::SessionLayer;
#[cfg(feature = "axum")]
pub use named::{NamedSession, SessionCookie};
pub use service::SessionService;
pub use session::Session;
pub use session_manager;
pub use session_manager::session_core;
#[cfg(any(feature = "tower-sessions", feature = "tower-sessions-014"))]
pub use tower_sessions_store::TowerSessionsStore;
