//! The compiled form of an expression: names resolved, words of severity turned into ranks, literals ready.

use super::{
    functions::{Function, Search},
    pattern::Pattern,
    value::Arithmetic,
};
use std::cmp::Ordering;

/// One node of the tree.
#[derive(Debug)]
pub(super) enum Node {
    Literal(Literal),
    Field(Field),
    Attributes,
    Attribute(Box<str>),
    /// The whole payload.
    Payload,
    /// A part of the payload, by its number.
    Part(usize),
    /// The variable of a loop: 0 is the innermost.
    Local(usize),
    Member(Box<Self>, Box<str>),
    Element(Box<[Self; 2]>),
    /// Whether the value is there.
    Has(Box<Self>),
    Not(Box<Self>),
    /// All of them; the cheap ones come first.
    And(Box<[Self]>),
    /// One of them; the cheap ones come first.
    Or(Box<[Self]>),
    /// Condition, then, else.
    If(Box<[Self; 3]>),
    Compare(Comparison, Box<[Self; 2]>),
    In(Box<[Self; 2]>),
    /// One of these literals.
    Among(Box<Self>, Box<[Literal]>),
    Compute(Arithmetic, Box<[Self; 2]>),
    Negative(Box<Self>),
    Call(Function, Box<Self>),
    Search(Search, Box<[Self; 2]>),
    Matches(Box<Self>, Pattern),
    List(Box<[Self]>),
    Map(Box<[(Box<str>, Self)]>),
    Loop(Box<Loop>),
}

/// A value that stands in the expression.
#[derive(Clone, Debug)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Double(f64),
    Text(Box<str>),
    Time(i64),
    Span(i64),
}

/// What every event has besides attributes and payload.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Field {
    Type,
    Channel,
    Source,
    Severity,
    /// The severity as a number, for comparing.
    Rank,
    Evidence,
    Key,
    Offset,
    Time,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// The same with its sides exchanged.
    pub(super) fn turned(self) -> Self {
        match self {
            Self::Equal | Self::Unequal => self,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }

    /// Of values that have an order.
    pub(super) fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// CEL's macros over lists and maps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Macro {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

/// One macro at work.
#[derive(Debug)]
pub(super) struct Loop {
    pub(super) kind: Macro,
    pub(super) range: Node,
    /// Of `map` with three arguments: which elements.
    pub(super) guard: Option<Node>,
    pub(super) body: Node,
}

impl Node {
    /// About how long it takes: 0 what stands in the event, 1 attributes, 2 the payload, 3 loops.
    pub(super) fn cost(&self) -> u8 {
        let most = |nodes: &[Self]| nodes.iter().map(Self::cost).max().unwrap_or(0);
        match self {
            Self::Literal(_) | Self::Field(_) | Self::Local(_) => 0,
            Self::Attributes | Self::Attribute(_) => 1,
            Self::Payload | Self::Part(_) => 2,
            Self::Loop(_) => 3,
            Self::Member(node, _)
            | Self::Has(node)
            | Self::Not(node)
            | Self::Negative(node)
            | Self::Among(node, _)
            | Self::Matches(node, _)
            | Self::Call(_, node) => node.cost(),
            Self::Element(nodes)
            | Self::Compare(_, nodes)
            | Self::In(nodes)
            | Self::Compute(_, nodes)
            | Self::Search(_, nodes) => most(&**nodes),
            Self::If(nodes) => most(&**nodes),
            Self::And(nodes) | Self::Or(nodes) | Self::List(nodes) => most(nodes),
            Self::Map(entries) => entries.iter().map(|(_, node)| node.cost()).max().unwrap_or(0),
        }
    }
}
