//! Where a reader of several channels stands, as one text: `name@epoch:offset`, joined with commas. It is the `id:` of
//! server-sent events and comes back as `Last-Event-ID` or as `from`. For the outlets of the gateway and for clients that read
//! them.

use crate::RequestError;
use headwater_event::{ChannelName, Epoch, Position};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

/// The longest cursor. It comes back in a request's head, which has a bound of its own, beside other headers.
pub const MAX_CURSOR: usize = 12 * 1024;

/// A position in each of some channels. Channel names hold none of the characters that separate them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor(HashMap<ChannelName, Position>);

impl Cursor {
    /// Reads what [`write()`] wrote. `place` names where it stood.
    pub fn parse(place: &str, text: &str) -> Result<Self, RequestError> {
        let wrong = |why: &str| {
            let form = "a cursor is name@epoch:offset, joined with commas, as the `id` of an event gives it";
            RequestError::validation(format!("`{place}`: {why}; {form}"))
        };
        let mut positions = HashMap::new();
        for part in text.split(',') {
            let (name, position) = part.rsplit_once('@').ok_or_else(|| wrong(&format!("`{part}` has no position")))?;
            let name = ChannelName::new(name).map_err(|error| wrong(&error.to_string()))?;
            let position = position.split_once(':').and_then(|(epoch, offset)| {
                let digits = !offset.is_empty() && offset.bytes().all(|byte| byte.is_ascii_digit());
                let offset = if digits { offset.parse().ok()? } else { return None };
                Some(Position { epoch: Epoch::parse(epoch)?, offset })
            });
            let position = position.ok_or_else(|| wrong(&format!("the position of `{name}` cannot be read")))?;
            if positions.insert(name.clone(), position).is_some() {
                return Err(wrong(&format!("`{name}` stands twice")));
            }
        }
        Ok(Self(positions))
    }

    /// Where it stands in a channel.
    pub fn get(&self, channel: &ChannelName) -> Option<Position> {
        self.0.get(channel.as_str()).copied()
    }

    /// Where it stands in each of its channels.
    pub fn places(&self) -> BTreeMap<ChannelName, Position> {
        self.0.iter().map(|(channel, position)| (channel.clone(), *position)).collect()
    }

    /// The channels that it names.
    pub fn channels(&self) -> impl Iterator<Item = &ChannelName> {
        self.0.keys()
    }
}

/// One part of a cursor.
pub fn part(out: &mut impl fmt::Write, channel: &ChannelName, position: Position) {
    write!(out, "{channel}@{position}").expect("invariant: a text takes every write");
}

/// The cursor of these positions.
pub fn write(positions: &[(ChannelName, Position)]) -> String {
    let mut text = String::new();
    for (channel, position) in positions {
        if !text.is_empty() {
            text.push(',');
        }
        part(&mut text, channel, *position);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> ChannelName {
        ChannelName::new(text).unwrap()
    }

    #[test]
    fn a_cursor_reads_what_it_writes() {
        let at = |epoch, offset| Position { epoch: Epoch(epoch), offset };
        let positions = [(name("build:7/a.b-c_d"), at(0xab, 0)), (name("b"), at(u64::MAX, u64::MAX))];
        let text = write(&positions);
        assert_eq!(text, "build:7/a.b-c_d@00000000000000ab:0,b@ffffffffffffffff:18446744073709551615");
        let cursor = Cursor::parse("from", &text).unwrap();
        for (channel, position) in &positions {
            assert_eq!(cursor.get(channel), Some(*position));
        }
        assert_eq!((cursor.channels().count(), cursor.get(&name("c"))), (2, None));
    }

    proptest! {
        #[test]
        fn every_cursor_reads_what_it_writes(
            places in prop::collection::btree_map("[a-z0-9_.:/-]{1,12}", any::<(u64, u64)>(), 1..6),
        ) {
            let positions: Vec<_> = places
                .into_iter()
                .map(|(text, (epoch, offset))| (name(&text), Position { epoch: Epoch(epoch), offset }))
                .collect();
            let read = Cursor::parse("from", &write(&positions)).unwrap();
            prop_assert_eq!(read.channels().count(), positions.len());
            for (channel, position) in &positions {
                prop_assert_eq!(read.get(channel), Some(*position));
            }
        }

        #[test]
        fn any_text_is_a_cursor_or_an_error(text in any::<String>()) {
            let _ = Cursor::parse("from", &text);
        }
    }

    #[test]
    fn what_is_no_cursor_is_told_with_what_is_one() {
        for (text, word) in [
            ("", "has no position"),
            ("12", "has no position"),
            ("a@00000000000000ab:1,", "has no position"),
            ("a b@00000000000000ab:1", "column 2"),
            ("a@ab:1", "position of `a`"),
            ("a@00000000000000ab", "position of `a`"),
            ("a@00000000000000ab:", "position of `a`"),
            ("a@00000000000000ab:-1", "position of `a`"),
            ("a@00000000000000ab:+1", "position of `a`"),
            ("a@00000000000000ab:18446744073709551616", "position of `a`"),
            ("a@00000000000000ab:1,a@00000000000000ab:2", "stands twice"),
        ] {
            let error = Cursor::parse("Last-Event-ID", text).unwrap_err();
            let told = error.message.contains(word) && error.message.contains("name@epoch:offset");
            assert!(told && error.message.contains("`Last-Event-ID`"), "{text:?}: {error}");
        }
    }
}
