//! What agents say of themselves: the JSON that their hooks, notifiers and logs send, made into events of the channel
//! `agent_hooks`. The gateway's routes call it; the source `agents` reads what comes of it.
//!
//! | file | owns |
//! |---|---|
//! | `body` | the body of a hook: the payload and where it came from |
//! | `reduce` | what of a payload is kept: never what people or models have written |
//! | `keys` | the keys that reduction knows |
//! | `otlp` | log records of OTLP/HTTP, made flat |

mod body;
mod keys;
mod otlp;
mod reduce;

pub use body::{decode, decode_lines};
pub use otlp::{Logs, decode_logs};
pub use reduce::reduce;

use crate::publish::client;
use headwater_event::{ChannelName, Draft, Evidence, Payload, Timestamp};
use serde_json::{Map, Value};

/// The channel of all hooks.
pub const CHANNEL: &str = "agent_hooks";

/// Who may send hooks: the word in the path, and in the event's type.
pub const EMITTERS: [&str; 8] = ["claude", "codex", "codex_notify", "codex_exec", "opencode", "a2a", "otlp", "report"];

/// Whether a payload keeps what people and models have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// Only how long it was.
    Sizes,
    /// As it came.
    Kept,
}

/// The event `hook.<emitter>`.
fn item(emitter: &str, data: &Map<String, Value>, time: Option<Timestamp>) -> Draft {
    let channel = ChannelName::new(CHANNEL).expect("invariant: the channel's name is a name");
    let json = serde_json::to_vec(data).expect("invariant: JSON values have only strings as keys");
    let data = Payload::new(json.into()).expect("invariant: serde_json writes JSON");
    let mut draft = Draft::new(channel, &format!("hook.{emitter}"), "", data);
    draft.source = client();
    // The emitter itself has said it.
    draft.evidence = Some(Evidence::Observed);
    if let Some(time) = time {
        draft.time = time;
    }
    draft
}
