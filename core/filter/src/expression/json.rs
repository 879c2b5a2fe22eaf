//! Reads a payload where it stands: finds members and elements, and turns a scalar into a value. Builds no tree. Payloads
//! have been validated when they came in; on anything else it stops early and never panics.
//!
//! Of members with the same name the first counts.

use super::value::Value;
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

    pub(super) fn is_object(self) -> bool {
        self.0.first() == Some(&b'{')
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
            Some(b'-' | b'0'..=b'9') => number(self.0),
            _ => Value::Null,
        }
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
pub(super) struct Key<'a>(&'a [u8]);

impl<'a> Key<'a> {
    pub(super) fn is(self, name: &str) -> bool {
        // With escapes it is longer than what it says.
        self.0 == name.as_bytes() || (self.0.len() > name.len() && self.0.contains(&b'\\') && unescaped(self.0) == name)
    }

    pub(super) fn text(self) -> Cow<'a, str> {
        unescaped(self.0)
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
        let close = string(self.text, self.at);
        let key = self.text.get(self.at + 1..close.saturating_sub(1))?;
        // The colon, with white space on both sides.
        self.at = space(self.text, space(self.text, close) + 1);
        Some(Key(key))
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
        Some(b'"') => string(bytes, at),
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
            b'"' => at = string(bytes, at - 1),
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 1 => return at,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
    }
    bytes.len()
}

/// Where the string that opens here ends, its quote included.
fn string(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    loop {
        at += plain(bytes.get(at..).unwrap_or_default());
        match bytes.get(at) {
            Some(b'"') => return at + 1,
            // Whatever is escaped, it is no end.
            Some(_) => at += 2,
            None => return bytes.len(),
        }
    }
}

/// How many bytes stand before the next quote or backslash; eight at a time, since most of a payload is text.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    // The high bit of each byte that is zero; of bytes above the first such one it may be wrong.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let (words, rest) = bytes.as_chunks::<8>();
    for (n, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return n * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let start = bytes.len() - rest.len();
    start + rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(rest.len())
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

/// An integer where it is written as one and fits, else a double.
fn number<'a>(text: &[u8]) -> Value<'a> {
    let text = str::from_utf8(text).unwrap_or_default();
    if let Ok(int) = text.parse::<i64>() {
        return Value::Int(int);
    }
    if let Ok(unsigned) = text.parse::<u64>() {
        return Value::UInt(unsigned);
    }
    text.parse().map_or(Value::Null, Value::Double)
}
