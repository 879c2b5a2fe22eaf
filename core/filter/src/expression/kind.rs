//! What can be known of a value before any event is seen. Only for errors: what can never match is refused at once.

use super::node::Literal;

/// The kind of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// Known when the event is there.
    Any,
    /// Anything that JSON has: no time.
    Payload,
    Null,
    Condition,
    Number,
    Text,
    Time,
    Span,
    List,
    Map,
}

impl Kind {
    /// In a sentence.
    pub(super) fn phrase(self) -> &'static str {
        match self {
            Self::Any => "anything",
            Self::Payload => "part of the payload",
            Self::Null => "null",
            Self::Condition => "a condition",
            Self::Number => "a number",
            Self::Text => "text",
            Self::Time => "a time",
            Self::Span => "a length of time",
            Self::List => "a list",
            Self::Map => "a map",
        }
    }

    /// Whether a value of this kind may turn out to be of that kind.
    pub(super) fn may_be(self, other: Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::Payload, other) | (other, Self::Payload) => !matches!(other, Self::Time | Self::Span),
            _ => self == other,
        }
    }

    /// Of two branches.
    pub(super) fn either(self, other: Self) -> Self {
        if self == other { self } else { Self::Any }
    }
}

impl Literal {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Null => Kind::Null,
            Self::Bool(_) => Kind::Condition,
            Self::Int(_) | Self::UInt(_) | Self::Double(_) => Kind::Number,
            Self::Text(_) => Kind::Text,
            Self::Time(_) => Kind::Time,
            Self::Span(_) => Kind::Span,
        }
    }
}
