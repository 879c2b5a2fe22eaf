//! `capture`: what a pane shows, with secrets blotted out as in its output.

use super::{Refusal, target};
use crate::{events::place::Place, server::screen, watching::Watching};
use headwater_plugin::prelude::*;

/// More lines than this are not given: an answer has to fit into a message.
const MOST: u32 = 10_000;

/// Which pane, and how much of it.
#[config]
pub(crate) struct Capture {
    /// The pane's id, as `%3`, or with its server as `4711:%3`.
    pane: String,
    /// This many lines, counted from the last one, also from the history; without, the screen.
    lines: Option<u32>,
}

/// Answers from a thread.
pub(super) fn answer(watching: &mut Watching<'_>, command: Command) {
    let wanted: Capture = match command.parse() {
        Ok(wanted) => wanted,
        Err(error) => return command.invalid(error),
    };
    if wanted.lines.is_some_and(|lines| lines == 0 || lines > MOST) {
        return command.invalid(format_args!("`lines` is 1 to {MOST}"));
    }
    let pane = match target::pane(watching, &wanted.pane) {
        Ok(pane) => pane,
        Err(Refusal(failure)) => return command.fail(failure),
    };
    let mut data = Place::pane(&watching.server, &watching.tree, pane).data;
    let (server, redaction) = (watching.server.pid, watching.redaction());
    watching.in_thread(command, move |program| {
        let text = screen::capture(program, server, pane, wanted.lines)?;
        data.insert("content".into(), redaction.clean(&text).into());
        Ok(Value::Object(data))
    });
}
