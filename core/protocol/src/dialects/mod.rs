//! The dialects, one file each.

mod cloudevents;
mod native;

use crate::{Dialect, HistoryData};

/// The native protocol: subprotocol `headwater.v1`, or none.
pub fn native() -> &'static dyn Dialect {
    &native::Native
}

/// CloudEvents 1.0: subprotocol `cloudevents.json`.
pub fn cloudevents() -> &'static dyn Dialect {
    &cloudevents::CloudEvents
}

/// Appends a page of an answer about the past as JSON: what stands in a native `historical_data` message as `data`.
pub fn history_data(data: &HistoryData, out: &mut Vec<u8>) {
    native::history_data(data, out);
}
