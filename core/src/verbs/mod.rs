//! Verbs that work on files and need no daemon.

pub(crate) mod check;
pub(crate) mod plugin;
pub(crate) mod schema;
pub(crate) mod source;
pub(crate) mod verify;
