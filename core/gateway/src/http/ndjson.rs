//! Events as lines: one JSON object each, as on the WebSocket. What `curl | jq` reads. A gap is a line too. Quiet times
//! have none: a blank line is no JSON object.

use crate::websocket::frame_of;
use headwater_event::{Event, Gap};
use headwater_protocol::{Reply, dialects, websocket};

/// Appends an event.
pub(crate) fn event(out: &mut Vec<u8>, event: &Event) {
    text(out, event);
    out.push(b'\n');
}

/// Appends a gap.
pub(crate) fn gap(out: &mut Vec<u8>, gap: Gap) {
    gap_text(out, gap);
    out.push(b'\n');
}

/// The native text of an event, which every outlet shares. Payloads have no line breaks (`Payload` sees to that), and
/// strings cannot.
pub(super) fn text(out: &mut Vec<u8>, event: &Event) {
    out.extend_from_slice(websocket::payload(&frame_of(event, dialects::native())));
}

/// The native text of a gap.
pub(super) fn gap_text(out: &mut Vec<u8>, gap: Gap) {
    dialects::native().reply(&Reply::Gap(gap), out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use headwater_event::{ChannelName, Draft, Epoch, GapReason, Payload, Position};

    #[test]
    fn each_is_one_line_however_long_and_however_it_was_written() {
        let channel = ChannelName::new("a").unwrap();
        let position = Position { epoch: Epoch(0xab), offset: 7 };
        let mut out = Vec::new();
        for size in [1, 200, 70_000] {
            let data = Bytes::from(format!("{{\n \"text\":\r\n\"{}\\n\"}}", "x".repeat(size)));
            let draft = Draft::new(channel.clone(), "tested", "test", Payload::new(data).unwrap());
            event(&mut out, &Event::new(draft, position, uuid::Uuid::nil()));
        }
        gap(&mut out, Gap { channel, from: position, to: 9, reason: GapReason::Retention });
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 4);
        assert_eq!((&lines[2]["offset"], lines[2]["data"]["text"].as_str().unwrap().len()), (&7.into(), 70_001));
        assert_eq!((&lines[3]["type"], &lines[3]["from"], &lines[3]["to"]), (&"gap".into(), &7.into(), &9.into()));
    }
}
