//! Verbs that need no daemon: those that work on files, and the bridge that is there before one.

pub(crate) mod check;
pub(crate) mod mcp;
pub(crate) mod plugin;
pub(crate) mod schema;
pub(crate) mod source;
pub(crate) mod verify;
