//! The results of a run: the JSON, and the output made from it.

mod compare;
mod data;
pub mod html;
mod machine;
mod number;
pub mod readme;
mod spread;
pub mod terminal;

pub use compare::{Comparison, Line};
pub use data::{
    Correctness, EngineInfo, Finding, Growth, Machine, Measurement, Mode, Purge, Report, SCHEMA, Settings,
    Skipped,
};
pub use spread::Spread;
