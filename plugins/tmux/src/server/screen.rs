//! What panes show.

use super::ask::{AskError, Program};
use crate::tree::id::PaneId;

/// A pane's screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Screen {
    /// The lines, without colours.
    pub(crate) text: String,
    /// Row and column of the cursor, counted from 0.
    pub(crate) cursor: (usize, usize),
}

/// The last `lines` lines of a pane of this server, from its history too; without, its screen. A line that the edge of the
/// pane breaks is one: a secret in it would not be known otherwise. Blocking.
pub(crate) fn capture(program: &Program, server: u32, pane: PaneId, lines: Option<u32>) -> Result<String, AskError> {
    let history = lines.map(|lines| format!(" -S -{lines}")).unwrap_or_default();
    let answer = program.ask_server(server, &format!("capture-pane -p -J -t {pane}{history}"))?;
    let text = without_ends(&String::from_utf8_lossy(&answer));
    let Some(lines) = lines else { return Ok(text) };
    Ok(last(text.trim_end_matches('\n'), lines as usize).to_owned() + "\n")
}

/// Without the spaces at the ends of lines, which come with lines that are put together.
fn without_ends(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    for line in text.lines() {
        whole += line.trim_end_matches(' ');
        whole.push('\n');
    }
    whole
}

/// The last lines of a text.
fn last(text: &str, lines: usize) -> &str {
    let from = text.rmatch_indices('\n').nth(lines.saturating_sub(1)).map_or(0, |(at, _)| at + 1);
    &text[from..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_counted_from_the_end() {
        assert_eq!((last("a\nb\nc", 2), last("a\nb\nc", 1), last("a\nb", 9), last("", 1)), ("b\nc", "c", "a\nb", ""));
    }
}
