//! The parts of the payload that an expression names, found in one pass over its text that stops as soon as all have
//! been found.

use super::json::{Json, Members};
use super::value::Value;

/// How many parts one expression may name: what is found is kept on the stack.
pub(super) const MAX_PATHS: usize = 32;

/// The parts, by number and as a tree.
#[derive(Debug, Default)]
pub(super) struct Paths {
    numbered: Vec<Vec<String>>,
    tree: Level,
}

/// The names that are looked for in one object.
#[derive(Debug, Default)]
struct Level(Vec<Branch>);

#[derive(Debug)]
struct Branch {
    name: String,
    /// The path that ends here.
    number: Option<usize>,
    below: Level,
}

/// What one event has of the parts.
#[derive(Debug)]
pub(super) struct Found<'a>([Option<Json<'a>>; MAX_PATHS]);

impl<'a> Found<'a> {
    pub(super) fn value(&self, number: usize) -> Option<Value<'a>> {
        self.0[number].map(Json::value)
    }
}

impl Paths {
    /// The number of this path; `None` when there are too many. A path has at least one name.
    pub(super) fn number(&mut self, path: Vec<String>) -> Option<usize> {
        if let Some(known) = self.numbered.iter().position(|known| *known == path) {
            return Some(known);
        }
        let number = self.numbered.len();
        if number == MAX_PATHS {
            return None;
        }
        let mut level = &mut self.tree;
        let mut names = path.iter().peekable();
        while let Some(name) = names.next() {
            let at = level.0.iter().position(|branch| branch.name == *name).unwrap_or_else(|| {
                level.0.push(Branch { name: name.clone(), number: None, below: Level::default() });
                level.0.len() - 1
            });
            if names.peek().is_none() {
                level.0[at].number = Some(number);
            }
            level = &mut level.0[at].below;
        }
        self.numbered.push(path);
        Some(number)
    }

    /// Looks for all of them.
    pub(super) fn find<'a>(&self, payload: &'a [u8]) -> Found<'a> {
        let mut found = Found([None; MAX_PATHS]);
        self.tree.walk(payload, false, &mut found);
        found
    }
}

impl Level {
    /// Reads the value that the text starts with. Its length, where the end is wanted; elsewhere it may stop before.
    fn walk<'a>(&self, text: &'a [u8], to_end: bool, found: &mut Found<'a>) -> usize {
        let mut members = Json::new(text).members();
        let mut seen = 0_u32;
        let all = u32::MAX.checked_shr(u32::BITS - self.0.len() as u32).unwrap_or(0);
        while seen != all {
            let Some(key) = members.key() else { break };
            // Of members with the same name the first counts.
            let Some(at) = self.0.iter().position(|branch| key.is(&branch.name)).filter(|at| seen & 1 << at == 0)
            else {
                members.value();
                continue;
            };
            seen |= 1 << at;
            self.0[at].take(&mut members, to_end || seen != all, found);
        }
        if to_end { members.length() } else { 0 }
    }
}

impl Branch {
    /// Takes the value after the name.
    fn take<'a>(&self, members: &mut Members<'a>, go_on: bool, found: &mut Found<'a>) {
        let text = members.ahead();
        if self.below.0.is_empty() {
            let json = members.value();
            if let Some(number) = self.number {
                found.0[number] = Some(json);
            }
            return;
        }
        let length = self.below.walk(text, go_on || self.number.is_some(), found);
        if let Some(number) = self.number {
            found.0[number] = text.get(..length).map(Json::new);
        }
        members.pass(length);
    }
}
