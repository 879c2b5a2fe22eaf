//! Why a text is no filter: the column, what is wrong there, and what to write. Shown to people as it stands.

use super::tokens::Token;
use std::fmt;

/// An expression that cannot be a filter. Says where and, where it can be known, what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionError {
    /// Where, in characters from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl ExpressionError {
    pub(super) fn new(column: usize, message: impl Into<String>) -> Self {
        Self { column, message: message.into(), help: None }
    }

    pub(super) fn at(token: &Token<'_>, message: impl Into<String>) -> Self {
        Self::new(token.column, message)
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// On one line: ``filter, column 13: `=` compares nothing; use `==` ``.
impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "filter, column {}: {}", self.column, self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, "; {help}"))
    }
}

impl std::error::Error for ExpressionError {}
