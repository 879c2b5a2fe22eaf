//! Reads a payload where it stands: finds members and elements, and turns a scalar into a value. Builds no tree. Payloads
//! have been validated when they came in; on anything else it stops early and never panics.
//!
//! Of members with the same name the first counts.

use super::{number::Number, value::Value};
use std::{borrow::Cow, str};

/// One JSON value as text, without white space around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Json<'a>(&'a [u8]);

impl<'a> Json<'a> {
    /// Takes the text of one value.
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self(text)
    }

    pub(super) fn len(self) -> usize {
        self.0.len()
    }

    #[cfg(test)]
    pub(super) fn bytes(self) -> &'a [u8] {
        self.0
    }

    pub(super) fn is_object(self) -> bool {
        self.0.first() == Some(&b'{')
    }

    pub(super) fn is_text(self) -> bool {
        self.0.first() == Some(&b'"')
    }

    pub(super) fn is_array(self) -> bool {
        self.0.first() == Some(&b'[')
    }

    /// A scalar as itself, an object or array as it is.
    pub(super) fn value(self) -> Value<'a> {
        match self.0.first() {
            Some(b'"') => Value::Text(unescaped(self.0.get(1..self.0.len() - 1).unwrap_or_default()).into()),
            Some(b't') => Value::Bool(true),
            Some(b'f') => Value::Bool(false),
            Some(b'{' | b'[') => Value::Json(self),
            _ => self.number().map_or(Value::Null, Value::from),
        }
    }

    /// Where it is a number.
    pub(super) fn number(self) -> Option<Number> {
        if matches!(self.0.first(), Some(b'-' | b'0'..=b'9')) { Number::parse(self.0) } else { None }
    }

    /// What it says, where it is a text without escapes.
    pub(super) fn plain_text(self) -> Option<&'a [u8]> {
        let [b'"', text @ .., b'"'] = self.0 else { return None };
        (!text.contains(&b'\\')).then_some(text)
    }

    /// The members of an object; nothing of anything else.
    pub(super) fn members(self) -> Members<'a> {
        Members { text: self.0, at: 1 }
    }

    /// The elements of an array; nothing of anything else.
    pub(super) fn elements(self) -> Elements<'a> {
        Elements { text: self.0, at: if self.is_array() { 1 } else { self.0.len() } }
    }

    /// The member of this name.
    pub(super) fn member(self, name: &str) -> Option<Self> {
        let mut members = self.members();
        loop {
            let key = members.key()?;
            let value = members.value();
            if key.is(name) {
                return Some(value);
            }
        }
    }
}

/// A member's name as it is written.
#[derive(Clone, Copy)]
pub(super) struct Key<'a> {
    written: &'a [u8],
    escaped: bool,
}

impl<'a> Key<'a> {
    pub(super) fn is(self, name: &str) -> bool {
        if self.escaped { unescaped(self.written) == name } else { self.written == name.as_bytes() }
    }

    pub(super) fn text(self) -> Cow<'a, str> {
        unescaped(self.written)
    }
}

/// Members one after the other: a key, then its value, or a step over it.
#[derive(Clone)]
pub(super) struct Members<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Members<'a> {
    /// The next name. `None` at the end of the object, and of what is no object.
    pub(super) fn key(&mut self) -> Option<Key<'a>> {
        if self.text.first() != Some(&b'{') {
            return None;
        }
        self.at = separator(self.text, self.at);
        if self.text.get(self.at) != Some(&b'"') {
            return None;
        }
        let (close, escaped) = string(self.text, self.at);
        let written = self.text.get(self.at + 1..close.saturating_sub(1))?;
        // The colon, with white space on both sides.
        self.at = space(self.text, space(self.text, close) + 1);
        Some(Key { written, escaped })
    }

    /// The value after the name just read.
    pub(super) fn value(&mut self) -> Json<'a> {
        let start = self.at;
        self.at = skip(self.text, start);
        Json(self.text.get(start..self.at).unwrap_or_default())
    }

    /// All text from the value on.
    pub(super) fn ahead(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Steps over the value, of which somebody else knows the length.
    pub(super) fn pass(&mut self, length: usize) {
        self.at += length;
    }

    /// Steps to the end, wherever it stands; how long the whole object is.
    pub(super) fn length(self) -> usize {
        if self.text.first() == Some(&b'{') { closed(self.text, self.at, 1) } else { skip(self.text, 0) }
    }
}

/// Elements one after the other.
#[derive(Clone)]
pub(super) struct Elements<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Json<'a>;

    fn next(&mut self) -> Option<Json<'a>> {
        let start = separator(self.text, self.at);
        if matches!(self.text.get(start), None | Some(b']')) {
            self.at = self.text.len();
            return None;
        }
        self.at = skip(self.text, start);
        self.text.get(start..self.at).map(Json)
    }
}

/// Past white space and a comma.
fn separator(bytes: &[u8], at: usize) -> usize {
    let at = space(bytes, at);
    if bytes.get(at) == Some(&b',') { space(bytes, at + 1) } else { at }
}

fn space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// Where the value that starts here ends.
fn skip(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    match bytes.get(at) {
        Some(b'"') => string(bytes, at).0,
        Some(b'{' | b'[') => closed(bytes, at + 1, 1),
        _ => {
            while !matches!(bytes.get(at), None | Some(b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r')) {
                at += 1;
            }
            at
        }
    }
}

/// Where so many open brackets are closed.
fn closed(bytes: &[u8], mut at: usize, mut depth: usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => at = string(bytes, at - 1).0,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 1 => return at,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
    }
    bytes.len()
}

