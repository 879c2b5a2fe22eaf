//! The dialects, one file each.

mod cloudevents;
mod native;

use crate::Dialect;

/// The native protocol: subprotocol `headwater.v1`, or none.
pub fn native() -> &'static dyn Dialect {
    &native::Native
}

/// CloudEvents 1.0: subprotocol `cloudevents.json`.
pub fn cloudevents() -> &'static dyn Dialect {
    &cloudevents::CloudEvents
}
