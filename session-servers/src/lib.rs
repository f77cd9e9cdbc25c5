#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod directory;
mod endpoint;
mod engine;
mod launch_error;
mod launcher;
pub mod mongo;
mod ports;
mod process;
mod program;
mod proxy;
pub mod redis;
mod required;
mod run;
mod server;
mod until;

pub use endpoint::Endpoint;
pub use engine::Engine;
pub use launch_error::LaunchError;
pub use program::Program;
pub use proxy::{ConnectionId, Proxy};
pub use required::required;
pub use server::Server;
