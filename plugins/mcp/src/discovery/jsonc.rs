//! JSON as these clients read it: with comments, commas after the last entry, and a byte order mark.

use headwater_plugin::{serde::de::DeserializeOwned, serde_json};

/// Where a text stops being JSON. It says nothing of what stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// From 1.
    pub(crate) line: usize,
    /// From 1.
    pub(crate) column: usize,
    /// Whether more was to come: a file that is being written looks so.
    pub(crate) cut_off: bool,
}

/// Reads JSON, with comments or without.
pub(crate) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Broken> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    // Most files are plain JSON, and some of those are large.
    serde_json::from_slice(text).or_else(|_| serde_json::from_slice(&plain(text))).map_err(|error| Broken {
        line: error.line(),
        column: error.column(),
        cut_off: error.is_eof(),
    })
}

/// The same text as plain JSON. Spaces take the place of what is not, so that lines and columns stay.
fn plain(text: &[u8]) -> Vec<u8> {
    let mut out = text.to_vec();
    // A comma that nothing but space follows so far.
    let mut comma = None;
    let mut at = 0;
    while at < text.len() {
        let end = match (text[at], text.get(at + 1)) {
            (b'"', _) => {
                comma = None;
                end_of_string(text, at)
            }
            (b'/', Some(b'/')) => blank(&mut out, at, line_end(text, at)),
            (b'/', Some(b'*')) => blank(&mut out, at, comment_end(text, at)),
            (b',', _) => {
                comma = Some(at);
                at + 1
            }
            (b']' | b'}', _) => {
                if let Some(comma) = comma.take() {
                    out[comma] = b' ';
                }
                at + 1
            }
            (b' ' | b'\t' | b'\r' | b'\n', _) => at + 1,
            _ => {
                comma = None;
                at + 1
            }
        };
        at = end;
    }
    out
}

fn end_of_string(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

fn line_end(text: &[u8], start: usize) -> usize {
    text[start..].iter().position(|&byte| byte == b'\n').map_or(text.len(), |length| start + length)
}

fn comment_end(text: &[u8], start: usize) -> usize {
    let inside = start + 2;
    text[inside..].windows(2).position(|two| two == b"*/").map_or(text.len(), |length| inside + length + 2)
}

fn blank(out: &mut [u8], start: usize, end: usize) -> usize {
    for byte in &mut out[start..end] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_plugin::serde_json::{Value, json};
    use proptest::prelude::*;

    #[test]
    fn comments_and_last_commas_are_passed_over() {
        let text = b"\xef\xbb\xbf// a\n{ /* b, */ \"a\": [1, 2, /* } */ ], // \"x\": 1\n \"u\": \"http://h/*no*/\", \"q\": \"\\\"//\",\n}";
        assert_eq!(parse::<Value>(text), Ok(json!({"a": [1, 2], "u": "http://h/*no*/", "q": "\"//"})));
    }

    #[test]
    fn a_place_is_that_of_the_file() {
        let broken = parse::<Value>(b"{\n/* two\n lines */ \"a\": x }").unwrap_err();
        assert_eq!((broken.line, broken.column, broken.cut_off), (3, 16, false));
        for cut in ["{\"a\": 1", "{\"a\": \"b", "{ /* ", ""] {
            assert!(parse::<Value>(cut.as_bytes()).unwrap_err().cut_off, "{cut}");
        }
        for wrong in ["[1,,]", "{\"a\" 1}", "/", "nonsense"] {
            assert!(!parse::<Value>(wrong.as_bytes()).unwrap_err().cut_off, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in prop::collection::vec(prop_oneof![Just(b'"'), Just(b'\\'), Just(b'/'),
            Just(b'*'), Just(b','), Just(b'}'), Just(b'{'), Just(b'\n'), any::<u8>()], 0..64)) {
            prop_assert_eq!(plain(&text).len(), text.len());
            let _ = parse::<Value>(&text);
        }

        #[test]
        fn what_is_json_stays_what_it_is(text in "\\PC*") {
            let value = json!({ "a": [text.clone(), { text: 1 }], "b": {} });
            prop_assert_eq!(parse::<Value>(value.to_string().as_bytes()), Ok(value));
        }
    }
}
