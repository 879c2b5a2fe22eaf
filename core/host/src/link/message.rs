//! What the two sides of a link say to each other, one frame each.

use super::event::Broken;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{borrow::Cow, str};

/// The longest frame that is accepted, without its length. One event of the largest size, or a large answer to a
/// command, fits; a side that claims more is broken, and would otherwise make the other allocate what it claims.
pub(crate) const MAX_FRAME: usize = 8 << 20;

/// The bytes before a body: the length and the kind.
pub(crate) const HEAD: usize = 5;

/// From an instance to the daemon.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Up<'a> {
    /// The plugin is loaded and its tables fit. Nothing of it runs yet.
    Loaded,
    /// It does not load, or `create` refused its settings; the instance ends.
    Failed(Cow<'a, str>),
    /// It cannot be loaded for a reason that may pass; the instance ends.
    NotNow(Cow<'a, str>),
    /// `create` succeeded.
    Started,
    /// The plugin reports a state, as `headwater_abi::state` numbers it.
    State { state: u32, detail: Cow<'a, str> },
    /// Events, for [`super::event::read`].
    Events(&'a [u8]),
    /// Events that are larger than any event may be: how many, and how large the last one was.
    Oversize { count: u32, size: u64 },
    /// A log record, level 1 (error) to 5 (trace).
    Log { level: u8, target: Cow<'a, str>, message: Cow<'a, str> },
    /// An answer to a request, JSON.
    Reply { request: u64, json: &'a [u8] },
    /// The plugin wants to read the bus, JSON.
    Subscribe(&'a [u8]),
    /// So many deliveries were taken.
    Delivered(u32),
    /// The instance has ended; false: it did not within its grace. Nothing follows.
    Stopped(bool),
}

/// From the daemon to an instance.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Down<'a> {
    /// Create the instance; JSON of [`Start`].
    Start(&'a [u8]),
    /// So many events were published: as many more may come.
    Credit(u32),
    /// A request for the plugin, JSON. Request 0 gets no reply.
    Send { request: u64, json: &'a [u8] },
    /// Events of the bus, for [`super::event::Deliveries`].
    Deliver(&'a [u8]),
    /// End within so many milliseconds.
    Stop(u64),
}

/// The body of [`Down::Start`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Start<'a> {
    /// The source's own settings.
    #[serde(borrow)]
    pub(crate) settings: &'a RawValue,
    /// How many events may be under way.
    pub(crate) window: u32,
    /// The least important log line that is wanted.
    #[serde(borrow)]
    pub(crate) log_level: &'a str,
}

const EVENTS: u8 = 5;
const DELIVER: u8 = 4;

impl<'a> Up<'a> {
    /// Appends it as a frame.
    pub(crate) fn write(&self, buffer: &mut Vec<u8>) {
        match self {
            Self::Loaded => frame(buffer, 1, &[]),
            Self::Failed(reason) => frame(buffer, 2, &[reason.as_bytes()]),
            Self::NotNow(reason) => frame(buffer, 12, &[reason.as_bytes()]),
            Self::Started => frame(buffer, 3, &[]),
            Self::State { state, detail } => frame(buffer, 4, &[&state.to_le_bytes(), detail.as_bytes()]),
            Self::Events(events) => frame(buffer, EVENTS, &[events]),
            Self::Oversize { count, size } => frame(buffer, 6, &[&count.to_le_bytes(), &size.to_le_bytes()]),
            Self::Log { level, target, message } => {
                let length = (target.len() as u32).to_le_bytes();
                frame(buffer, 7, &[&[*level], &length, target.as_bytes(), message.as_bytes()]);
            }
            Self::Reply { request, json } => frame(buffer, 8, &[&request.to_le_bytes(), json]),
            Self::Subscribe(json) => frame(buffer, 9, &[json]),
            Self::Delivered(count) => frame(buffer, 10, &[&count.to_le_bytes()]),
            Self::Stopped(joined) => frame(buffer, 11, &[&[u8::from(*joined)]]),
        }
    }

    /// Reads a frame without its length.
    pub(crate) fn read(frame: &'a [u8]) -> Result<Self, Broken> {
        let (kind, mut body) = frame.split_first().ok_or(Broken)?;
        Ok(match kind {
            1 => Self::Loaded,
            2 => Self::Failed(String::from_utf8_lossy(body)),
            3 => Self::Started,
            4 => Self::State { state: u32::from_le_bytes(chunk(&mut body)?), detail: String::from_utf8_lossy(body) },
            &EVENTS => Self::Events(body),
            6 => Self::Oversize {
                count: u32::from_le_bytes(chunk(&mut body)?),
                size: u64::from_le_bytes(chunk(&mut body)?),
            },
            7 => {
                let [level] = chunk(&mut body)?;
                let length = u32::from_le_bytes(chunk(&mut body)?) as usize;
                let target = String::from_utf8_lossy(body.split_off(..length).ok_or(Broken)?);
                Self::Log { level, target, message: String::from_utf8_lossy(body) }
            }
            8 => Self::Reply { request: u64::from_le_bytes(chunk(&mut body)?), json: body },
            9 => Self::Subscribe(body),
            10 => Self::Delivered(u32::from_le_bytes(chunk(&mut body)?)),
            11 => Self::Stopped(chunk(&mut body)? != [0]),
            12 => Self::NotNow(String::from_utf8_lossy(body)),
            _ => return Err(Broken),
        })
    }
}

impl<'a> Down<'a> {
    /// Appends it as a frame.
    pub(crate) fn write(&self, buffer: &mut Vec<u8>) {
        match self {
            Self::Start(json) => frame(buffer, 1, &[json]),
            Self::Credit(count) => frame(buffer, 2, &[&count.to_le_bytes()]),
            Self::Send { request, json } => frame(buffer, 3, &[&request.to_le_bytes(), json]),
            Self::Deliver(events) => frame(buffer, DELIVER, &[events]),
            Self::Stop(grace_ms) => frame(buffer, 5, &[&grace_ms.to_le_bytes()]),
        }
    }

    /// Reads a frame without its length.
    pub(crate) fn read(frame: &'a [u8]) -> Result<Self, Broken> {
        let (kind, mut body) = frame.split_first().ok_or(Broken)?;
        Ok(match kind {
            1 => Self::Start(body),
            2 => Self::Credit(u32::from_le_bytes(chunk(&mut body)?)),
            3 => Self::Send { request: u64::from_le_bytes(chunk(&mut body)?), json: body },
            &DELIVER => Self::Deliver(body),
            5 => Self::Stop(u64::from_le_bytes(chunk(&mut body)?)),
            _ => return Err(Broken),
        })
    }
}

/// Begins a frame of events whose end is not known yet; [`end`] finishes it.
pub(crate) fn begin_events(buffer: &mut Vec<u8>) -> usize {
    begin(buffer, EVENTS)
}

/// Begins a frame of deliveries; [`end`] finishes it.
pub(crate) fn begin_deliveries(buffer: &mut Vec<u8>) -> usize {
    begin(buffer, DELIVER)
}

fn begin(buffer: &mut Vec<u8>, kind: u8) -> usize {
    let at = buffer.len();
    buffer.extend_from_slice(&[0, 0, 0, 0, kind]);
    at
}

/// Writes the length of the frame that begins at `at` and ends with the buffer.
pub(crate) fn end(buffer: &mut [u8], at: usize) {
    let length = (buffer.len() - at - 4) as u32;
    buffer[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

fn frame(buffer: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    let at = begin(buffer, kind);
    for part in parts {
        buffer.extend_from_slice(part);
    }
    end(buffer, at);
}

fn chunk<const N: usize>(body: &mut &[u8]) -> Result<[u8; N], Broken> {
    let (head, rest) = body.split_first_chunk().ok_or(Broken)?;
    *body = rest;
    Ok(*head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_message_comes_out_as_it_went_in() {
        let up = [
            Up::Loaded,
            Up::Failed("no".into()),
            Up::NotNow("later".into()),
            Up::Started,
            Up::State { state: 4, detail: "boom at src/lib.rs:9".into() },
            Up::Events(b"events"),
            Up::Oversize { count: 2, size: 1 << 40 },
            Up::Log { level: 3, target: "disk".into(), message: "full".into() },
            Up::Reply { request: 1 << 40, json: b"{}" },
            Up::Subscribe(b"{}"),
            Up::Delivered(64),
            Up::Stopped(true),
            Up::Stopped(false),
        ];
        let down = [
            Down::Start(b"{}"),
            Down::Credit(64),
            Down::Send { request: 1, json: b"{}" },
            Down::Deliver(b"events"),
            Down::Stop(10_000),
        ];
        let mut buffer = Vec::new();
        for message in &up {
            buffer.clear();
            message.write(&mut buffer);
            assert_eq!(buffer[..4], (buffer.len() as u32 - 4).to_le_bytes());
            assert_eq!(Up::read(&buffer[4..]).unwrap(), *message);
        }
        for message in &down {
            buffer.clear();
            message.write(&mut buffer);
            assert_eq!(Down::read(&buffer[4..]).unwrap(), *message);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_broken(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = (Up::read(&bytes), Down::read(&bytes));
        }
    }
}
