//! The ids that tmux gives: `$1` a session, `@2` a window, `%3` a pane.
//!
//! Only they are ever passed to tmux as a target. A name reaches other sessions too (`prod` also finds `prod-db`), and
//! formats in a name are run as commands.

use std::fmt;

/// An id with this sign before its number. It holds as long as its server lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id<const SIGN: char>(pub(crate) u32);

/// `$1`.
pub(crate) type SessionId = Id<'$'>;
/// `@2`.
pub(crate) type WindowId = Id<'@'>;
/// `%3`.
pub(crate) type PaneId = Id<'%'>;

impl<const SIGN: char> Id<SIGN> {
    /// Reads `%3`; nothing else than the sign and decimal digits is one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(SIGN)?;
        let numeric = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        numeric.then(|| digits.parse().ok().map(Self)).flatten()
    }
}

impl<const SIGN: char> fmt::Display for Id<SIGN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SIGN}{}", self.0)
    }
}

impl<const SIGN: char> fmt::Debug for Id<SIGN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sign_and_digits_are_an_id() {
        assert_eq!(PaneId::parse("%12"), Some(Id(12)));
        assert_eq!(SessionId::parse("$0").map(|id| id.to_string()), Some("$0".into()));
        for text in ["", "%", "%-1", "%+1", "$1", "%1 ", "%1;", "%99999999999", "%1.2", "prod", "%#(touch x)"] {
            assert_eq!(PaneId::parse(text), None, "{text}");
        }
    }
}
