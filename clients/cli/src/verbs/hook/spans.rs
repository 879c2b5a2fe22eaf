//! A JSON text whose parts are known by their places, so that one part can be cut out or put in while every other byte
//! stays: people lay out their settings by hand, and other programs read them.

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{fmt, ops::Range};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Part<'t> {
    /// The whole text.
    text: &'t str,
    pub(super) span: Range<usize>,
}

/// The parts of an object or an array.
#[derive(Clone, Debug)]
pub(super) struct Parts<'t> {
    /// The brackets included.
    whole: Part<'t>,
    /// The keys of an object; of an array empty texts.
    pub(super) entries: Vec<(String, Part<'t>)>,
}

impl<'t> Part<'t> {
    /// The value of a whole text.
    pub(super) fn of(text: &'t str) -> Result<Self, serde_json::Error> {
        let raw: &RawValue = serde_json::from_str(text)?;
        Ok(Self { text, span: place(text, raw) })
    }

    pub(super) fn get(&self) -> &'t str {
        &self.text[self.span.clone()]
    }

    fn within(&self, raw: &RawValue) -> Self {
        Self { text: self.text, span: place(self.text, raw) }
    }

    /// Its members; `None` when it is no object.
    pub(super) fn object(&self) -> Option<Parts<'t>> {
        let Members(members) = serde_json::from_str(self.get()).ok()?;
        let entries = members.into_iter().map(|(key, raw)| (key, self.within(raw))).collect();
        Some(Parts { whole: self.clone(), entries })
    }

    /// Its elements; `None` when it is no array.
    pub(super) fn array(&self) -> Option<Parts<'t>> {
        let elements: Vec<&RawValue> = serde_json::from_str(self.get()).ok()?;
        let entries = elements.into_iter().map(|raw| (String::new(), self.within(raw))).collect();
        Some(Parts { whole: self.clone(), entries })
    }

    /// Its text when it is a string.
    pub(super) fn string(&self) -> Option<String> {
        serde_json::from_str(self.get()).ok()
    }
}

impl<'t> Parts<'t> {
    /// The member of this name. Of two with one name the last counts, as for every reader.
    pub(super) fn get(&self, key: &str) -> Option<&Part<'t>> {
        self.entries.iter().rev().find(|(name, _)| name == key).map(|(_, part)| part)
    }

    /// The whole text without one of the entries.
    pub(super) fn without(&self, index: usize) -> String {
        let text = self.whole.text;
        let end = self.entries[index].1.span.end;
        let cut = if index > 0 {
            // The comma before it goes too.
            self.entries[index - 1].1.span.end..end
        } else if self.entries.len() > 1 {
            let comma = text[end..].find(',').expect("invariant: a comma stands between two entries");
            self.whole.span.start + 1..end + comma + 1
        } else {
            self.whole.span.start + 1..self.whole.span.end - 1
        };
        [&text[..cut.start], &text[cut.end..]].concat()
    }

    /// The whole text with one more entry at the end. `item` has no line break at its ends; `depth` is that of the entry.
    pub(super) fn with(&self, item: &str, layout: &Layout, depth: usize) -> String {
        let text = self.whole.text;
        let inside = layout.line_break(depth);
        if let Some((_, last)) = self.entries.last() {
            let at = last.span.end;
            return [&text[..at], ",", &inside, item, &text[at..]].concat();
        }
        let (start, end) = (self.whole.span.start + 1, self.whole.span.end - 1);
        [&text[..start], &inside, item, &layout.line_break(depth - 1), &text[end..]].concat()
    }
}

/// How a text is laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// What each level is moved in by; `None`: all on one line.
    indent: Option<String>,
}

impl Layout {
    /// As an object is laid out; two spaces where it does not show.
    pub(super) fn of(text: &str) -> Self {
        let object = text.trim();
        let Some((_, first)) = object.split_once('\n') else {
            let empty = object.trim_start_matches('{').trim_end_matches('}').trim().is_empty();
            return Self { indent: empty.then(|| "  ".to_owned()) };
        };
        let white: String = first.chars().take_while(|c| *c == ' ' || *c == '\t').collect();
        Self { indent: Some(if white.is_empty() { "  ".to_owned() } else { white }) }
    }

    fn line_break(&self, depth: usize) -> String {
        self.indent.as_deref().map_or_else(String::new, |indent| format!("\n{}", indent.repeat(depth)))
    }

    /// JSON in this layout, as it stands at a depth.
    pub(super) fn write(&self, value: &impl Serialize, depth: usize) -> String {
        let mut bytes = Vec::new();
        let Some(indent) = &self.indent else {
            return serde_json::to_string(value).expect("invariant: settings serialise into memory");
        };
        let formatter = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
        let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
        value.serialize(&mut serializer).expect("invariant: settings serialise into memory");
        let text = String::from_utf8(bytes).expect("invariant: JSON is UTF-8");
        text.replace('\n', &self.line_break(depth))
    }

    /// What stands between a key and its value.
    pub(super) fn colon(&self) -> &'static str {
        if self.indent.is_some() { ": " } else { ":" }
    }
}

/// Where a value that was borrowed from a text stands in it.
fn place(text: &str, raw: &RawValue) -> Range<usize> {
    let start = raw.get().as_ptr().addr() - text.as_ptr().addr();
    start..start + raw.get().len()
}

/// The members of an object in their order.
struct Members<'t>(Vec<(String, &'t RawValue)>);

impl<'de: 't, 't> Deserialize<'de> for Members<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_leave_every_other_byte() {
        let text = "{ \"a\" : [1, \"x,]\" ,3],\n\t\"b\":{}}";
        let root = Part::of(text).unwrap().object().unwrap();
        assert_eq!(root.entries[0].1.get(), "[1, \"x,]\" ,3]");
        assert_eq!(root.without(0), "{\n\t\"b\":{}}");
        assert_eq!(root.without(1), "{ \"a\" : [1, \"x,]\" ,3]}");
        let array = root.get("a").unwrap().array().unwrap();
        assert_eq!(array.without(0), "{ \"a\" : [ \"x,]\" ,3],\n\t\"b\":{}}");
        assert_eq!(array.without(1), "{ \"a\" : [1 ,3],\n\t\"b\":{}}");
        assert_eq!(array.without(2), "{ \"a\" : [1, \"x,]\"],\n\t\"b\":{}}");
        assert_eq!(Part::of("{\"a\": [ 1 ] }").unwrap().object().unwrap().without(0), "{}");
        assert!(root.get("b").unwrap().array().is_none() && root.get("a").unwrap().object().is_none());
        assert!(Part::of("{\"a\":1,}").is_err() && Part::of("// c\n{}").is_err());
    }

    #[test]
    fn entries_are_put_in_as_the_text_is_laid_out() {
        let with = |text: &str, depth| {
            let layout = Layout::of(text);
            let item = format!("\"n\"{}{}", layout.colon(), layout.write(&serde_json::json!({"x": [1]}), depth));
            Part::of(text).unwrap().object().unwrap().with(&item, &layout, depth)
        };
        assert_eq!(with("{}", 1), "{\n  \"n\": {\n    \"x\": [\n      1\n    ]\n  }\n}");
        assert_eq!(with("{\"a\":1}", 1), "{\"a\":1,\"n\":{\"x\":[1]}}");
        assert_eq!(with("{\n\t\"a\": 1\n}\n", 1), "{\n\t\"a\": 1,\n\t\"n\": {\n\t\t\"x\": [\n\t\t\t1\n\t\t]\n\t}\n}\n");
    }
}
