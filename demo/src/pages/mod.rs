//! What a browser shows. Every page is whole without scripts: forms post, and the answer sends the browser on.

pub(crate) mod devices;
mod failure;
mod layout;
pub(crate) mod notes;
pub(crate) mod operator;
pub(crate) mod operators;
pub(crate) mod sign_in;
mod visitor;
