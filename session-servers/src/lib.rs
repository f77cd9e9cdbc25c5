#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod account;
mod child_server;
#[cfg(feature = "deployments")]
mod deployments;
mod directory;
mod endpoint;
mod engine;
mod family;
mod launch_error;
mod launcher;
mod listener;
pub mod mariadb;
#[cfg(feature = "mongo")]
pub mod mongo;
mod once;
mod ports;
pub mod postgres;
mod process;
mod program;
mod proxy;
pub mod redis;
mod required;
mod run;
mod server;
mod until;

pub use child_server::ChildServer;
#[cfg(feature = "deployments")]
pub use deployments::{Deployment, deployments};
pub use endpoint::Endpoint;
pub use engine::{Engine, Preparation, Shutdown};
pub use launch_error::LaunchError;
pub use once::Once;
pub use program::Program;
pub use proxy::{ConnectionId, Proxy};
pub use required::required;
pub use server::Server;
