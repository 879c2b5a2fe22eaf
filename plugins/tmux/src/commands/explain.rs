//! `explain`: why the agent in a pane is said to do what it does.

use super::{Refusal, target};
use crate::watching::Watching;
use headwater_plugin::prelude::*;

/// Which pane.
#[config]
pub(crate) struct Explain {
    /// The pane's id, as `%3`, or with its server as `4711:%3`.
    pane: String,
}

/// Answers at once.
pub(super) fn answer(watching: &Watching<'_>, command: Command) {
    let wanted: Explain = match command.parse() {
        Ok(wanted) => wanted,
        Err(error) => return command.invalid(error),
    };
    let explained = target::pane(watching, &wanted.pane).and_then(|pane| {
        let nothing = || Refusal::new("RESOURCE_NOT_FOUND", "nothing was heard of that pane yet");
        watching.explain(pane).ok_or_else(nothing)
    });
    command.answer(explained.map_err(|refusal| refusal.0));
}
