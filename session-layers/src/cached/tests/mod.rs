//! What the cache promises beyond the conformance suite, and a test that detects each
//! deliberate mistake.

mod basics;
mod changes;
mod lab;
mod outages;
mod readings;
mod room;
mod watching;
