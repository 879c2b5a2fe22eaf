//! The tmux server: where it is, who it is, and how it is asked.

pub(crate) mod ask;
pub(crate) mod foreground;
pub(crate) mod identity;
pub(crate) mod listing;
pub(crate) mod screen;
pub(crate) mod socket;
