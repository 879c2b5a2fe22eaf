//! What is wrong with a config: one value per fault, with its code, its place and its fix.

use crate::{Fingerprint, check::MAX_FAULTS, render, text::Text};
use serde::Serialize;
use std::{fmt, ops::Range, path::PathBuf};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The config is refused.
    Error,
    /// The config is taken, and something in it is surely not meant so.
    Warning,
}

/// One fault. Serialised it is `{code, level, file, line, column, message, help}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// The stable code: `E0102`.
    pub code: &'static str,
    /// Error or warning.
    pub level: Level,
    /// The file, relative to the current directory when below it.
    pub file: PathBuf,
    /// The line, from 1; 0 when the fault is the file's as a whole.
    pub line: usize,
    /// The column in characters, from 1; 0 as above.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
    /// What stands beside the caret.
    #[serde(skip)]
    pub(crate) label: String,
    /// What stands below the snippet: `help` without what the label says already.
    #[serde(skip)]
    pub(crate) advice: Option<String>,
    /// The lines to show, and where the caret goes.
    #[serde(skip)]
    pub(crate) spot: Option<Spot>,
    /// A second place that has to do with it.
    #[serde(skip)]
    pub(crate) also: Option<(Spot, String)>,
}

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) text: Text,
    pub(crate) span: Range<usize>,
}

impl Diagnostic {
    /// An error at a place.
    pub(crate) fn at(code: &'static str, text: &Text, span: &Range<usize>, message: impl Into<String>) -> Self {
        let (line, column) = text.place(span.start);
        let spot = Spot { text: text.clone(), span: text.first_line(span) };
        let mut fault = Self::of_file(code, text.shown.to_path_buf(), message);
        (fault.line, fault.column, fault.spot) = (line, column, Some(spot));
        fault
    }

    /// An error of a file as a whole.
    pub(crate) fn of_file(code: &'static str, file: PathBuf, message: impl Into<String>) -> Self {
        Self {
            code,
            level: Level::Error,
            file,
            line: 0,
            column: 0,
            message: message.into(),
            help: None,
            label: String::new(),
            advice: None,
            spot: None,
            also: None,
        }
    }

    /// What the caret points at.
    #[must_use]
    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The same, when it says how to mend it: `did you mean …?`
    #[must_use]
    pub(crate) fn suggest(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self.help_with(&self.label.clone());
        self
    }

    /// How to mend it, below the snippet.
    #[must_use]
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        let advice = advice.into();
        self.help_with(&advice);
        self.advice = Some(advice);
        self
    }

    fn help_with(&mut self, more: &str) {
        self.help = Some(match self.help.take() {
            Some(help) if help.ends_with('?') => format!("{help} {more}"),
            Some(help) => format!("{help}; {more}"),
            None => more.to_owned(),
        });
    }

    /// A second place that has to do with it.
    #[must_use]
    pub(crate) fn also(mut self, text: &Text, span: &Range<usize>, label: impl Into<String>) -> Self {
        let spot = Spot { text: text.clone(), span: text.first_line(span) };
        self.also = Some((spot, label.into()));
        self
    }

    /// The same fault as a warning.
    #[must_use]
    pub(crate) fn warning(mut self) -> Self {
        self.level = Level::Warning;
        self
    }

    /// The text for people, ending in a newline: the lines in question, carets, the fix.
    pub fn plain(&self) -> String {
        render::render(self, false)
    }

    /// The same, coloured for a terminal.
    pub fn coloured(&self) -> String {
        render::render(self, true)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plain())
    }
}

/// All faults of a config that was refused: at least one error, and the warnings. `Display` is the plain rendering.
#[derive(Debug, Clone)]
pub struct Diagnostics {
    items: Vec<Diagnostic>,
    more: usize,
    fingerprint: Fingerprint,
}

impl Diagnostics {
    pub(crate) fn new(mut items: Vec<Diagnostic>, fingerprint: Fingerprint) -> Self {
        let more = items.len().saturating_sub(MAX_FAULTS);
        items.truncate(MAX_FAULTS);
        Self { items, more, fingerprint }
    }

    /// The faults, in the order of files and lines; at most a hundred.
    pub fn items(&self) -> &[Diagnostic] {
        &self.items
    }

    /// What was read, for telling whether it has changed since.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The same, one by one.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.items.iter()
    }

    /// The text for people: each fault with its lines and carets, a blank line between them.
    pub fn plain(&self) -> String {
        self.text(Diagnostic::plain)
    }

    /// The same, coloured for a terminal.
    pub fn coloured(&self) -> String {
        self.text(Diagnostic::coloured)
    }

    fn text(&self, render: fn(&Diagnostic) -> String) -> String {
        let all: Vec<String> = self.items.iter().map(render).collect();
        let more = if self.more > 0 { format!("\n… and {} more\n", self.more) } else { String::new() };
        all.join("\n") + &more
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plain())
    }
}

impl std::error::Error for Diagnostics {}
