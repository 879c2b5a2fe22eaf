//! The parts of the payload that an expression names, found in one pass over its text that stops as soon as all have
//! been found.

use super::json::{Json, Members};

/// How many parts one expression may name: each is compared with every name of its object.
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

/// What one event has of the parts: the first few on the stack, which is all that most expressions name.
#[derive(Debug)]
pub(super) struct Found<'a> {
    few: [Option<Json<'a>>; FEW],
    more: Vec<Option<Json<'a>>>,
}

const FEW: usize = 6;

impl<'a> Found<'a> {
    pub(super) fn get(&self, number: usize) -> Option<Json<'a>> {
        self.few.get(number).or_else(|| self.more.get(number - FEW)).copied().flatten()
    }

    fn set(&mut self, number: usize, json: Option<Json<'a>>) {
        match self.few.get_mut(number) {
            Some(place) => *place = json,
            None => self.more[number - FEW] = json,
        }
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
        let more = vec![None; self.numbered.len().saturating_sub(FEW)];
        let mut found = Found { few: [None; FEW], more };
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
                found.set(number, Some(json));
            }
            return;
        }
        let length = self.below.walk(text, go_on || self.number.is_some(), found);
        if let Some(number) = self.number {
            found.set(number, text.get(..length).map(Json::new));
        }
        members.pass(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*, sample::select};
    use serde_json::{Map, Value};

    /// The textbook way: parse all of it, and look.
    fn slow(data: &Value, path: &[String]) -> Option<String> {
        let found = path.iter().try_fold(data, |value, name| value.as_object()?.get(name));
        found.map(ToString::to_string)
    }

    fn payload() -> impl Strategy<Value = Value> {
        let scalar = select(vec![Value::Null, Value::from(1), Value::from("}a\""), Value::from(vec![1, 2])]);
        scalar.prop_recursive(4, 24, 4, |inner| {
            vec(("[abc\"]", inner), 0..4).prop_map(|members| members.into_iter().collect::<Map<_, _>>().into())
        })
    }

    proptest! {
        /// Paths that end within others, that go on after others, and more of them than stand on the stack.
        #[test]
        fn one_pass_finds_what_looking_for_each_finds(
            data in payload(),
            paths in vec(vec("[abc\"]", 1..4), 1..20),
        ) {
            let mut wanted = Paths::default();
            let numbers: Vec<_> = paths.iter().map(|path| wanted.number(path.clone()).unwrap()).collect();
            let text = data.to_string();
            let found = wanted.find(text.as_bytes());
            for (number, path) in numbers.into_iter().zip(&paths) {
                let text = found.get(number).map(|json| String::from_utf8(json.bytes().to_vec()).unwrap());
                prop_assert_eq!(text, slow(&data, path), "{:?} of {}", path, data);
            }
        }
    }
}
