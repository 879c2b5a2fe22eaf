//! Colours, or none of them.

use headwater_event::Severity;
use std::fmt::Display;

/// Whether colours are used. Without them each method returns the text as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// ANSI sequences are written.
    pub colored: bool,
}

impl Style {
    /// What is less important.
    pub fn dim(self, text: impl Display) -> String {
        self.wrap("2", text)
    }

    /// A heading or a name.
    pub fn bold(self, text: impl Display) -> String {
        self.wrap("1", text)
    }

    /// What went well.
    pub fn good(self, text: impl Display) -> String {
        self.wrap("32", text)
    }

    /// What wants watching.
    pub fn warning(self, text: impl Display) -> String {
        self.wrap("33", text)
    }

    /// What went wrong.
    pub fn bad(self, text: impl Display) -> String {
        self.wrap("31", text)
    }

    /// The colour of a severity.
    pub(crate) fn severity(self, severity: Severity, text: impl Display) -> String {
        match severity {
            Severity::Debug => self.dim(text),
            Severity::Info => self.wrap("36", text),
            Severity::Warning => self.warning(text),
            Severity::Error => self.bad(text),
            Severity::Critical => self.wrap("1;31", text),
        }
    }

    fn wrap(self, code: &str, text: impl Display) -> String {
        if self.colored { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}
