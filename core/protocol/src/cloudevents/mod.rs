//! CloudEvents 1.0: events in the words that other systems share. The JSON format 1.0.2, one event or a batch, and the
//! headers of the HTTP binding; the dialect `cloudevents.json` and the HTTP outlets build on it. Bytes in, values out.
//!
//! | attribute | event |
//! |---|---|
//! | `id`, `time`, `type` | `message_id`, time, type |
//! | `source` | `/headwater/` and the name of the source |
//! | `subject` | the key of a retained event, else its attribute `subject` |
//! | `datacontenttype`, `data` | `application/json`, the payload |
//! | `channel`, `epoch`, `offset`, `severity`, `evidence`, `key`, `forgotten` | extensions, as in the native protocol |
//! | other extensions | attributes whose names can be those of extensions |
//! | `attributes` | the other attributes, as the text of a JSON object |
//!
//! Coming in, `id` and `source` say that a second event with the same two is the same event; like `subject`,
//! `dataschema` and extensions they become attributes. What the daemon gives out itself (`epoch`, `offset`, `evidence`,
//! `forgotten`) is passed over.

mod binary;
mod context;
mod json;
mod media;
#[cfg(test)]
mod round_trip;

pub use binary::{decode_binary, headers};
pub use json::{decode_batch, decode_structured, encode};
pub use media::Mode;

/// The one version.
const VERSION: &str = "1.0";

/// Whether this can be the name of an attribute: the specification allows no others.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}
