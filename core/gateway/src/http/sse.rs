//! Server-sent events, as a browser's EventSource reads them (WHATWG HTML, section 9.2). Each record is the native JSON of
//! an event or a gap; `id:` is a cursor, with which the browser comes back by itself.
//!
//! No `event:` field: it would take a record away from `onmessage`, and `type` says it already.

use super::ndjson;
use headwater_event::{ChannelName, Event, Gap, Position};
use headwater_protocol::cursor;
use std::mem;

/// How long a browser waits before it comes back, in milliseconds. A daemon that is restarted needs about as long.
const RETRY: &str = "retry: 1000\n";

/// One stream, and the cursor that it has been given last.
#[derive(Debug)]
pub(super) struct Sse {
    said: String,
    /// The stream has one channel: then each record carries its cursor, and a stream that is cut goes on behind the last
    /// record. With several, it is the last one of a page that carries it: it grows with their number.
    single: bool,
    /// Whether the last record still misses its cursor.
    open: bool,
}

impl Sse {
    /// Of one channel, or of several.
    pub(super) fn new(single: bool) -> Self {
        Self { said: String::new(), single, open: false }
    }

    /// What stands before the first event: a client that is cut before it comes back to here.
    pub(super) fn begin(&mut self, positions: &[(ChannelName, Position)], out: &mut Vec<u8>) {
        out.extend_from_slice(RETRY.as_bytes());
        self.moved(positions, out);
        out.push(b'\n');
    }

    /// Appends an event.
    pub(super) fn event(&mut self, event: &Event, out: &mut Vec<u8>) {
        self.record(out, &event.channel, event.position, |out| ndjson::text(out, event));
    }

    /// Appends a gap. What it stands for is done with: behind it nothing is asked for again.
    pub(super) fn gap(&mut self, gap: Gap, out: &mut Vec<u8>) {
        let (channel, position) = (gap.channel.clone(), Position { offset: gap.to, ..gap.from });
        self.record(out, &channel, position, |out| ndjson::gap_text(out, gap));
    }

    /// Ends a piece. `positions` when it was the last of its page: then the reader stands there.
    pub(super) fn end(&mut self, positions: Option<&[(ChannelName, Position)]>, out: &mut Vec<u8>) {
        if mem::take(&mut self.open) {
            if let Some(positions) = positions {
                self.moved(positions, out);
            }
            out.push(b'\n');
        }
    }

    /// Whether [`Self::end`] has a use for positions.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Says in a quiet time that the stream is there, and how far the reader has come: what its filter leaves out, and what
    /// happens to other channels than those that are heard of, is not asked for again.
    pub(super) fn quiet(&mut self, positions: &[(ChannelName, Position)], out: &mut Vec<u8>) {
        if !self.moved(positions, out) {
            out.extend_from_slice(b":\n");
        }
        out.push(b'\n');
    }

    fn record(
        &mut self,
        out: &mut Vec<u8>,
        channel: &ChannelName,
        position: Position,
        data: impl FnOnce(&mut Vec<u8>),
    ) {
        if mem::take(&mut self.open) {
            out.push(b'\n');
        }
        out.extend_from_slice(b"data: ");
        data(out);
        out.push(b'\n');
        if self.single {
            self.said.clear();
            cursor::part(&mut self.said, channel, position);
            self.id(out);
            out.push(b'\n');
        } else {
            self.open = true;
        }
    }

    /// Says the cursor, if it is another one than before.
    fn moved(&mut self, positions: &[(ChannelName, Position)], out: &mut Vec<u8>) -> bool {
        let cursor = cursor::write(positions);
        // One that is too long would not come back; with the one before, some events come twice.
        if cursor == self.said || cursor.len() > cursor::MAX_CURSOR {
            return false;
        }
        self.said = cursor;
        self.id(out);
        true
    }

    fn id(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"id: ");
        out.extend_from_slice(self.said.as_bytes());
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use headwater_event::{Draft, Epoch, GapReason, Payload};

    const EPOCH: Epoch = Epoch(0xab);

    fn at(channel: &str, offset: u64) -> (ChannelName, Position) {
        (ChannelName::new(channel).unwrap(), Position { epoch: EPOCH, offset })
    }

    fn event(channel: &str, offset: u64) -> Event {
        let (channel, position) = at(channel, offset);
        let data = Payload::new(Bytes::from_static(b"1")).unwrap();
        Event::new(Draft::new(channel, "tested", "test", data), position, uuid::Uuid::nil())
    }

