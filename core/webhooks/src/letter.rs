//! What is posted: an event or a gap as native JSON, with the id by which the receiver knows it when it comes twice; and
//! the dead letter of what the endpoint did not take.

use crate::{Endpoint, post::Failure};
use bytes::Bytes;
use headwater_event::{ChannelName, Draft, Event, Gap, Payload, Position, Severity};
use headwater_follow::Item;
use headwater_protocol::{Reply, dialects};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::{borrow::Cow, fmt::Write};

/// The type of an event that a webhook's endpoint did not take.
const DEAD_LETTER: &str = "webhook.dead_letter";

/// What the daemon's own events name as their source.
pub(crate) const DAEMON: &str = "headwater";

/// One thing to post.
pub(crate) struct Letter {
    /// The same each time it is posted.
    pub(crate) id: String,
    pub(crate) body: Bytes,
    /// Where the webhook stands when the endpoint has it.
    pub(crate) channel: ChannelName,
    pub(crate) reached: Position,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Event,
    /// A letter that was dead before: it is not wrapped in another.
    DeadLetter,
    Gap,
}

/// The letter for an item; `None` for a dead letter of this webhook itself, which would only come back to it.
pub(crate) fn letter(item: &Item, webhook: &str) -> Option<Letter> {
    Some(match item {
        Item::Event(event) => {
            let kind = match dead_letter_of(event) {
                Some(other) if other == webhook => return None,
                Some(_) => Kind::DeadLetter,
                None => Kind::Event,
            };
            let mut body = Vec::new();
            dialects::native().event(event, &mut body);
            let (channel, reached) = (event.channel.clone(), event.position);
            Letter { id: event.id.to_string(), body: body.into(), channel, reached, kind }
        }
        Item::Gap(gap) => {
            let mut body = Vec::new();
            dialects::native().reply(&Reply::Gap(gap.clone()), &mut body);
            Letter {
                id: gap_id(gap),
                body: body.into(),
                channel: gap.channel.clone(),
                reached: reached(gap),
                kind: Kind::Gap,
            }
        }
    })
}

/// The last offset that will not come.
pub(crate) fn reached(gap: &Gap) -> Position {
    Position { epoch: gap.from.epoch, offset: gap.to }
}

/// Made from what the gap is, so that the same gap has the same id also after a restart.
fn gap_id(gap: &Gap) -> String {
    let digest = Sha256::digest(format!("{} {} {} {}", gap.channel, gap.from, gap.to, gap.reason));
    let mut id = String::from("gap_");
    for byte in &digest[..16] {
        let _ = write!(id, "{byte:02x}");
    }
    id
}

/// The webhook whose dead letter this event is.
fn dead_letter_of(event: &Event) -> Option<String> {
    #[derive(Deserialize)]
    struct Of<'a> {
        #[serde(borrow)]
        webhook: Cow<'a, str>,
    }
    // A client may publish the like; only the daemon's own count.
    if &*event.kind != DEAD_LETTER || &*event.source != DAEMON {
        return None;
    }
    let of: Of<'_> = serde_json::from_slice(event.data.as_bytes()).ok()?;
    Some(of.webhook.into_owned())
}

/// The data of a dead letter.
#[derive(Serialize)]
struct DeadLetter<'a> {
    webhook: &'a str,
    url: String,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<&'a RawValue>,
}

impl Letter {
    /// The event that tells of a letter the endpoint did not take, and holds it.
    pub(crate) fn dead(
        &self,
        webhook: &str,
        endpoint: &Endpoint,
        channel: &ChannelName,
        attempts: u32,
        failure: &Failure,
    ) -> Draft {
        let body: &RawValue = serde_json::from_slice(&self.body).expect("invariant: a letter is JSON");
        let (event, gap) = if self.kind == Kind::Gap { (None, Some(body)) } else { (Some(body), None) };
        let (url, status, error) = (endpoint.to_string(), failure.status, failure.reason.as_str());
        let data = DeadLetter { webhook, url, attempts, status, error, event, gap };
        announcement(channel.clone(), DEAD_LETTER, &data)
    }
}

/// An event of the daemon itself about something that failed.
pub(crate) fn announcement(channel: ChannelName, kind: &str, data: &impl Serialize) -> Draft {
    let data = serde_json::to_vec(data).expect("invariant: plain values only");
    let data = Payload::new(data.into()).expect("invariant: serde_json writes JSON");
    let mut draft = Draft::new(channel, kind, DAEMON, data);
    draft.severity = Some(Severity::Error);
    draft
}
