//! The WebSocket binding of CloudEvents, `cloudevents.json`: one event per text message, in both directions. What the
//! daemon says besides events is a CloudEvent too, so that a client needs one reader: its source is `/headwater`, its
//! type `headwater.` and the type of the native reply, its data that reply. Requests are those of the native protocol.

use crate::{Dialect, Reply, Request, RequestError, RequestId, cloudevents, text};
use headwater_event::{Draft, Encoding, Event, Timestamp};
use serde::{Deserialize, de::IgnoredAny};
use uuid::Uuid;

/// CloudEvents over WebSocket.
pub(super) struct CloudEvents;

impl Dialect for CloudEvents {
    fn name(&self) -> &'static str {
        "cloudevents.json"
    }

    fn encoding(&self) -> Encoding {
        Encoding(1)
    }

    fn decode(&self, text: &str, before: Option<&Draft>) -> Result<Request, RequestError> {
        if !is_event(text) {
            return super::native().decode(text, before);
        }
        match cloudevents::decode_structured(text.as_bytes(), None) {
            Ok(item) => Ok(Request::Publish { items: vec![item], request_id: None }),
            // Only a refusal is answered; by its id the client knows which event it was.
            Err(error) => Err(error.answering(id_of(text))),
        }
    }

    fn event(&self, event: &Event, out: &mut Vec<u8>) {
        cloudevents::encode(event, out);
    }

    fn reply(&self, reply: &Reply<'_>, out: &mut Vec<u8>) {
        let mut native = Vec::new();
        super::native().reply(reply, &mut native);
        out.extend_from_slice(b"{\"specversion\":\"1.0\",\"id\":\"");
        text::display(out, Uuid::now_v7());
        out.extend_from_slice(b"\",\"source\":\"/headwater\",\"type\":\"headwater.");
        out.extend_from_slice(kind_of(&native));
        out.extend_from_slice(b"\",\"time\":\"");
        text::display(out, Timestamp::now());
        out.extend_from_slice(b"\",\"datacontenttype\":\"application/json\",\"data\":");
        out.extend_from_slice(&native);
        out.push(b'}');
    }
}

/// The type of a native reply, which stands first and needs no escape.
fn kind_of(native: &[u8]) -> &[u8] {
    let rest = native.strip_prefix(b"{\"type\":\"").expect("invariant: a native reply begins with its type");
    rest.split(|byte| *byte == b'"').next().unwrap_or_default()
}

/// Whether a message is a CloudEvent and no native one.
fn is_event(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Mark {
        #[serde(rename = "specversion")]
        _mark: IgnoredAny,
    }
    text.contains("specversion") && serde_json::from_str::<Mark>(text).is_ok()
}

/// The id of a CloudEvent that could not be taken, where it can be read.
fn id_of(text: &str) -> Option<RequestId> {
    #[derive(Deserialize)]
    struct Id {
        id: RequestId,
    }
    serde_json::from_str::<Id>(text).ok().map(|Id { id }| id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;
    use headwater_event::{ChannelName, Draft, Epoch, Gap, GapReason, Payload, Position};
    use serde_json::Value;

    fn position() -> Position {
        Position { epoch: Epoch(1), offset: 2 }
    }

    #[test]
    fn native_requests_and_events_are_told_apart() {
        let dialect = super::super::cloudevents();
        let Ok(Request::Subscribe(subscribe)) = dialect.decode(r#"{"type":"subscribe","channels":"a"}"#, None) else {
            panic!()
        };
        assert_eq!(subscribe.channels.len(), 1);
        let event = r#"{"specversion":"1.0","id":"1","source":"/x","type":"subscribe","channel":"a","data":1}"#;
        let Ok(Request::Publish { items, request_id: None }) = dialect.decode(event, None) else { panic!() };
        assert_eq!((items.len(), items[0].idempotency_key.as_deref()), (1, Some("/x 1")));
        // The word alone makes no CloudEvent.
        let native = r#"{"type":"publish","channel":"a","event":"t","data":{"specversion":"1.0"}}"#;
        let Ok(Request::Publish { items, .. }) = dialect.decode(native, None) else { panic!() };
        assert_eq!(items[0].idempotency_key.as_deref(), None);
    }

    #[test]
    fn a_refused_event_is_named_by_its_id() {
        let dialect = super::super::cloudevents();
        let error = dialect.decode(r#"{"specversion":"1.0","id":"e7","source":"/x","type":"t"}"#, None).unwrap_err();
        assert_eq!(error.request_id.unwrap().as_json(), "\"e7\"");
        let error = dialect.decode(r#"{"specversion":"1.0","id":{},"source":"/x","type":"t"}"#, None).unwrap_err();
        assert_eq!((error.request_id, error.code), (None, ErrorCode::Validation));
        assert_eq!(dialect.decode("{\"specversion\"", None).unwrap_err().code, ErrorCode::InvalidJson);
    }

    /// A client reads whatever comes with one reader: all of it is CloudEvents.
    #[test]
    fn whatever_is_said_is_a_cloud_event() {
        let dialect = super::super::cloudevents();
        let parsed = |write: &dyn Fn(&mut Vec<u8>)| -> Value {
            let mut out = Vec::new();
            write(&mut out);
            serde_json::from_slice(&out).expect("what is written is JSON")
        };
        let channel = ChannelName::new("a").unwrap();
        let gap = Gap { channel: channel.clone(), from: position(), to: 9, reason: GapReason::Retention };
        let gap = parsed(&|out| dialect.reply(&Reply::Gap(gap.clone()), out));
        let data = Payload::new(b"{\"x\":1}".as_slice().into()).unwrap();
        let event = Event::new(Draft::new(channel, "t", "disk", data), position(), Uuid::now_v7());
        let event = parsed(&|out| dialect.event(&event, out));
        for said in [&gap, &event] {
            assert_eq!((&said["specversion"], &said["datacontenttype"]), (&"1.0".into(), &"application/json".into()));
            for required in ["id", "source", "type"] {
                assert!(said[required].as_str().is_some_and(|text| !text.is_empty()), "{required}: {said}");
            }
        }
        assert_eq!((&gap["type"], &gap["source"]), (&"headwater.gap".into(), &"/headwater".into()));
        assert_eq!((&gap["data"]["type"], &gap["data"]["to"]), (&"gap".into(), &9.into()));
        assert_eq!((&event["type"], &event["source"]), (&"t".into(), &"/headwater/disk".into()));
    }
}