    fn gap(channel: &str, from: u64, to: u64) -> Gap {
        let (channel, from) = at(channel, from);
        Gap { channel, from, to, reason: GapReason::Retention }
    }

    /// Reads a stream as the standard says: what each dispatched event was, and the last id at that time; then the id at
    /// the end.
    fn dispatched(text: &[u8]) -> (Vec<(serde_json::Value, String)>, String) {
        let (mut events, mut data, mut id) = (Vec::new(), String::new(), String::new());
        for line in std::str::from_utf8(text).unwrap().lines() {
            match line.split_once(':') {
                _ if line.is_empty() => {
                    if !data.is_empty() {
                        events.push((serde_json::from_str(&mem::take(&mut data)).unwrap(), id.clone()));
                    }
                }
                Some(("data", value)) => {
                    assert!(data.is_empty(), "two records ran into one");
                    data = value.strip_prefix(' ').unwrap().to_owned();
                }
                Some(("id", value)) => id = value.strip_prefix(' ').unwrap().to_owned(),
                Some(("retry" | "", _)) => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(data.is_empty(), "a record without its end");
        (events, id)
    }

    #[test]
    fn each_record_of_one_channel_carries_its_cursor() {
        let (mut sse, mut out) = (Sse::new(true), Vec::new());
        sse.begin(&[at("a", 3)], &mut out);
        assert_eq!(out, b"retry: 1000\nid: a@00000000000000ab:3\n\n");
        sse.event(&event("a", 4), &mut out);
        sse.gap(gap("a", 5, 7), &mut out);
        sse.event(&event("a", 8), &mut out);
        sse.end(Some(&[at("a", 9)]), &mut out);
        let (events, last) = dispatched(&out);
        let ids: Vec<_> = events.iter().map(|(_, id)| id.rsplit(':').next().unwrap()).collect();
        assert_eq!(ids, ["4", "7", "8"]);
        assert_eq!((&events[1].0["type"], &events[1].0["to"]), (&"gap".into(), &7.into()));
        assert_eq!(last, "a@00000000000000ab:8");
        // What was left out behind the last one is said in a quiet time, once.
        out.clear();
        sse.quiet(&[at("a", 9)], &mut out);
        assert_eq!(out, b"id: a@00000000000000ab:9\n\n");
        out.clear();
        sse.quiet(&[at("a", 9)], &mut out);
        assert_eq!(out, b":\n\n");
    }

    #[test]
    fn of_several_channels_the_last_record_of_a_page_carries_all() {
        let (mut sse, mut out) = (Sse::new(false), Vec::new());
        sse.begin(&[at("a", 3), at("b", 0)], &mut out);
        let begun = "a@00000000000000ab:3,b@00000000000000ab:0";
        sse.event(&event("a", 4), &mut out);
        sse.gap(gap("b", 1, 2), &mut out);
        sse.event(&event("a", 5), &mut out);
        // The piece is full, the page is not.
        sse.end(None, &mut out);
        sse.event(&event("a", 6), &mut out);
        sse.end(Some(&[at("a", 6), at("b", 2)]), &mut out);
        sse.event(&event("b", 3), &mut out);
        sse.end(Some(&[at("a", 6), at("b", 3)]), &mut out);
        let (events, _) = dispatched(&out);
        let ids: Vec<_> = events.iter().map(|(_, id)| id.as_str()).collect();
        let first = "a@00000000000000ab:6,b@00000000000000ab:2";
        assert_eq!(ids, [begun, begun, begun, first, "a@00000000000000ab:6,b@00000000000000ab:3"]);
        sse.end(Some(&[at("a", 9), at("b", 3)]), &mut out);
        assert_eq!(dispatched(&out).0.len(), 5, "a page of nothing is nothing");
    }

    /// Harm prevented: a browser comes back with a head that no server takes, and never gets in again.
    #[test]
    fn a_cursor_that_would_not_come_back_is_not_given() {
        let (mut sse, mut out) = (Sse::new(false), Vec::new());
        let few = [at("a", 1)];
        sse.begin(&few, &mut out);
        let many: Vec<_> = (0..1_000).map(|channel| at(&format!("channel:{channel}"), 1)).collect();
        sse.event(&event("channel:1", 1), &mut out);
        sse.end(Some(&many), &mut out);
        sse.quiet(&many, &mut out);
        let (events, last) = dispatched(&out);
        assert_eq!((events.len(), last.as_str()), (1, "a@00000000000000ab:1"));
    }
}
