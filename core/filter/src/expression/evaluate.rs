//! Runs the compiled form against one event. `&&` and `||` are CEL's: an undefined side counts for nothing where the
//! other side decides.

use super::{
    budget::{Budget, Undefined},
    json::Json,
    node::{Comparison, Field, Literal, Loop, Macro, Node},
    number::Number,
    paths::{Found, Paths},
    value::Value,
};
use headwater_event::{Event, Evidence, Retention};
use std::{cell::OnceCell, rc::Rc};

/// One expression at work on one event.
pub(super) struct Evaluation<'a> {
    event: &'a Event,
    paths: &'a Paths,
    /// What the payload has of the paths; looked for when the first one is asked for.
    found: OnceCell<Found<'a>>,
    budget: Budget,
}

/// The variables of the loops around a node.
struct Scope<'s, 'a> {
    value: Value<'a>,
    outer: Option<&'s Self>,
}

type Outcome<'a> = Result<Value<'a>, Undefined>;

impl<'a> Evaluation<'a> {
    pub(super) fn new(event: &'a Event, paths: &'a Paths) -> Self {
        Self { event, paths, found: OnceCell::new(), budget: Budget::new() }
    }

    /// Whether the expression holds.
    pub(super) fn holds(&self, node: &'a Node) -> bool {
        self.truth(node, None) == Ok(true)
    }

    fn truth(&self, node: &'a Node, scope: Option<&Scope<'_, 'a>>) -> Result<bool, Undefined> {
        self.budget.step()?;
        match node {
            Node::Not(node) => Ok(!self.truth(node, scope)?),
            Node::And(nodes) => self.decided(nodes, false, scope),
            Node::Or(nodes) => self.decided(nodes, true, scope),
            Node::Compare(comparison, sides) => {
                let [left, right] = &**sides;
                if let Some(outcome) = self.at_sight(*comparison, left, right) {
                    return outcome;
                }
                let (left, right) = (self.value(left, scope)?, self.value(right, scope)?);
                match comparison {
                    Comparison::Equal => left.equals(&right, &self.budget),
                    Comparison::Unequal => left.equals(&right, &self.budget).map(|equal| !equal),
                    order => left.order(&right, &self.budget).map(|found| order.holds(found)),
                }
            }
            Node::In(sides) => {
                let [item, container] = &**sides;
                self.value(item, scope)?.is_in(&self.value(container, scope)?, &self.budget)
            }
            Node::Among(node, literals) => {
                let value = self.value(node, scope)?;
                for literal in literals {
                    self.budget.step()?;
                    if literal.value().equals(&value, &self.budget)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Node::Has(node) => {
                let there = self.value(node, scope).is_ok();
                // Told apart from a value that was too costly to find.
                self.budget.left().map(|()| there)
            }
            Node::Matches(text, pattern) => pattern.found(&self.value(text, scope)?, &self.budget),
            Node::Loop(looping) if matches!(looping.kind, Macro::All | Macro::Exists | Macro::ExistsOne) => {
                self.quantified(looping, scope)
            }
            Node::Search(search, sides) => {
                let [text, part] = &**sides;
                search.found(&self.value(text, scope)?, &self.value(part, scope)?, &self.budget)
            }
            other => self.value(other, scope)?.bool(),
        }
    }

    /// What most filters do, without values in between: a text or a number that stands in the event beside a literal.
    /// The same outcome as the long way, which takes what this does not.
    fn at_sight(&self, comparison: Comparison, left: &'a Node, right: &'a Node) -> Option<Result<bool, Undefined>> {
        let Node::Literal(literal) = right else { return None };
        match (left, literal) {
            (Node::Field(Field::Rank), Literal::Int(rank)) => {
                Some(Ok(comparison.holds((self.event.effective_severity() as i64).cmp(rank))))
            }
            (_, Literal::Text(theirs)) => {
                let ours = match self.text_at_sight(left)? {
                    Ok(ours) => ours,
                    Err(undefined) => return Some(Err(undefined)),
                };
                let theirs = theirs.as_bytes();
                let read = self.budget.read(ours.len().min(theirs.len()));
                Some(read.map(|()| match comparison {
                    Comparison::Equal => ours == theirs,
                    Comparison::Unequal => ours != theirs,
                    order => order.holds(ours.cmp(theirs)),
                }))
            }
            (Node::Part(number), literal) => {
                let theirs = literal.number()?;
                let ours = match self.part(*number) {
                    Ok(json) => json.number()?,
                    Err(undefined) => return Some(Err(undefined)),
                };
                ours.order(theirs).map(|order| Ok(comparison.holds(order)))
            }
            _ => None,
        }
    }

    /// A text of the event as it lies there.
    fn text_at_sight(&self, node: &Node) -> Option<Result<&'a [u8], Undefined>> {
        let event = self.event;
        Some(Ok(match node {
            Node::Field(Field::Type) => event.kind.as_bytes(),
            Node::Field(Field::Channel) => event.channel.as_str().as_bytes(),
            Node::Field(Field::Source) => event.source.as_bytes(),
            Node::Attribute(name) => match event.attribute(name) {
                Some(value) => value.as_bytes(),
                None => return Some(Err(Undefined)),
            },
            Node::Part(number) => match self.part(*number) {
                Ok(json) => json.plain_text()?,
                Err(undefined) => return Some(Err(undefined)),
            },
            _ => return None,
        }))
    }

    /// A part of the payload.
    fn part(&self, number: usize) -> Result<Json<'a>, Undefined> {
        let found = self.found.get_or_init(|| self.paths.find(self.event.data.as_bytes()));
        self.taken(found.get(number).ok_or(Undefined)?)
    }

