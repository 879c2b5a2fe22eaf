//! The dialects, one file each.

mod native;

use crate::Dialect;

/// The native protocol: subprotocol `headwater.v1`, or none.
pub fn native() -> &'static dyn Dialect {
    &native::Native
}
