//! What the cache promises beyond the suite, case by case, and for each mistake that it could make a case that notices.

mod basics;
mod changes;
mod lab;
mod outages;
mod readings;
mod room;
mod watching;
