//! Control clients: one `tmux -C attach` for each selected session, which brings what its panes print.

pub(crate) mod backoff;
pub(crate) mod client;
pub(crate) mod flood;
pub(crate) mod parse;
pub(crate) mod set;
pub(crate) mod unrest;
