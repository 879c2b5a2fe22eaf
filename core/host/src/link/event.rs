//! Events as bytes in a frame: written by the instance's side for each published event, and by the daemon's side for
//! each delivered one; read by the other.
//!
//! An event is its time (8 bytes), flags (8), the lengths of channel, type, key and payload and the number of attributes
//! (4 each), then those parts in that order, then per attribute two lengths and two texts. All numbers little-endian. A
//! delivery has its subscription, epoch and offset (8 each) and the text of its id
//! (36) before that, and its source after it.

use headwater_abi::{AttributeRef, DeliveryRef, EventRef, abi_stable::std_types::RSlice, flags};
use headwater_event::{Event, Retention};
use std::str;

const FIXED: usize = 36;
const ID: usize = 36;

/// Bytes that are no event. The other side is broken: its process is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame does not hold what its kind says")]
pub(crate) struct Broken;

/// An event in a frame.
#[derive(Clone, Debug)]
pub(crate) struct WireEvent<'a> {
    pub(crate) time_ns: i64,
    pub(crate) flags: u64,
    pub(crate) channel: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) key: &'a str,
    pub(crate) payload: &'a [u8],
    pub(crate) attributes: Attributes<'a>,
}

/// The attributes of an event in a frame, in their order.
#[derive(Clone, Debug)]
pub(crate) struct Attributes<'a> {
    count: usize,
    bytes: &'a [u8],
}

impl Attributes<'_> {
    pub(crate) fn len(&self) -> usize {
        self.count
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.count = self.count.checked_sub(1)?;
        // Their extent and encoding were checked when the event was read.
        attribute(&mut self.bytes).ok()
    }
}

/// How many bytes an event takes in a frame.
pub(crate) fn size(event: &EventRef<'_>) -> usize {
    let attributes: usize = event.attributes.iter().map(|a| 8 + a.name.len() + a.value.len()).sum();
    FIXED + event.channel.len() + event.kind.len() + event.key.len() + event.payload.len() + attributes
}

/// Writes an event as the plugin gave it. Its [`size`] must be below 4 GiB.
pub(crate) fn write(buffer: &mut Vec<u8>, event: &EventRef<'_>) {
    let parts = [event.channel.as_bytes(), event.kind.as_bytes(), event.key.as_bytes(), event.payload.as_slice()];
    fixed(buffer, event.time_ns, event.flags, parts.map(<[u8]>::len), event.attributes.len());
    for part in parts {
        buffer.extend_from_slice(part);
    }
    for AttributeRef { name, value } in event.attributes {
        pair(buffer, name.as_str(), value.as_str());
    }
}

/// How many bytes an event of the bus takes in a frame.
pub(crate) fn delivery_size(event: &Event) -> usize {
    let key = match &event.retention {
        Retention::None => 0,
        Retention::Keep(key) | Retention::Forget(key) => key.len(),
    };
    let attributes: usize = event.attributes.iter().map(|(name, value)| 8 + name.len() + value.len()).sum();
    let texts = event.channel.as_str().len() + event.kind.len() + key + event.source.len();
    3 * 8 + ID + FIXED + texts + event.data.as_bytes().len() + attributes + 4
}

/// Writes an event of the bus for a reading source.
pub(crate) fn write_delivery(buffer: &mut Vec<u8>, subscription: u64, event: &Event) {
    for number in [subscription, event.position.epoch.0, event.position.offset] {
        buffer.extend_from_slice(&number.to_le_bytes());
    }
    let mut id = [0; ID];
    event.id.hyphenated().encode_lower(&mut id);
    buffer.extend_from_slice(&id);
    let (key, retention) = match &event.retention {
        Retention::None => ("", 0),
        Retention::Keep(key) => (&**key, flags::RETAIN),
        Retention::Forget(key) => (&**key, flags::FORGET),
    };
    let severity = event.severity.map_or(0, |severity| severity as u8);
    let evidence = event.evidence.map_or(0, |evidence| evidence as u8);
    let parts = [event.channel.as_str().as_bytes(), event.kind.as_bytes(), key.as_bytes(), event.data.as_bytes()];
    let bits = retention | flags::pack(false, severity, evidence);
    fixed(buffer, event.time.0, bits, parts.map(<[u8]>::len), event.attributes.len());
    for part in parts {
        buffer.extend_from_slice(part);
    }
    for (name, value) in &event.attributes {
        pair(buffer, name, value);
    }
    buffer.extend_from_slice(&(event.source.len() as u32).to_le_bytes());
    buffer.extend_from_slice(event.source.as_bytes());
}

