//! What expressions compute with, and what comparing, adding and looking up mean: CEL's rules. Values borrow from the
//! event and from the expression; nothing of an event is copied but texts with escapes.

use super::{
    budget::{Budget, Undefined},
    json::{Elements, Json, Members},
    number::Number,
};
use std::{borrow::Cow, cmp::Ordering, ops::Deref, rc::Rc, slice, vec};

/// The longest text that `+` makes, in bytes. Without it a short expression could double a text until memory is full.
const MAX_TEXT: usize = 64 * 1024;
/// How deep values are compared. Payloads may nest without end, the stack does not.
const MAX_NESTING: usize = 64;

/// One value.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Double(f64),
    Text(Text<'a>),
    /// Nanoseconds since 1970.
    Time(i64),
    /// Nanoseconds.
    Span(i64),
    /// An object or array of the payload.
    Json(Json<'a>),
    Attributes(&'a [(Box<str>, Box<str>)]),
    List(Rc<[Value<'a>]>),
    Map(Rc<[(&'a str, Value<'a>)]>),
}

/// A text of the event or the expression, or one that was made; cheap to clone either way.
#[derive(Clone, Debug)]
pub(super) enum Text<'a> {
    Borrowed(&'a str),
    Made(Rc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Made(text) => text,
        }
    }
}

impl<'a> From<Cow<'a, str>> for Text<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Self::Borrowed(text),
            Cow::Owned(text) => Self::Made(text.into()),
        }
    }
}

/// An operator on two numbers, or on times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl From<Number> for Value<'_> {
    fn from(number: Number) -> Self {
        match number {
            Number::Int(int) => Self::Int(int),
            Number::UInt(unsigned) => Self::UInt(unsigned),
            Number::Double(double) => Self::Double(double),
        }
    }
}

impl<'a> Value<'a> {
    pub(super) fn text(text: &'a str) -> Self {
        Self::Text(Text::Borrowed(text))
    }

    pub(super) fn made(text: String) -> Self {
        Self::Text(Text::Made(text.into()))
    }

    pub(super) fn bool(&self) -> Result<bool, Undefined> {
        if let Self::Bool(bool) = self { Ok(*bool) } else { Err(Undefined) }
    }

    /// Values of different types are unequal, except that numbers compare as numbers.
    pub(super) fn equals(&self, other: &Self, budget: &Budget) -> Result<bool, Undefined> {
        self.equals_within(other, MAX_NESTING, budget)
    }

