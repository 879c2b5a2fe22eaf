//! The text of a pane: the bytes that its program writes become contents of events, without escape sequences, gathered
//! for a moment, bounded, redacted. The source has a [`PaneText`] for each pane that it reads; nothing here knows tmux,
//! reads a clock or waits.

mod allowance;
mod classify;
mod grid;
mod pane;
mod pending;
mod pieces;
mod redaction;
mod row;
mod signals;
mod terminal;
mod transcript;

#[cfg(test)]
mod tests;

pub use classify::Activity;
pub use pane::{Options, Output, PaneText, Seen};
pub use redaction::{Redaction, RedactionError, SECRETS};
