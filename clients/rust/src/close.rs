//! How a connection ended, and whether coming back makes sense.

use std::fmt;

/// The end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The close code; 1006 when there was no close frame.
    pub code: u16,
    /// The peer's words, or the system's.
    pub reason: String,
}

impl Closed {
    /// The code of RFC 6455 for an end without a close frame.
    pub(crate) const ABNORMAL: u16 = 1006;

    pub(crate) fn abnormal(reason: impl Into<String>) -> Self {
        Self { code: Self::ABNORMAL, reason: reason.into() }
    }

    /// Whether a client should connect again: the fault is in the connection or the daemon's state and will pass,
    /// not in what the client does.
    pub fn worth_another_try(&self) -> bool {
        matches!(self.code, 1001 | Self::ABNORMAL | 1011 | 1012 | 1013 | 4408 | 4410 | 4429)
    }

    /// Whether it is about the token.
    pub fn denied(&self) -> bool {
        matches!(self.code, 4401 | 4403)
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.reason.as_str()) {
            (Self::ABNORMAL, "") => f.write_str("cut off"),
            (Self::ABNORMAL, reason) => f.write_str(reason),
            (code, "") => write!(f, "closed with code {code}"),
            (code, reason) => write!(f, "closed with code {code}, {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_after_a_restart_but_not_after_its_own_fault() {
        let closed = |code| Closed { code, reason: String::new() };
        for code in [1001, 1006, 1012, 1013, 4408, 4410, 4429] {
            assert!(closed(code).worth_another_try(), "{code}");
        }
        // Coming back with the same oversize or malformed message would be refused for ever.
        for code in [1000, 1002, 1003, 1007, 1008, 1009, 4401, 4403] {
            assert!(!closed(code).worth_another_try(), "{code}");
        }
    }
}