fn fixed(buffer: &mut Vec<u8>, time_ns: i64, flags: u64, lengths: [usize; 4], attributes: usize) {
    let mut head = [0; FIXED];
    head[..8].copy_from_slice(&time_ns.to_le_bytes());
    head[8..16].copy_from_slice(&flags.to_le_bytes());
    for (index, length) in lengths.into_iter().chain([attributes]).enumerate() {
        head[16 + 4 * index..20 + 4 * index].copy_from_slice(&(length as u32).to_le_bytes());
    }
    buffer.extend_from_slice(&head);
}

fn pair(buffer: &mut Vec<u8>, name: &str, value: &str) {
    buffer.extend_from_slice(&(name.len() as u32).to_le_bytes());
    buffer.extend_from_slice(&(value.len() as u32).to_le_bytes());
    buffer.extend_from_slice(name.as_bytes());
    buffer.extend_from_slice(value.as_bytes());
}

/// Reads the next event and moves behind it.
pub(crate) fn read<'a>(bytes: &mut &'a [u8]) -> Result<WireEvent<'a>, Broken> {
    let head = take(bytes, FIXED)?;
    let number = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("invariant: 8 bytes were sliced"));
    let length = |index: usize| {
        let at = 16 + 4 * index;
        u32::from_le_bytes(head[at..at + 4].try_into().expect("invariant: 4 bytes were sliced")) as usize
    };
    let channel = text(bytes, length(0))?;
    let kind = text(bytes, length(1))?;
    let key = text(bytes, length(2))?;
    let payload = take(bytes, length(3))?;
    let attributes = Attributes { count: length(4), bytes };
    for _ in 0..attributes.count {
        attribute(bytes)?;
    }
    Ok(WireEvent { time_ns: number(0) as i64, flags: number(8), channel, kind, key, payload, attributes })
}

fn attribute<'a>(bytes: &mut &'a [u8]) -> Result<(&'a str, &'a str), Broken> {
    let (name, value) = (u32_of(bytes)?, u32_of(bytes)?);
    Ok((text(bytes, name)?, text(bytes, value)?))
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], Broken> {
    bytes.split_off(..length).ok_or(Broken)
}

fn text<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a str, Broken> {
    str::from_utf8(take(bytes, length)?).map_err(|_| Broken)
}

fn u32_of(bytes: &mut &[u8]) -> Result<usize, Broken> {
    let (head, rest) = bytes.split_first_chunk().ok_or(Broken)?;
    *bytes = rest;
    Ok(u32::from_le_bytes(*head) as usize)
}

fn u64_of(bytes: &mut &[u8]) -> Result<u64, Broken> {
    let (head, rest) = bytes.split_first_chunk().ok_or(Broken)?;
    *bytes = rest;
    Ok(u64::from_le_bytes(*head))
}

/// One event of the bus in a frame.
struct WireDelivery<'a> {
    subscription: u64,
    epoch: u64,
    offset: u64,
    id: &'a str,
    event: WireEvent<'a>,
    source: &'a str,
}

/// The deliveries of a frame.
pub(crate) struct Deliveries<'a> {
    events: Vec<WireDelivery<'a>>,
    /// Those of all events, one after the other: the plugin is given slices of it.
    attributes: Vec<AttributeRef<'a>>,
}

impl<'a> Deliveries<'a> {
    /// Reads all that a frame's body holds.
    pub(crate) fn read(mut bytes: &'a [u8]) -> Result<Self, Broken> {
        let (mut events, mut attributes) = (Vec::new(), Vec::new());
        while !bytes.is_empty() {
            let [subscription, epoch, offset] = [u64_of(&mut bytes)?, u64_of(&mut bytes)?, u64_of(&mut bytes)?];
            let id = text(&mut bytes, ID)?;
            let event = read(&mut bytes)?;
            attributes.extend(event.attributes.clone().map(|(n, v)| AttributeRef { name: n.into(), value: v.into() }));
            let length = u32_of(&mut bytes)?;
            let source = text(&mut bytes, length)?;
            events.push(WireDelivery { subscription, epoch, offset, id, event, source });
        }
        Ok(Self { events, attributes })
    }

