//! Channel names and channel patterns: what may be published to, what may be asked for.

use crate::Glob;
use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

/// The longest name, in bytes. Names stand in every frame and in every index; without a bound one publisher could
/// make each of them large.
pub const MAX_NAME: usize = 128;

/// Why a string is no channel name, or no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("a channel name cannot be empty")]
    Empty,
    /// Longer than [`MAX_NAME`] bytes.
    #[error("a channel name has at most {MAX_NAME} bytes, this one has {0}")]
    TooLong(usize),
    /// A character that names do not have.
    #[error("`{0}` at column {1} cannot stand in a channel name; letters, digits and `_ - . : /` can")]
    Character(char, usize),
}

/// The name of a channel: 1 to 128 bytes of letters, digits and `_ - . : /`.
#[derive(Clone, Eq, PartialOrd, Ord)]
pub struct ChannelName(Arc<str>);

impl ChannelName {
    /// Checks and takes a name.
    pub fn new(name: &str) -> Result<Self, NameError> {
        check(name, |_| false)?;
        Ok(Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for ChannelName {
    fn eq(&self, other: &Self) -> bool {
        // The events of a channel share its name: then there is nothing to compare.
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Hash for ChannelName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl std::borrow::Borrow<str> for ChannelName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// What a subscription asks for: one channel, or all whose name fits a glob (`workflow:*`, `agent?`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ChannelPattern {
    /// One channel, by its name. It need not exist yet.
    Exact(ChannelName),
    /// Every channel, present or future, that fits.
    Glob(Glob),
}

impl ChannelPattern {
    /// Reads a name or a pattern: with `*` or `?` it is a pattern.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.contains(['*', '?']) {
            check(text, |byte| byte == b'*' || byte == b'?')?;
            Ok(Self::Glob(Glob::new(text)))
        } else {
            ChannelName::met(text).map(Self::Exact)
        }
    }

    /// Whether a channel of this name is meant.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => exact.as_str() == name,
            Self::Glob(glob) => glob.matches(name),
        }
    }

    /// The text it was read from.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Exact(name) => name.as_str(),
            Self::Glob(glob) => glob.as_str(),
        }
    }
}

impl fmt::Display for ChannelPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn check(name: &str, also: impl Fn(u8) -> bool) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > MAX_NAME {
        return Err(NameError::TooLong(name.len()));
    }
    // What may stand there is ASCII: up to the first byte that may not, columns are bytes.
    let stands = |byte: u8| {
        matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b':' | b'/') || also(byte)
    };
    match name.bytes().position(|byte| !stands(byte)).and_then(|place| Some((name[place..].chars().next()?, place))) {
        None => Ok(()),
        Some((wrong, place)) => Err(NameError::Character(wrong, place + 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_with_the_column() {
        assert!(ChannelName::new("workflow:wf_123").is_ok());
        assert_eq!(ChannelName::new(""), Err(NameError::Empty));
        assert_eq!(ChannelName::new("a b"), Err(NameError::Character(' ', 2)));
        assert_eq!(ChannelName::new("a/ü"), Err(NameError::Character('ü', 3)));
        assert_eq!(ChannelName::new(&"x".repeat(129)), Err(NameError::TooLong(129)));
        assert!(ChannelName::new("a*").is_err());
    }

    #[test]
    fn a_pattern_matches_present_and_future_names() {
        let pattern = ChannelPattern::parse("workflow:*").unwrap();
        assert!(pattern.matches("workflow:1") && pattern.matches("workflow:"));
        assert!(!pattern.matches("workflows"));
        assert!(ChannelPattern::parse("tmux").unwrap().matches("tmux"));
        assert!(!ChannelPattern::parse("tmux").unwrap().matches("tmux2"));
    }
}
