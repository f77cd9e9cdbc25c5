#![doc = include_str!("../README.md")]

mod connection;
mod record;
mod store;

pub use store::MemcachedStore;
