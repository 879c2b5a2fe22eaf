//! The line-based forms: NDJSON lines, SSE records, and the cursor that resumes either. For the outlets of the gateway and
//! for clients that read them; what stands in a line is a dialect's.

use crate::{RequestError, percent};
use headwater_event::{ChannelName, Epoch, Position};
use std::{collections::HashSet, fmt::Write};

/// Keeps a quiet SSE stream from being taken for a dead one: a comment, which clients pass over.
pub const SSE_ALIVE: &[u8] = b":\n\n";

/// Appends one NDJSON line. The text is JSON without raw line breaks, as the dialects write it.
pub fn line(text: &[u8], out: &mut Vec<u8>) {
    debug_assert!(is_one_line(text), "a dialect writes no raw line break");
    out.extend_from_slice(text);
    out.push(b'\n');
}

/// Appends one SSE record. `id` is what the client will say in `Last-Event-ID`; without one it keeps the last it had.
/// The text is JSON without raw line breaks, as the dialects write it.
pub fn sse_record(id: Option<&str>, text: &[u8], out: &mut Vec<u8>) {
    debug_assert!(is_one_line(text), "a dialect writes no raw line break");
    if let Some(id) = id {
        debug_assert!(is_one_line(id.as_bytes()), "a cursor has no line break");
        out.extend_from_slice(b"id: ");
        out.extend_from_slice(id.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(text);
    out.extend_from_slice(b"\n\n");
}

fn is_one_line(text: &[u8]) -> bool {
    !text.iter().any(|byte| matches!(byte, b'\n' | b'\r'))
}

/// The cursor that goes on after these positions: `name@epoch:offset`, joined with commas.
pub fn cursor_text<'a>(positions: impl IntoIterator<Item = (&'a ChannelName, Position)>) -> String {
    let mut out = String::new();
    for (name, position) in positions {
        if !out.is_empty() {
            out.push(',');
        }
        // Names have none of the three today; a cursor outlives the daemon that wrote it.
        percent::encode(&mut out, name.as_str(), |byte| byte.is_ascii_graphic() && !matches!(byte, b',' | b'@' | b'%'));
        write!(out, "@{position}").expect("writing into memory does not fail");
    }
    out
}

/// Reads a cursor. Empty text is a cursor that has seen nothing.
pub fn read_cursor(text: &str) -> Result<Vec<(ChannelName, Position)>, RequestError> {
    let mut seen = HashSet::new();
    let mut positions = Vec::new();
    for entry in text.split(',').filter(|_| !text.is_empty()) {
        let (name, position) = read_entry(entry).ok_or_else(|| {
            let entry: String = entry.chars().take(64).collect();
            RequestError::validation(format!(
                "the cursor is `name@epoch:offset` joined with commas, as an earlier record's id was; not `{entry}`"
            ))
        })?;
        if !seen.insert(name.clone()) {
            return Err(RequestError::validation(format!("the cursor names channel `{name}` twice")));
        }
        positions.push((name, position));
    }
    Ok(positions)
}

fn read_entry(entry: &str) -> Option<(ChannelName, Position)> {
    let (name, place) = entry.rsplit_once('@')?;
    let (epoch, offset) = place.split_once(':')?;
    let name = String::from_utf8(percent::decode(name.as_bytes())?).ok()?;
    let digits = offset.bytes().all(|byte| byte.is_ascii_digit());
    let offset = offset.parse().ok().filter(|_| digits)?;
    Some((ChannelName::new(&name).ok()?, Position { epoch: Epoch::parse(epoch)?, offset }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> ChannelName {
        ChannelName::new(text).unwrap()
    }

    #[test]
    fn a_line_and_a_record_end_where_the_next_begins() {
        let mut out = Vec::new();
        line(b"{\"a\":1}", &mut out);
        line(b"[]", &mut out);
        assert_eq!(out, b"{\"a\":1}\n[]\n");
        out.clear();
        sse_record(Some("a@00000000000000ab:1"), b"{}", &mut out);
        sse_record(None, b"[]", &mut out);
        assert_eq!(out, b"id: a@00000000000000ab:1\ndata: {}\n\ndata: []\n\n");
    }

    #[test]
    fn a_cursor_is_positions_by_channel() {
        let text = "a@00000000000000ab:1,workflow:wf/1@ffffffffffffffff:18446744073709551615";
        let positions = vec![
            (name("a"), Position { epoch: Epoch(0xab), offset: 1 }),
            (name("workflow:wf/1"), Position { epoch: Epoch(u64::MAX), offset: u64::MAX }),
        ];
        assert_eq!(cursor_text(positions.iter().map(|(name, position)| (name, *position))), text);
        assert_eq!(read_cursor(text).unwrap(), positions);
        assert_eq!(read_cursor("").unwrap(), []);
        // Whoever puts it into a query may escape more than need be.
        assert_eq!(read_cursor("%61@00000000000000ab:1").unwrap(), positions[..1]);
        for wrong in [
            ",",
            "a",
            "a@1:1",
            "a@00000000000000ab",
            "a@00000000000000ab:",
            "a@00000000000000ab:+1",
            "a@00000000000000ab:18446744073709551616",
            "@00000000000000ab:1",
            "a b@00000000000000ab:1",
            "%6@00000000000000ab:1",
            "%ff@00000000000000ab:1",
            "a@00000000000000ab:1,",
            "a@00000000000000ab:1,a@00000000000000ab:2",
        ] {
            assert!(read_cursor(wrong).unwrap_err().message.contains("cursor"), "{wrong}");
        }
    }

    /// Reads SSE as the HTML standard says: fields by line, an event at each empty line.
    fn read_sse(stream: &str) -> Vec<(Option<String>, String)> {
        let (mut records, mut id, mut data) = (Vec::new(), None, Vec::new());
        for line in stream.split('\n') {
            match line.split_once(':').map(|(field, value)| (field, value.strip_prefix(' ').unwrap_or(value))) {
                Some(("id", value)) => id = Some(value.to_owned()),
                Some(("data", value)) => data.push(value.to_owned()),
                _ if line.is_empty() && !data.is_empty() => {
                    records.push((id.take(), std::mem::take(&mut data).join("\n")));
                }
                _ => {}
            }
        }
        records
    }

    proptest! {
        #[test]
        fn a_cursor_reads_what_it_writes(
            places in prop::collection::btree_map("[a-z0-9_.:/-]{1,12}", any::<(u64, u64)>(), 0..6),
        ) {
            let positions: Vec<_> = places
                .into_iter()
                .map(|(text, (epoch, offset))| (name(&text), Position { epoch: Epoch(epoch), offset }))
                .collect();
            let text = cursor_text(positions.iter().map(|(name, position)| (name, *position)));
            prop_assert_eq!(read_cursor(&text).unwrap(), positions);
        }

        #[test]
        fn any_text_is_a_cursor_or_an_error(text in any::<String>()) {
            let _ = read_cursor(&text);
        }

        #[test]
        fn records_are_read_back(records in prop::collection::vec((any::<bool>(), any::<String>()), 0..5)) {
            let (mut stream, mut expected) = (SSE_ALIVE.to_vec(), Vec::new());
            for (numbered, text) in records {
                // JSON text has its line breaks escaped.
                let text = serde_json::to_string(&text).unwrap();
                let id = numbered.then(|| cursor_text([(&name("a"), Position { epoch: Epoch(1), offset: 2 })]));
                sse_record(id.as_deref(), text.as_bytes(), &mut stream);
                expected.push((id, text));
            }
            prop_assert_eq!(read_sse(std::str::from_utf8(&stream).unwrap()), expected);
        }
    }
}
