//! opencode: the events of its server's `GET /event`, and the reading of that stream. A plugin of opencode's gets the same
//! events, and may post them as hooks.

mod events;
mod follow;
mod stream;

pub(super) use events::read;
pub use follow::{Follower, Heard, ServerUrl, UrlError};
