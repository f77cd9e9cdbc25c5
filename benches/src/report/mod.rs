//! What a run has shown: the JSON, and what is made of it.

mod data;
mod machine;
mod spread;
pub mod terminal;

pub use data::{
    Correctness, EngineInfo, Finding, Growth, Machine, Measurement, Mode, Purge, Report, SCHEMA, Settings,
    Skipped,
};
pub use spread::Spread;
