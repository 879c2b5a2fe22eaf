//! The native protocol, `headwater.v1`: JSON text messages told apart by `type`. `docs/protocol.md` is its description,
//! and the tests run the examples there.

mod decode;
mod encode;

use crate::{Dialect, HistoryData, Reply, Request, RequestError};
use headwater_event::{Draft, Encoding, Event};

/// The native protocol.
pub(super) struct Native;

impl Dialect for Native {
    fn name(&self) -> &'static str {
        "headwater.v1"
    }

    fn encoding(&self) -> Encoding {
        Encoding(0)
    }

    fn decode(&self, text: &str, before: Option<&Draft>) -> Result<Request, RequestError> {
        decode::request(text, before)
    }

    fn event(&self, event: &Event, out: &mut Vec<u8>) {
        encode::event(event, out);
    }

    fn reply(&self, reply: &Reply<'_>, out: &mut Vec<u8>) {
        encode::reply(reply, out);
    }
}

/// Appends a page of an answer about the past.
pub(super) fn history_data(data: &HistoryData, out: &mut Vec<u8>) {
    encode::past::data(data, out);
}