    /// Whoever takes a text looks at all of it.
    fn taken(&self, json: Json<'a>) -> Result<Json<'a>, Undefined> {
        if json.is_text() {
            self.budget.read(json.len())?;
        }
        Ok(json)
    }

    /// `&&` (decided by `false`) or `||` (decided by `true`).
    fn decided(&self, nodes: &'a [Node], by: bool, scope: Option<&Scope<'_, 'a>>) -> Result<bool, Undefined> {
        let mut outcome = Ok(!by);
        for node in nodes {
            match self.truth(node, scope) {
                Ok(truth) if truth == by => return Ok(by),
                Ok(_) => {}
                Err(undefined) => outcome = Err(undefined),
            }
        }
        outcome
    }

    fn value(&self, node: &'a Node, scope: Option<&Scope<'_, 'a>>) -> Outcome<'a> {
        self.budget.step()?;
        match node {
            Node::Literal(literal) => Ok(literal.value()),
            Node::Field(field) => Ok(self.field(*field)),
            Node::Attributes => Ok(Value::Attributes(&self.event.attributes)),
            Node::Attribute(name) => self.event.attribute(name).map(Value::text).ok_or(Undefined),
            Node::Payload => self.taken(Json::new(self.event.data.as_bytes())).map(Json::value),
            Node::Part(number) => self.part(*number).map(Json::value),
            Node::Local(outward) => {
                let mut scope = scope;
                for _ in 0..*outward {
                    scope = scope.and_then(|scope| scope.outer);
                }
                scope.map(|scope| scope.value.clone()).ok_or(Undefined)
            }
            Node::Member(node, name) => self.value(node, scope)?.member(name, &self.budget),
            Node::Element(nodes) => {
                let [container, index] = &**nodes;
                self.value(container, scope)?.element(&self.value(index, scope)?, &self.budget)
            }
            Node::If(nodes) => {
                let [condition, then, otherwise] = &**nodes;
                self.value(if self.truth(condition, scope)? { then } else { otherwise }, scope)
            }
            Node::Compute(operator, nodes) => {
                let [left, right] = &**nodes;
                self.value(left, scope)?.compute(*operator, &self.value(right, scope)?, &self.budget)
            }
            Node::Negative(node) => self.value(node, scope)?.negated(),
            Node::Call(function, argument) => function.call(self.value(argument, scope)?, &self.budget),
            Node::List(nodes) => Ok(Value::List(self.values(nodes, scope)?.into())),
            Node::Map(entries) => {
                let entries: Result<Rc<[_]>, Undefined> =
                    entries.iter().map(|(key, node)| Ok((&**key, self.value(node, scope)?))).collect();
                entries.map(Value::Map)
            }
            Node::Loop(looping) if matches!(looping.kind, Macro::Filter | Macro::Map) => self.collected(looping, scope),
            condition => self.truth(condition, scope).map(Value::Bool),
        }
    }

    fn values(&self, nodes: &'a [Node], scope: Option<&Scope<'_, 'a>>) -> Result<Vec<Value<'a>>, Undefined> {
        nodes.iter().map(|node| self.value(node, scope)).collect()
    }

    fn field(&self, field: Field) -> Value<'a> {
        let event = self.event;
        match field {
            Field::Type => Value::text(&event.kind),
            Field::Channel => Value::text(event.channel.as_str()),
            Field::Source => Value::text(&event.source),
            Field::Severity => Value::text(event.effective_severity().as_str()),
            Field::Rank => Value::Int(event.effective_severity() as i64),
            Field::Evidence => event.evidence.map(Evidence::as_str).map_or(Value::Null, Value::text),
            Field::Key => match &event.retention {
                Retention::None => Value::Null,
                Retention::Keep(key) | Retention::Forget(key) => Value::text(key),
            },
            Field::Offset => {
                i64::try_from(event.position.offset).map_or(Value::UInt(event.position.offset), Value::Int)
            }
            Field::Time => Value::Time(event.time.0),
        }
    }

    /// `all` (decided by `false`), `exists` (decided by `true`) and `exists_one`.
    fn quantified(&self, looping: &'a Loop, scope: Option<&Scope<'_, 'a>>) -> Result<bool, Undefined> {
        let mut items = self.value(&looping.range, scope)?.items().ok_or(Undefined)?;
        let mut outcome = Ok(looping.kind == Macro::All);
        let mut ones = 0_u32;
        while let Some(value) = items.next(&self.budget)? {
            let scope = Scope { value, outer: scope };
            match (looping.kind, self.truth(&looping.body, Some(&scope))) {
                (Macro::All, Ok(false)) => return Ok(false),
                (Macro::Exists, Ok(true)) => return Ok(true),
                (Macro::ExistsOne, truth) => ones += u32::from(truth?),
                (_, Ok(_)) => {}
                (_, Err(undefined)) => outcome = Err(undefined),
            }
        }
        if looping.kind == Macro::ExistsOne { Ok(ones == 1) } else { outcome }
    }

    /// `filter` and `map`.
    fn collected(&self, looping: &'a Loop, scope: Option<&Scope<'_, 'a>>) -> Outcome<'a> {
        let mut items = self.value(&looping.range, scope)?.items().ok_or(Undefined)?;
        let mut collected = Vec::new();
        while let Some(value) = items.next(&self.budget)? {
            let scope = Scope { value, outer: scope };
            if looping.kind == Macro::Filter {
                if self.truth(&looping.body, Some(&scope))? {
                    collected.push(scope.value);
                }
                continue;
            }
            if looping.guard.as_ref().map_or(Ok(true), |guard| self.truth(guard, Some(&scope)))? {
                collected.push(self.value(&looping.body, Some(&scope))?);
            }
        }
        Ok(Value::List(collected.into()))
    }
}

impl Literal {
    fn number(&self) -> Option<Number> {
        match self {
            Self::Int(int) => Some(Number::Int(*int)),
            Self::UInt(unsigned) => Some(Number::UInt(*unsigned)),
            Self::Double(double) => Some(Number::Double(*double)),
            _ => None,
        }
    }

    fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(bool) => Value::Bool(*bool),
            Self::Int(int) => Value::Int(*int),
            Self::UInt(unsigned) => Value::UInt(*unsigned),
            Self::Double(double) => Value::Double(*double),
            Self::Text(text) => Value::text(text),
            Self::Time(nanos) => Value::Time(*nanos),
            Self::Span(nanos) => Value::Span(*nanos),
        }
    }
}
