//! What is wrong with a config: one value per fault, with its code, its place and its fix.

use crate::Fingerprint;
use serde::Serialize;
use std::{fmt, path::PathBuf};

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
}

/// All faults of a config that was refused. `Display` is the plain rendering.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    items: Vec<Diagnostic>,
    fingerprint: Fingerprint,
}

impl Diagnostics {
    /// The faults, in the order of files and lines.
    pub fn items(&self) -> &[Diagnostic] {
        &self.items
    }

    /// What was read, for telling whether it has changed since.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The text for people: each fault with its lines and carets, coloured for a terminal or plain.
    pub fn render(&self, coloured: bool) -> String {
        let _ = coloured;
        self.items.iter().map(|d| format!("error[{}]: {}\n", d.code, d.message)).collect()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}
