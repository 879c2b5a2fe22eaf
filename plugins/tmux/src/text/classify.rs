//! What kind of output it is, by the rules that clients of the tmux monitor know: words in its last lines. They are
//! coarse, and meant to be: a filter for people, no diagnosis.

use headwater_plugin::Severity;

/// Lines that are looked at.
const LINES: usize = 3;

/// Characters of a preview.
const PREVIEW: usize = 200;

/// What the last lines are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Nothing in particular.
    Output,
    /// One of the last three lines says "error".
    Error,
    /// One of the last three lines says "warning".
    Warning,
    /// One of the last two lines begins with `$` or `#`, as a prompt does.
    Command,
}

impl Activity {
    /// As the seeds' field `activity` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Command => "command",
        }
    }

    /// The type of the event that is emitted besides `pane.output`.
    pub fn event(self) -> Option<&'static str> {
        match self {
            Self::Output => None,
            Self::Error => Some("pane.error"),
            Self::Warning => Some("pane.warning"),
            Self::Command => Some("pane.command"),
        }
    }

    /// How bad that is.
    pub fn severity(self) -> Severity {
        match self {
            Self::Error => Severity::Error,
            Self::Warning => Severity::Warning,
            Self::Output | Self::Command => Severity::Info,
        }
    }
}

/// What a text is about, and its last lines.
pub(super) fn classify(text: &str) -> (Activity, String) {
    let lines = last_lines(text);
    let says = |word: &str| lines.iter().any(|line| has(line, word));
    let prompt = |line: &&str| line.starts_with(['$', '#']);
    let activity = if says("error") {
        Activity::Error
    } else if says("warning") {
        Activity::Warning
    } else if lines.iter().rev().take(2).any(prompt) {
        Activity::Command
    } else {
        Activity::Output
    };
    let lines = lines.join("\n");
    let preview = match lines.char_indices().nth(PREVIEW) {
        Some((end, _)) => format!("{}...", &lines[..end]),
        None => lines,
    };
    (activity, preview)
}

/// The last lines, without the empty ones at the very end.
fn last_lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.trim_end().rsplit('\n').take(LINES).collect();
    lines.reverse();
    lines
}

/// Whether a word is somewhere in a text, in capitals or not.
fn has(text: &str, word: &str) -> bool {
    text.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_decide() {
        use Activity::{Command, Error, Output, Warning};
        for (text, activity) in [
            ("hello", Output),
            ("", Output),
            ("ERROR: boom", Error),
            ("Error: a\nb\nc\n\n", Error),
            ("error: a\nb\nc\nd", Output),
            ("a warning\nno error", Error),
            ("a WARNING\n$ ls", Warning),
            ("$ ls\nfile", Command),
            ("# make\nfile", Command),
            ("$ ls\na\nb", Output),
            ("me@host:~$ ls", Output),
        ] {
            assert_eq!(classify(text).0, activity, "{text:?}");
        }
    }

    #[test]
    fn the_preview_is_short() {
        assert_eq!(classify("a\nb\nc\nd\n").1, "b\nc\nd");
        assert_eq!(classify(&"é".repeat(200)).1, "é".repeat(200));
        assert_eq!(classify(&"é".repeat(201)).1, format!("{}...", "é".repeat(200)));
    }
}
