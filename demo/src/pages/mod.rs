//! The pages. All of them work without scripts: forms use POST, and the response redirects the
//! browser.

pub(crate) mod devices;
mod failure;
mod layout;
pub(crate) mod notes;
pub(crate) mod operator;
pub(crate) mod operators;
pub(crate) mod sign_in;
mod visitor;
