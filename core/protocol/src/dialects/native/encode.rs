//! From events and replies to text messages.

mod command;
pub(super) mod past;
mod session;

use crate::{Reply, RequestId, text};
use headwater_event::{ChannelName, Event, Gap, Position, Retention, Timestamp};

/// `{"type", "channel", "timestamp", "message_id", "epoch", "offset", "source", …, "data"}`; what is not known is
/// absent.
pub(super) fn event(event: &Event, out: &mut Vec<u8>) {
    out.reserve(event.data.as_bytes().len() + 320);
    out.extend_from_slice(b"{\"type\":");
    text::string(out, &event.kind);
    out.extend_from_slice(b",\"channel\":\"");
    out.extend_from_slice(event.channel.as_str().as_bytes());
    out.extend_from_slice(b"\",\"timestamp\":\"");
    out.extend_from_slice(&event.time.rfc_3339());
    out.extend_from_slice(b"\",\"message_id\":\"");
    out.extend_from_slice(&event.id_digits());
    out.extend_from_slice(b"\",\"epoch\":\"");
    out.extend_from_slice(&event.position.epoch.digits());
    out.extend_from_slice(b"\",\"offset\":");
    text::number(out, event.position.offset);
    out.extend_from_slice(b",\"source\":");
    text::string(out, &event.source);
    if let Some(severity) = event.severity {
        text::pair(out, "severity", severity.as_str());
    }
    if let Some(evidence) = event.evidence {
        text::pair(out, "evidence", evidence.as_str());
    }
    match &event.retention {
        Retention::None => {}
        Retention::Keep(key) => text::pair(out, "key", key),
        Retention::Forget(key) => {
            text::pair(out, "key", key);
            out.extend_from_slice(b",\"forgotten\":true");
        }
    }
    if !event.attributes.is_empty() {
        text::key(out, "attributes");
        out.push(b'{');
        for (index, (name, value)) in event.attributes.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            text::string(out, name);
            out.push(b':');
            text::string(out, value);
        }
        out.push(b'}');
    }
    out.extend_from_slice(b",\"data\":");
    out.extend_from_slice(event.data.as_bytes());
    out.push(b'}');
}

pub(super) fn reply(reply: &Reply<'_>, out: &mut Vec<u8>) {
    match reply {
        Reply::Subscribed { held, failed, positions: at, connection_id, reconnect_token, request_id } => {
            begin(out, "subscription_response");
            let status = match (failed.is_empty(), at.is_empty() && held.is_empty()) {
                (true, _) => "success",
                (false, false) => "partial",
                (false, true) => "error",
            };
            text::pair(out, "status", status);
            names(out, "subscribed_channels", held);
            count(out, "active_subscriptions", held.len() as u64);
            positions(out, at);
            if !failed.is_empty() {
                text::key(out, "failed_channels");
                text::list(out, failed, |out, failed| {
                    out.extend_from_slice(b"{\"channel\":");
                    text::string(out, &failed.channel);
                    text::pair(out, "error_code", failed.code.as_str());
                    text::pair(out, "message", &failed.message);
                    out.push(b'}');
                });
            }
            text::pair(out, "connection_id", connection_id);
            if let Some(token) = reconnect_token {
                text::pair(out, "reconnect_token", token);
            }
            end(out, request_id.as_ref());
        }
        Reply::Unsubscribed { gone, held, request_id } => {
            begin(out, "unsubscription_response");
            text::pair(out, "status", "success");
            names(out, "unsubscribed_channels", gone);
            names(out, "subscribed_channels", held);
            count(out, "active_subscriptions", held.len() as u64);
            end(out, request_id.as_ref());
        }
        Reply::Published { positions, request_id } => {
            begin(out, "publish_response");
            text::pair(out, "status", "accepted");
            text::key(out, "positions");
            text::list(out, positions, |out, (channel, position)| {
                out.extend_from_slice(b"{\"channel\":");
                text::string(out, channel.as_str());
                place(out, *position);
                out.push(b'}');
            });
            end(out, request_id.as_ref());
        }
        Reply::Snapshot { events, request_id } => {
            begin(out, "snapshot");
            text::key(out, "events");
            text::list(out, events, |out, one| event(one, out));
            end(out, request_id.as_ref());
        }
        Reply::CommandAccepted { .. }
        | Reply::CommandProgress { .. }
        | Reply::CommandCompleted { .. }
        | Reply::CommandError { .. } => command::reply(reply, out),
        Reply::History { .. } | Reply::Replay { .. } => past::reply(reply, out),
        Reply::Heartbeat { .. }
        | Reply::Authenticated { .. }
        | Reply::NotAuthenticated { .. }
        | Reply::Error { .. } => session::reply(reply, out),
        Reply::Gap(missing) => {
            begin(out, "gap");
            gap(out, missing);
            end(out, None);
        }
        Reply::Lag { channel, behind, bytes } => {
            begin(out, "lag");
            text::pair(out, "channel", channel.as_str());
            count(out, "behind", *behind);
            count(out, "bytes", *bytes);
            end(out, None);
        }
    }
}

fn begin(out: &mut Vec<u8>, kind: &str) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.push(b'"');
}

