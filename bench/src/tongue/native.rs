//! Our own protocol as a client speaks it: JSON messages, and an envelope around the data of an event.

use super::{Heard, Item};
use crate::payload::{SMALLEST, mark, put_data};

/// The events' type; a frame that begins with it is an event.
const KIND: &str = "t";

/// The message that subscribes.
pub(super) fn subscribe(channels: &[String]) -> String {
    let list = channels.join("\",\"");
    format!("{{\"type\":\"subscribe\",\"channels\":[\"{list}\"],\"request_id\":\"s\"}}")
}

/// Appends the message that publishes these events; when asked, it is answered.
pub(super) fn put_publish(out: &mut Vec<u8>, items: &[Item<'_>], size: usize, ask: bool) {
    let request_id = if ask { "\"request_id\":\"p\"," } else { "" };
    out.extend_from_slice(format!("{{\"type\":\"publish\",{request_id}\"events\":[").as_bytes());
    for (index, item) in items.iter().enumerate() {
        out.extend_from_slice(if index > 0 { b"," } else { b"" });
        put_object(out, *item, data_size(item, size));
    }
    out.extend_from_slice(b"]}");
}

/// Appends a body for `POST /v1/events` with an event in each line, and notes when. A server without an envelope is given
/// what it is to pass on: then the line is as large as the event that ours makes of it.
pub fn put_ndjson(out: &mut Vec<u8>, items: &[Item<'_>], size: usize, enveloped: bool) {
    for item in items {
        let begin = out.len();
        let data = if enveloped {
            data_size(item, size)
        } else {
            put_object(out, *item, 0);
            let around = out.len() - begin - SMALLEST;
            out.truncate(begin);
            size - around
        };
        put_object(out, *item, data);
        out.push(b'\n');
    }
    for item in items {
        mark(item.number);
    }
}

/// What a message of the daemon means.
pub(super) fn hear(text: &[u8]) -> Heard<'_> {
    // The order of keys is the daemon's, and stays: it writes them by hand.
    let rest = text.strip_prefix(b"{\"type\":\"").unwrap_or_default();
    if rest.strip_prefix(KIND.as_bytes()).is_some_and(|rest| rest.starts_with(b"\"")) {
        Heard::Event(text)
    } else if rest.starts_with(b"subscription_response\",\"status\":\"success\"") {
        Heard::Ready
    } else if rest.starts_with(b"publish_response\",\"status\":\"accepted\"") {
        Heard::Accepted
    } else {
        Heard::Refusal(String::from_utf8_lossy(text).into_owned())
    }
}

/// An event as a client publishes it.
fn put_object(out: &mut Vec<u8>, Item { channel, number, .. }: Item<'_>, data: usize) {
    let head = format!("{{\"channel\":\"{channel}\",\"type\":\"{KIND}\",\"data\":");
    out.extend_from_slice(head.as_bytes());
    put_data(out, number, data.max(SMALLEST));
    out.push(b'}');
}

/// How much data makes an event that is received in `size` bytes.
fn data_size(item: &Item<'_>, size: usize) -> usize {
    size.saturating_sub(envelope(item.channel, item.offset).len()).max(SMALLEST)
}

/// What stands around the data of an event that a client published; what the daemon fills in has these lengths.
pub(super) fn envelope(channel: &str, offset: u64) -> String {
    format!(
        "{{\"type\":\"{KIND}\",\"channel\":\"{channel}\",\"timestamp\":\"2026-11-20T09:30:00.123456Z\",\
         \"message_id\":\"01930000-0000-7000-8000-000000000000\",\"epoch\":\"00000000000000ab\",\
         \"offset\":{offset},\"source\":\"client\",\"data\":}}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::SIZE;

    #[test]
    fn lines_are_as_large_as_what_is_received() {
        let item = Item { channel: "b", number: 7, offset: 123_456 };
        let mut body = Vec::new();
        put_ndjson(&mut body, &[item], SIZE, false);
        assert_eq!(body.len(), SIZE + 1);
        assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
        body.clear();
        put_ndjson(&mut body, &[item], SIZE, true);
        let line: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(envelope("b", 123_456).len() + line["data"].to_string().len(), SIZE);
    }

    #[test]
    fn messages_are_understood() {
        let event = envelope("b", 1).replace("\"data\":", "\"data\":1");
        assert_eq!(hear(event.as_bytes()), Heard::Event(event.as_bytes()));
        assert_eq!(hear(b"{\"type\":\"publish_response\",\"status\":\"accepted\",\"positions\":[]}"), Heard::Accepted);
        for other in ["{\"type\":\"t_gap\"}", "{\"type\":\"gap\"}", "{}", ""] {
            assert!(matches!(hear(other.as_bytes()), Heard::Refusal(_)), "{other}");
        }
    }
}