    /// The deliveries in the form in which the plugin takes them, borrowing from here.
    pub(crate) fn refs(&self) -> Vec<DeliveryRef<'_>> {
        let mut attributes = self.attributes.as_slice();
        let mut refs = Vec::with_capacity(self.events.len());
        for WireDelivery { subscription, epoch, offset, id, event, source } in &self.events {
            let own;
            (own, attributes) = attributes.split_at(event.attributes.len());
            let event = EventRef {
                channel: event.channel.into(),
                kind: event.kind.into(),
                key: event.key.into(),
                attributes: RSlice::from_slice(own),
                payload: RSlice::from_slice(event.payload),
                time_ns: event.time_ns,
                flags: event.flags,
            };
            let (source, id) = ((*source).into(), (*id).into());
            refs.push(DeliveryRef { subscription: *subscription, event, source, id, epoch: *epoch, offset: *offset });
        }
        refs
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use headwater_event::{ChannelName, Draft, Epoch, Evidence, Payload, Position, Severity};
    use proptest::prelude::*;

    pub(crate) fn event<'a>(channel: &'a str, payload: &'a [u8], attributes: &'a [AttributeRef<'a>]) -> EventRef<'a> {
        EventRef {
            channel: channel.into(),
            kind: "session.created".into(),
            key: "k".into(),
            attributes: RSlice::from_slice(attributes),
            payload: RSlice::from_slice(payload),
            time_ns: -5,
            flags: flags::pack(true, 3, 1),
        }
    }

    #[test]
    fn an_event_comes_out_as_it_went_in() {
        let attributes = [("session", "api"), ("", "ä")].map(|(n, v)| AttributeRef { name: n.into(), value: v.into() });
        let mut buffer = Vec::new();
        for given in [event("tmux", b"{}", &attributes), event("agents", b"", &[])] {
            let before = buffer.len();
            write(&mut buffer, &given);
            assert_eq!(buffer.len() - before, size(&given));
        }
        let mut bytes = &buffer[..];
        let first = read(&mut bytes).unwrap();
        assert_eq!((first.channel, first.kind, first.key, first.payload), ("tmux", "session.created", "k", &b"{}"[..]));
        assert_eq!((first.time_ns, first.flags), (-5, flags::pack(true, 3, 1)));
        assert_eq!(first.attributes.clone().collect::<Vec<_>>(), [("session", "api"), ("", "ä")]);
        let second = read(&mut bytes).unwrap();
        assert_eq!((second.channel, second.attributes.count(), bytes.len()), ("agents", 0, 0));
    }

    #[test]
    fn a_delivery_carries_position_id_and_source() {
        let mut buffer = Vec::new();
        let mut ids = Vec::new();
        for (offset, names) in [(7, &["a", "b"][..]), (8, &[]), (9, &["c"])] {
            let data = Payload::new(b"[1]".to_vec().into()).unwrap();
            let mut draft = Draft::new(ChannelName::new("agents").unwrap(), "agent.status", "claude", data);
            draft.severity = Some(Severity::Error);
            draft.evidence = Some(Evidence::Polled);
            draft.retention = Retention::Forget("key".into());
            draft.attributes = names.iter().map(|name| ((*name).into(), "v".into())).collect();
            let given = Event::new(draft, Position { epoch: Epoch(1 << 63), offset }, uuid::Uuid::now_v7());
            let before = buffer.len();
            write_delivery(&mut buffer, 3, &given);
            assert_eq!(buffer.len() - before, delivery_size(&given));
            ids.push(given.id.to_string());
        }
        let deliveries = Deliveries::read(&buffer).unwrap();
        let refs = deliveries.refs();
        assert_eq!(refs.iter().map(|d| d.id.as_str()).collect::<Vec<_>>(), ids);
        assert_eq!(refs.iter().map(|d| d.offset).collect::<Vec<_>>(), [7, 8, 9]);
        let names = |index: usize| refs[index].event.attributes.iter().map(|a| a.name.as_str()).collect::<Vec<_>>();
        assert_eq!([names(0), names(1), names(2)], [vec!["a", "b"], vec![], vec!["c"]]);
        let first = &refs[0];
        assert_eq!((first.subscription, first.epoch, first.source.as_str()), (3, 1 << 63, "claude"));
        assert_eq!((first.event.key.as_str(), first.event.flags), ("key", flags::FORGET | flags::pack(false, 4, 3)));
        assert!(Deliveries::read(&buffer[..buffer.len() - 1]).is_err());
    }

    proptest! {
        /// A child with a corrupted heap can send anything; the daemon must read it or refuse it.
        #[test]
        fn any_bytes_are_events_or_broken(bytes in prop::collection::vec(any::<u8>(), 0..200), zeros in 0usize..40) {
            let bytes = [vec![0; zeros], bytes].concat();
            let mut rest = &bytes[..];
            while let Ok(event) = read(&mut rest) {
                let announced = event.attributes.len();
                prop_assert_eq!(event.attributes.count(), announced);
            }
            let _ = Deliveries::read(&bytes).map(|deliveries| deliveries.refs().len());
        }
    }
}