fn end(out: &mut Vec<u8>, request_id: Option<&RequestId>) {
    if let Some(id) = request_id {
        json(out, "request_id", id.as_json());
    }
    text::key(out, "timestamp");
    quoted(out, Timestamp::now());
    out.push(b'}');
}

/// `,"channel":…,"epoch":…,"from":…,"to":…,"reason":…`
fn gap(out: &mut Vec<u8>, Gap { channel, from, to, reason }: &Gap) {
    text::pair(out, "channel", channel.as_str());
    text::key(out, "epoch");
    quoted(out, from.epoch);
    count(out, "from", from.offset);
    count(out, "to", *to);
    text::pair(out, "reason", reason.as_str());
}

/// `,"epoch":…,"offset":…`
fn place(out: &mut Vec<u8>, position: Position) {
    text::key(out, "epoch");
    quoted(out, position.epoch);
    count(out, "offset", position.offset);
}

fn positions(out: &mut Vec<u8>, positions: &[(ChannelName, Position)]) {
    text::key(out, "positions");
    out.push(b'{');
    for (index, (channel, position)) in positions.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        text::string(out, channel.as_str());
        out.extend_from_slice(b":{\"epoch\":");
        quoted(out, position.epoch);
        count(out, "offset", position.offset);
        out.push(b'}');
    }
    out.push(b'}');
}

fn names(out: &mut Vec<u8>, key: &str, names: &[impl AsRef<str>]) {
    text::key(out, key);
    text::list(out, names, |out, name| text::string(out, name.as_ref()));
}

fn quoted(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    out.push(b'"');
    text::display(out, value);
    out.push(b'"');
}

fn count(out: &mut Vec<u8>, key: &str, value: u64) {
    text::key(out, key);
    text::number(out, value);
}

/// Text that is JSON already.
fn json(out: &mut Vec<u8>, key: &str, value: &str) {
    text::key(out, key);
    out.extend_from_slice(value.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;
    use bytes::Bytes;
    use headwater_event::{Draft, Epoch, Evidence, GapReason, Payload, Severity};

    fn parsed(write: impl FnOnce(&mut Vec<u8>)) -> serde_json::Value {
        let mut out = Vec::new();
        write(&mut out);
        serde_json::from_slice(&out).expect("what is written is JSON")
    }

    #[test]
    fn an_event_says_what_is_known_and_nothing_else() {
        let data = Payload::new(Bytes::from_static(b"{\"x\":1}")).unwrap();
        let mut draft = Draft::new(ChannelName::new("a").unwrap(), "quote\"d", "disk", data);
        draft.time = Timestamp(0);
        let place = Position { epoch: Epoch(1), offset: 7 };
        let id = uuid::Uuid::nil();
        let plain = parsed(|out| event(&Event::new(draft.clone(), place, id), out));
        assert_eq!(
            plain,
            serde_json::json!({"type": "quote\"d", "channel": "a", "timestamp": "1970-01-01T00:00:00.000000Z",
                "message_id": "00000000-0000-0000-0000-000000000000", "epoch": "0000000000000001", "offset": 7,
                "source": "disk", "data": {"x": 1}})
        );
        draft.severity = Some(Severity::Warning);
        draft.evidence = Some(Evidence::Polled);
        draft.retention = Retention::Keep("k".into());
        draft.attributes = Box::new([("pane".into(), "%1\n".into()), ("w".into(), "@1".into())]);
        let full = parsed(|out| event(&Event::new(draft, place, id), out));
        assert_eq!(full["attributes"], serde_json::json!({"pane": "%1\n", "w": "@1"}));
        assert_eq!(
            (&full["severity"], &full["evidence"], &full["key"]),
            (&"warning".into(), &"polled".into(), &"k".into())
        );
    }

    #[test]
    fn every_reply_is_json_and_carries_its_request_id() {
        let id: RequestId = serde_json::from_str("\"r\"").unwrap();
        let channel = ChannelName::new("a").unwrap();
        let place = Position { epoch: Epoch(1), offset: 2 };
        let subscribed = parsed(|out| {
            reply(
                &Reply::Subscribed {
                    held: vec!["a".into()],
                    failed: vec![crate::FailedChannel {
                        channel: "\"".into(),
                        code: ErrorCode::Validation,
                        message: "m".into(),
                    }],
                    positions: vec![(channel.clone(), place)],
                    connection_id: "c",
                    reconnect_token: None,
                    request_id: Some(id.clone()),
                },
                out,
            );
        });
        assert_eq!(subscribed["status"], "partial");
        assert_eq!(subscribed["positions"]["a"]["offset"], 2);
        assert_eq!(subscribed["request_id"], "r");
        let gap = Gap { channel, from: place, to: 9, reason: GapReason::SlowConsumer };
        let gap = parsed(|out| reply(&Reply::Gap(gap), out));
        assert_eq!((&gap["from"], &gap["to"]), (&2.into(), &9.into()));
        let failure = crate::CommandFailure {
            code: "X".into(),
            message: "m".into(),
            details: Some("[1]".into()),
            suggested_action: None,
        };
        let failed = parsed(|out| reply(&Reply::CommandError { request_id: id, failure }, out));
        assert_eq!((&failed["details"][0], &failed["request_id"]), (&1.into(), &"r".into()));
    }
}
