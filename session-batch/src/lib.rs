#![doc = include_str!("../README.md")]

mod batched;
mod channel;
mod kind;
mod lane;
mod settings;

pub use batched::Batched;
pub use settings::BatchSettings;