    fn equals_within(&self, other: &Self, levels: usize, budget: &Budget) -> Result<bool, Undefined> {
        match (self, other) {
            (Self::Null, Self::Null) => return Ok(true),
            (Self::Text(a), Self::Text(b)) => {
                budget.read(a.len().min(b.len()))?;
                return Ok(**a == **b);
            }
            (Self::Text(_) | Self::Null, _) | (_, Self::Text(_) | Self::Null) => return Ok(false),
            _ => {}
        }
        let levels = levels.checked_sub(1).ok_or(Undefined)?;
        if let (Some(mut ours), Some(mut theirs)) = (self.list(), other.list()) {
            loop {
                return match (ours.next(budget)?, theirs.next(budget)?) {
                    (None, None) => Ok(true),
                    (Some(a), Some(b)) if a.equals_within(&b, levels, budget)? => continue,
                    _ => Ok(false),
                };
            }
        }
        if let (Some(mut ours), Some(_)) = (self.keys(), other.keys()) {
            if self.size(budget)? != other.size(budget)? {
                return Ok(false);
            }
            while let Some(Value::Text(key)) = ours.next(budget)? {
                let (Ok(a), Ok(b)) = (self.member(&key, budget), other.member(&key, budget)) else {
                    // Not told apart above: a key that is missing, and a budget that is used up.
                    return budget.left().map(|()| false);
                };
                if !a.equals_within(&b, levels, budget)? {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        Ok(self.order(other, budget).is_ok_and(|order| order == Ordering::Equal))
    }

    /// Of numbers, texts (by code point), bools, times and spans, each with its like.
    pub(super) fn order(&self, other: &Self, budget: &Budget) -> Result<Ordering, Undefined> {
        Ok(match (self, other) {
            (Self::Text(a), Self::Text(b)) => {
                budget.read(a.len().min(b.len()))?;
                (**a).cmp(&**b)
            }
            (Self::Time(a), Self::Time(b)) | (Self::Span(a), Self::Span(b)) => a.cmp(b),
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (a, b) => a.number().zip(b.number()).and_then(|(a, b)| a.order(b)).ok_or(Undefined)?,
        })
    }

    fn number(&self) -> Option<Number> {
        match self {
            Self::Int(int) => Some(Number::Int(*int)),
            Self::UInt(unsigned) => Some(Number::UInt(*unsigned)),
            Self::Double(double) => Some(Number::Double(*double)),
            _ => None,
        }
    }

    /// Any number as a double.
    pub(super) fn double(&self) -> Option<f64> {
        self.number().map(Number::double)
    }

    /// The member of a map, an object or the attributes.
    pub(super) fn member(&self, name: &str, budget: &Budget) -> Result<Self, Undefined> {
        match self {
            Self::Json(json) => {
                let found = json.member(name);
                // Where it ends is not known, so that the whole object counts.
                budget.read(json.len())?;
                found.map(|json| json.read(budget)).transpose()?
            }
            Self::Attributes(all) => all.iter().find(|(key, _)| **key == *name).map(|(_, value)| Self::text(value)),
            Self::Map(entries) => entries.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone()),
            _ => None,
        }
        .ok_or(Undefined)
    }

    /// `a[b]`.
    pub(super) fn element(&self, index: &Self, budget: &Budget) -> Result<Self, Undefined> {
        let nth = match index {
            Self::Text(name) => return self.member(name, budget),
            Self::Int(nth) => usize::try_from(*nth).map_err(|_| Undefined)?,
            Self::UInt(nth) => usize::try_from(*nth).map_err(|_| Undefined)?,
            _ => return Err(Undefined),
        };
        if let Self::List(list) = self {
            return list.get(nth).cloned().ok_or(Undefined);
        }
        let mut items = self.list().ok_or(Undefined)?;
        for _ in 0..nth {
            items.next(budget)?.ok_or(Undefined)?;
        }
        items.next(budget)?.ok_or(Undefined)
    }

    /// Whether the value is an element of the list, or a key of the map.
    pub(super) fn is_in(&self, container: &Self, budget: &Budget) -> Result<bool, Undefined> {
        if let Some(mut list) = container.list() {
            while let Some(item) = list.next(budget)? {
                if item.equals(self, budget)? {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        container.keys().ok_or(Undefined)?;
        match self {
            Self::Text(name) => {
                let found = container.member(name, budget).is_ok();
                // Told apart from a container that was too large to look through.
                budget.left().map(|()| found)
            }
            Self::Bool(_) | Self::Int(_) | Self::UInt(_) | Self::Double(_) => Ok(false),
            _ => Err(Undefined),
        }
    }

    /// Characters of a text, elements of a list, members of a map.
    pub(super) fn size(&self, budget: &Budget) -> Result<i64, Undefined> {
        let size = match self {
            Self::Text(text) => {
                budget.read(text.len())?;
                text.chars().count()
            }
            Self::List(list) => list.len(),
            Self::Map(entries) => entries.len(),
            Self::Attributes(all) => all.len(),
            _ => {
                let mut items = self.items().ok_or(Undefined)?;
                let mut count = 0;
                while items.next(budget)?.is_some() {
                    count += 1;
                }
                count
            }
        };
        Ok(size as i64)
    }

    /// What a loop runs over: elements of a list, keys of a map.
    pub(super) fn items(&self) -> Option<Items<'a>> {
        self.list().or_else(|| self.keys())
    }

    fn list(&self) -> Option<Items<'a>> {
        match self {
            Self::Json(json) if json.is_array() => Some(Items::Elements(json.elements())),
            Self::List(list) => Some(Items::List(list.clone(), 0)),
            _ => None,
        }
    }

    fn keys(&self) -> Option<Items<'a>> {
        match self {
            Self::Json(json) if json.is_object() => Some(Items::Members(json.members())),
            Self::Attributes(all) => Some(Items::Attributes(all.iter())),
            Self::Map(entries) => {
                Some(Items::Keys(entries.iter().map(|(key, _)| *key).collect::<Vec<_>>().into_iter()))
            }
            _ => None,
        }
    }

    /// Two numbers of one type stay in it, and an integer that does not fit any more is undefined. Of different types
    /// they become doubles: JSON has one kind of number, and 3 is no less a number than 3.5.
    pub(super) fn compute(&self, operator: Arithmetic, other: &Self, budget: &Budget) -> Result<Self, Undefined> {
        use Arithmetic::{Add, Divide, Multiply, Remainder, Subtract};
        let integer = |a: i64, b: i64| match operator {
            Add => a.checked_add(b),
            Subtract => a.checked_sub(b),
            Multiply => a.checked_mul(b),
            Divide => a.checked_div(b),
            Remainder => a.checked_rem(b),
        };
        let made = match (self, operator, other) {
            (Self::Int(a), _, Self::Int(b)) => integer(*a, *b).map(Self::Int),
            (Self::UInt(a), _, Self::UInt(b)) => match operator {
                Add => a.checked_add(*b),
                Subtract => a.checked_sub(*b),
                Multiply => a.checked_mul(*b),
                Divide => a.checked_div(*b),
                Remainder => a.checked_rem(*b),
            }
            .map(Self::UInt),
            (Self::Time(a), Subtract, Self::Time(b)) => a.checked_sub(*b).map(Self::Span),
            (Self::Time(a), Add | Subtract, Self::Span(b)) | (Self::Span(a), Add, Self::Time(b)) => {
                integer(*a, *b).map(Self::Time)
            }
            (Self::Span(a), Add | Subtract, Self::Span(b)) => integer(*a, *b).map(Self::Span),
            (Self::Text(a), Add, Self::Text(b)) if a.len() + b.len() <= MAX_TEXT => {
                budget.read(a.len() + b.len())?;
                Some(Self::made([&**a, &**b].concat()))
            }
            (a, Add, b) if a.list().is_some() && b.list().is_some() => {
                let mut joined = Vec::new();
                for mut items in [a.list(), b.list()].into_iter().flatten() {
                    while let Some(item) = items.next(budget)? {
                        joined.push(item);
                    }
                }
                Some(Self::List(joined.into()))
            }
            (a, _, b) => match (a.double(), operator, b.double()) {
                (Some(a), Add, Some(b)) => Some(Self::Double(a + b)),
                (Some(a), Subtract, Some(b)) => Some(Self::Double(a - b)),
                (Some(a), Multiply, Some(b)) => Some(Self::Double(a * b)),
                (Some(a), Divide, Some(b)) => Some(Self::Double(a / b)),
                _ => None,
            },
        };
        made.ok_or(Undefined)
    }

    /// `-a`.
    pub(super) fn negated(&self) -> Result<Self, Undefined> {
        match self {
            Self::Int(int) => int.checked_neg().map(Self::Int),
            Self::Double(double) => Some(Self::Double(-double)),
            Self::Span(span) => span.checked_neg().map(Self::Span),
            _ => None,
        }
        .ok_or(Undefined)
    }
}

/// Values one after the other, each counted against the budget.
pub(super) enum Items<'a> {
    Elements(Elements<'a>),
    Members(Members<'a>),
    Attributes(slice::Iter<'a, (Box<str>, Box<str>)>),
    List(Rc<[Value<'a>]>, usize),
    Keys(vec::IntoIter<&'a str>),
}

impl<'a> Items<'a> {
    pub(super) fn next(&mut self, budget: &Budget) -> Result<Option<Value<'a>>, Undefined> {
        budget.step()?;
        Ok(match self {
            Self::Elements(elements) => elements.next().map(|json| json.read(budget)).transpose()?,
            Self::Members(members) => match members.key() {
                Some(key) => {
                    budget.read(members.value().len())?;
                    Some(Value::Text(key.text().into()))
                }
                None => None,
            },
            Self::Attributes(all) => all.next().map(|(key, _)| Value::text(key)),
            Self::List(list, at) => {
                *at += 1;
                list.get(*at - 1).cloned()
            }
            Self::Keys(keys) => keys.next().map(Value::text),
        })
    }
}

impl<'a> Json<'a> {
    /// The value, with what it took to find it.
    fn read(self, budget: &Budget) -> Result<Value<'a>, Undefined> {
        budget.read(self.len())?;
        Ok(self.value())
    }
}