/// Where the string that opens here ends, its quote included, and whether there are escapes in it.
fn string(bytes: &[u8], open: usize) -> (usize, bool) {
    let mut at = open + 1;
    let mut escaped = false;
    loop {
        at += plain(bytes.get(at..).unwrap_or_default());
        match bytes.get(at) {
            Some(b'"') => return (at + 1, escaped),
            // Whatever is escaped, it is no end.
            Some(_) => at += 2,
            None => return (bytes.len(), escaped),
        }
        escaped = true;
    }
}

/// How many bytes stand before the next quote or backslash.
fn plain(bytes: &[u8]) -> usize {
    before(bytes, |word| zeros(word ^ each(b'"')) | zeros(word ^ each(b'\\')))
}

/// How many bytes stand before the first that is marked by its high bit; eight at a time, since most of a payload is
/// of no interest.
#[inline]
fn before(bytes: &[u8], marked: impl Fn(u64) -> u64) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (n, word) in words.iter().enumerate() {
        let found = marked(u64::from_le_bytes(*word));
        if found != 0 {
            return n * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let found = marked(u64::from_le_bytes(last));
    words.len() * 8 + if found == 0 { rest.len() } else { found.trailing_zeros() as usize / 8 }
}

/// Eight times this byte.
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Marks bytes that are zero. Of bytes above the first such one it may be wrong.
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(each(1)) & !word & each(0x80)
}

/// What a string says. Half a surrogate pair becomes U+FFFD.
fn unescaped(text: &[u8]) -> Cow<'_, str> {
    let text = str::from_utf8(text).unwrap_or_default();
    let Some(first) = text.find('\\') else { return Cow::Borrowed(text) };
    let mut said = String::with_capacity(text.len());
    said.push_str(&text[..first]);
    let mut rest = &text[first..];
    while let Some(escape) = rest.strip_prefix('\\') {
        let mut length = 1;
        match escape.as_bytes().first() {
            Some(b'n') => said.push('\n'),
            Some(b't') => said.push('\t'),
            Some(b'r') => said.push('\r'),
            Some(b'b') => said.push('\u{8}'),
            Some(b'f') => said.push('\u{c}'),
            Some(b'u') => length = unicode(escape, &mut said),
            Some(other) => said.push(char::from(*other)),
            None => length = 0,
        }
        rest = escape.get(length..).unwrap_or_default();
        let next = rest.find('\\').unwrap_or(rest.len());
        said.push_str(&rest[..next]);
        rest = &rest[next..];
    }
    Cow::Owned(said)
}

/// `u` and four digits, and the second half of a pair where there is one. How many bytes were read.
fn unicode(escape: &str, said: &mut String) -> usize {
    let code = |at: usize| u16::from_str_radix(escape.get(at..at + 4)?, 16).ok();
    let Some(first) = code(1) else {
        said.push(char::REPLACEMENT_CHARACTER);
        return 1;
    };
    let second = if escape[5..].starts_with("\\u") { code(7) } else { None };
    let pair = second.into_iter();
    let mut units = char::decode_utf16(std::iter::once(first).chain(pair));
    let char = units.next().and_then(Result::ok).unwrap_or(char::REPLACEMENT_CHARACTER);
    said.push(char);
    if char.len_utf16() == 2 { 11 } else { 5 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(text: &str) -> Json<'_> {
        Json::new(text.as_bytes())
    }

    #[test]
    fn texts_say_what_their_escapes_say() {
        for (written, said) in [
            (r#""""#, ""),
            (r#""plain""#, "plain"),
            (r#""é""#, "é"),
            (r#""a\"b\\c\/d""#, "a\"b\\c/d"),
            (r#""\b\f\n\r\t""#, "\u{8}\u{c}\n\r\t"),
            (r#""\u00e9\u0041!""#, "éA!"),
            (r#""\ud83d\ude00.""#, "😀."),
            (r#""\ud83d""#, "\u{fffd}"),
            (r#""\ud83d\u0041""#, "\u{fffd}A"),
            (r#""\ude00\ud83d\ude00""#, "\u{fffd}😀"),
        ] {
            let Value::Text(text) = json(written).value() else { panic!("{written}") };
            assert_eq!(&*text, said, "{written}");
            assert_eq!(json(written).plain_text().is_some(), !written.contains('\\'), "{written}");
        }
    }

    #[test]
    fn members_and_elements_are_found_wherever_they_stand() {
        let object = json(r#"{ "a" : {"b":"}"} , "b":[1,[2],"]"],"a":3,"\u0063":"d" }"#);
        assert_eq!(object.member("a"), Some(json(r#"{"b":"}"}"#)), "the first of two counts");
        assert_eq!(object.member("b").map(|list| list.elements().count()), Some(3));
        assert_eq!(object.member("c"), Some(json(r#""d""#)));
        assert_eq!(object.member("d"), None);
        let mut names = Vec::new();
        let mut members = object.members();
        while let Some(key) = members.key() {
            names.push(key.text().into_owned());
            members.value();
        }
        assert_eq!(names, ["a", "b", "a", "c"]);
        assert_eq!(object.members().length(), object.len());
        for empty in ["{}", "[ ]", "1", "\"{\"", "null"] {
            assert!(json(empty).members().key().is_none(), "{empty}");
            assert!(json(empty).elements().next().is_none(), "{empty}");
        }
    }

    proptest! {
        /// Payloads are valid JSON; were one not, a reader must not fall over it.
        #[test]
        fn what_is_no_json_ends_early(text in "[\\[\\]{}\",:\\\\u0-9a-f é-]{0,40}") {
            let json = json(&text);
            json.value();
            json.elements().take(100).for_each(|element| drop(element.value()));
            let mut members = json.members();
            while members.key().is_some() {
                members.value();
            }
            members.length();
        }
    }
}
