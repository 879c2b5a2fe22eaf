//! Reads the messages of the native protocol: which are for the program, and which answer a request of this client.
//!
//! Unknown messages become notices instead of errors, so that a newer daemon does not break an older client.

use crate::{
    Answer, Event, FailedChannel, Gap, Item, Lag, Notice, Places, Problem, PublishedAt, Step, places::WirePosition,
};
use headwater_event::{Epoch, Position};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap};
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// One message of the daemon.
#[derive(Debug)]
pub(crate) enum Message {
    /// For the program.
    Item(Item),
    /// For the request of this id.
    Reply(String, Reply),
}

/// The answer to a request.
#[derive(Debug)]
pub(crate) enum Reply {
    Subscribed { places: Places, failed: Vec<FailedChannel> },
    Unsubscribed,
    Published(Vec<PublishedAt>),
    Snapshot(Vec<Event>),
    Error(Problem),
}

/// Reads one text message.
pub(crate) fn read(line: Utf8Bytes) -> Message {
    let kind = match classify(&line) {
        Ok(Kind::Event(channel, position)) => return Message::Item(Item::Event(Event::new(line, channel, position))),
        Ok(Kind::Other(kind)) => kind,
        Err(error) => return unreadable(&error),
    };
    other(&kind, &line).unwrap_or_else(|error| unreadable(&error))
}

enum Kind {
    Event(Box<str>, Position),
    Other(String),
}

/// What tells messages apart. An event can have any `type`, `gap` and `error` included: that it has a `message_id` and
/// a position shows what it is.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    channel: Option<Cow<'a, str>>,
    #[serde(default)]
    message_id: Option<IgnoredAny>,
    #[serde(borrow, default)]
    epoch: Option<Cow<'a, str>>,
    #[serde(default)]
    offset: Option<u64>,
}

fn classify(line: &str) -> Result<Kind, serde_json::Error> {
    let head: Head<'_> = serde_json::from_str(line)?;
    Ok(match (head.message_id, head.channel, head.epoch.as_deref().and_then(Epoch::parse), head.offset) {
        (Some(_), Some(channel), Some(epoch), Some(offset)) => Kind::Event(channel.into(), Position { epoch, offset }),
        _ => Kind::Other(head.kind.into_owned()),
    })
}

/// The fields of every message that is no event; each has some of them.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(default)]
    request_id: Option<String>,
    #[serde(default)]
    status: String,
    #[serde(borrow, default)]
    positions: Option<&'a RawValue>,
    #[serde(default)]
    failed_channels: Vec<FailedChannel>,
    #[serde(default)]
    events: Vec<Box<RawValue>>,
    #[serde(default)]
    error_code: String,
    #[serde(default)]
    message: Option<String>,
    #[serde(borrow, default)]
    details: Option<&'a RawValue>,
    #[serde(default)]
    suggested_action: Option<String>,
    #[serde(default)]
    progress: Progress,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Progress {
    current_step: Option<String>,
    completion_percent: Option<f64>,
}

fn other(kind: &str, line: &str) -> Result<Message, serde_json::Error> {
    match kind {
        "gap" => return Ok(Message::Item(Item::Gap(serde_json::from_str::<Gap>(line)?))),
        "lag" => return Ok(Message::Item(Item::Lag(serde_json::from_str::<Lag>(line)?))),
        _ => {}
    }
    let body: Body<'_> = serde_json::from_str(line)?;
    Ok(match (kind, body.request_id.clone()) {
        ("subscription_response", Some(id)) => {
            let reply = match body.failed_channels.first() {
                Some(failed) if body.status == "error" => Reply::Error(failed.problem(line)),
                _ => Reply::Subscribed { places: places(body.positions)?, failed: body.failed_channels },
            };
            Message::Reply(id, reply)
        }
        ("unsubscription_response", Some(id)) => Message::Reply(id, Reply::Unsubscribed),
        ("publish_response", Some(id)) => Message::Reply(id, Reply::Published(list(body.positions)?)),
        ("snapshot", Some(id)) => {
            let events = body.events.into_iter().map(Event::from_raw).collect::<Result<_, _>>();
            Message::Reply(id, events.map_or_else(|error| Reply::Error(no_event(&error)), Reply::Snapshot))
        }
        ("error", Some(id)) => Message::Reply(id, Reply::Error(body.problem(line))),
        ("command_response" | "command_progress" | "command_completed" | "command_error", Some(request_id)) => {
            let step = body.step(kind, line);
            Message::Item(Item::Answer(Answer { request_id, line: line.to_owned(), step }))
        }
        ("heartbeat_response", _) => Message::Item(Item::Places(places(body.positions)?)),
        ("error", None) => match body.last_words() {
            Some(places) => Message::Item(Item::Places(places)),
            None => notice(body.error_code.clone(), body.sentence()),
        },
        _ => notice(kind, body.sentence()),
    })
}

impl Body<'_> {
    /// The positions to resume from, which stand in the last message before a close.
    fn last_words(&self) -> Option<Places> {
        #[derive(Deserialize)]
        struct Details<'a> {
            #[serde(borrow)]
            positions: &'a RawValue,
        }
        let details: Details<'_> = serde_json::from_str(self.details?.get()).ok()?;
        places(Some(details.positions)).ok()
    }

    fn sentence(&self) -> String {
        let message = self.message.clone().unwrap_or_default();
        match &self.suggested_action {
            Some(action) => format!("{message}; {action}"),
            None => message,
        }
    }

    fn problem(&self, line: &str) -> Problem {
        Problem { status: 0, code: self.error_code.clone(), detail: self.sentence(), body: line.to_owned() }
    }

    fn step(self, kind: &str, line: &str) -> Step {
        match kind {
            "command_response" => Step::Accepted { message: self.message },
            "command_progress" => Step::Progress {
                current_step: self.progress.current_step,
                completion_percent: self.progress.completion_percent,
            },
            "command_completed" => Step::Completed { result: self.result.map_or("null", RawValue::get).to_owned() },
            _ => Step::Failed(Box::new(self.problem(line))),
        }
    }
}

fn places(raw: Option<&RawValue>) -> Result<Places, serde_json::Error> {
    let Some(raw) = raw else { return Ok(Places::default()) };
    Ok(Places::from_wire(serde_json::from_str::<BTreeMap<String, WirePosition>>(raw.get())?))
}

fn list<T: DeserializeOwned>(raw: Option<&RawValue>) -> Result<Vec<T>, serde_json::Error> {
    raw.map_or_else(|| Ok(Vec::new()), |raw| serde_json::from_str(raw.get()))
}

fn no_event(error: &crate::Error) -> Problem {
    Problem { detail: error.to_string(), ..Problem::default() }
}

fn notice(code: impl Into<String>, message: String) -> Message {
    Message::Item(Item::Notice(Notice { code: code.into(), message }))
}

fn unreadable(error: &serde_json::Error) -> Message {
    notice("UNREADABLE", format!("a message of the daemon cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(line: &str) -> Item {
        match read(line.into()) {
            Message::Item(item) => item,
            Message::Reply(id, reply) => panic!("a reply to {id}: {reply:?}"),
        }
    }

    #[test]
    fn an_event_of_any_type_is_an_event() {
        // A source may call its event `gap` or `error`; taking it for the daemon's notice would hide it.
        for kind in ["gap", "error", "x"] {
            let line = format!(
                r#"{{"type":"{kind}","channel":"a","message_id":"m","epoch":"00000000000000ab","offset":3,"data":{{"type":"x"}}}}"#
            );
            let Item::Event(event) = item(&line) else { panic!("{kind} is no event") };
            assert_eq!((event.line(), event.channel(), event.position().offset), (line.as_str(), "a", 3));
        }
    }

    #[test]
    fn notices_are_values() {
        let gap = r#"{"type":"gap","channel":"a","epoch":"00000000000000ab","from":2,"to":9,"reason":"slow_consumer"}"#;
        let Item::Gap(gap) = item(gap) else { panic!() };
        assert_eq!((gap.from, gap.to, gap.end().unwrap().offset), (2, 9, 9));
        assert!(matches!(item(r#"{"type":"lag","channel":"a","behind":3,"bytes":4}"#), Item::Lag(_)));
        let last = r#"{"type":"error","error_code":"CONNECTION_LOST","message":"slow","details":{"reason":"slow","positions":{"a":{"epoch":"00000000000000ab","offset":4}}}}"#;
        assert!(matches!(item(last), Item::Places(places) if places.get("a").unwrap().offset == 4));
        let Item::Notice(notice) = item(r#"{"type":"error","error_code":"INVALID_JSON","message":"no"}"#) else {
            panic!()
        };
        assert_eq!(notice, Notice { code: "INVALID_JSON".into(), message: "no".into() });
        // A newer daemon says what this client does not know.
        assert!(matches!(item(r#"{"type":"weather","message":"rain"}"#), Item::Notice(_)));
        assert!(matches!(item("[1]"), Item::Notice(_)));
        assert!(matches!(item("{"), Item::Notice(_)));
    }

    #[test]
    fn a_reply_finds_its_request() {
        let line = r#"{"type":"subscription_response","status":"partial","request_id":"1","subscribed_channels":["a"],"positions":{"a":{"epoch":"00000000000000ab","offset":4}},"failed_channels":[{"channel":"b b","error_code":"VALIDATION_ERROR","message":"no"}]}"#;
        let Message::Reply(id, Reply::Subscribed { places, failed }) = read(line.into()) else { panic!() };
        assert_eq!((id.as_str(), places.get("a").unwrap().offset, failed.len()), ("1", 4, 1));
        let none = line.replace("partial", "error");
        assert!(matches!(read(none.into()), Message::Reply(_, Reply::Error(p)) if p.code == "VALIDATION_ERROR"));
        let line = r#"{"type":"error","error_code":"POSITION_AHEAD","message":"ahead","request_id":"2"}"#;
        assert!(matches!(read(line.into()), Message::Reply(id, Reply::Error(_)) if id == "2"));
    }

    #[test]
    fn a_command_goes_through_its_steps() {
        let steps: Vec<Step> = [
            r#"{"type":"command_response","status":"accepted","request_id":"1","message":"ok"}"#,
            r#"{"type":"command_progress","request_id":"1","progress":{"current_step":"s","completion_percent":40}}"#,
            r#"{"type":"command_completed","request_id":"1","result":{"a":1}}"#,
            r#"{"type":"command_error","request_id":"1","error_code":"X","message":"no","suggested_action":"wait"}"#,
        ]
        .into_iter()
        .map(|line| match item(line) {
            Item::Answer(answer) => answer.step,
            other => panic!("{other:?}"),
        })
        .collect();
        assert_eq!(steps[0], Step::Accepted { message: Some("ok".into()) });
        assert_eq!(steps[1], Step::Progress { current_step: Some("s".into()), completion_percent: Some(40.0) });
        assert_eq!(steps[2], Step::Completed { result: r#"{"a":1}"#.into() });
        assert!(matches!(&steps[3], Step::Failed(problem) if problem.detail == "no; wait"));
    }

    /// What the daemon's own encoder writes is read back whole: the two cannot drift apart.
    #[test]
    fn the_daemons_encoder_is_understood() {
        use headwater_event::{ChannelName, Draft, Gap, GapReason, Payload};
        use headwater_protocol::{CommandFailure, ErrorCode, Reply as Said, RequestId, dialects};

        let native = dialects::native();
        let said = |reply: &Said<'_>| {
            let mut out = Vec::new();
            native.reply(reply, &mut out);
            read(String::from_utf8(out).unwrap().into())
        };
        let channel = ChannelName::new("a").unwrap();
        let place = Position { epoch: Epoch(0xab), offset: 4 };
        let positions = || vec![(channel.clone(), place)];
        let id = || serde_json::from_str::<RequestId>("\"1\"").unwrap();

        let data = Payload::new(b"{\"x\": 1}".as_slice().into()).unwrap();
        let event =
            headwater_event::Event::new(Draft::new(channel.clone(), "gap", "s", data), place, uuid::Uuid::nil());
        let mut out = Vec::new();
        native.event(&event, &mut out);
        let Message::Item(Item::Event(event)) = read(String::from_utf8(out).unwrap().into()) else { panic!() };
        assert_eq!((event.position(), event.fields().unwrap().kind.as_ref()), (place, "gap"));

        let subscribed = Said::Subscribed {
            held: vec!["a".into()],
            failed: vec![headwater_protocol::FailedChannel {
                channel: "b".into(),
                code: ErrorCode::PositionAhead,
                message: "m".into(),
            }],
            positions: positions(),
            connection_id: "c",
            reconnect_token: None,
            request_id: Some(id()),
        };
        let Message::Reply(_, Reply::Subscribed { places, failed }) = said(&subscribed) else { panic!() };
        assert_eq!((places.get("a"), failed[0].code.as_str()), (Some(place), "POSITION_AHEAD"));

        let published = Said::Published { positions: positions(), request_id: Some(id()) };
        assert!(matches!(said(&published), Message::Reply(_, Reply::Published(list)) if list[0].offset == 4));
        let snapshot = Said::Snapshot { events: Vec::new(), request_id: Some(id()) };
        assert!(matches!(said(&snapshot), Message::Reply(_, Reply::Snapshot(_))));
        let gone = Said::Unsubscribed { gone: Vec::new(), held: Vec::new(), request_id: Some(id()) };
        assert!(matches!(said(&gone), Message::Reply(_, Reply::Unsubscribed)));

        let heartbeat = Said::Heartbeat { timestamp: None, connection_id: "c", positions: positions() };
        assert!(matches!(said(&heartbeat), Message::Item(Item::Places(places)) if places.get("a") == Some(place)));
        let last = Said::Error {
            code: ErrorCode::ConnectionLost,
            message: "slow".into(),
            positions: positions(),
            session: None,
            request_id: None,
        };
        assert!(matches!(said(&last), Message::Item(Item::Places(places)) if places.get("a") == Some(place)));
        let gap = Gap { channel: channel.clone(), from: place, to: 9, reason: GapReason::Retention };
        let gap = Said::Gap(gap);
        assert!(matches!(said(&gap), Message::Item(Item::Gap(gap)) if gap.end().unwrap().offset == 9));
        let lag = Said::Lag { channel: channel.clone(), behind: 1, bytes: 2 };
        assert!(matches!(said(&lag), Message::Item(Item::Lag(_))));

        let failure = CommandFailure { code: "X".into(), message: "m".into(), details: None, suggested_action: None };
        let steps = [
            Said::CommandAccepted {
                request_id: id(),
                execution_id: "e",
                message: None,
                estimated_completion_ms: Some(1),
            },
            Said::CommandProgress {
                request_id: id(),
                execution_id: "e",
                progress: r#"{"completion_percent":40}"#.into(),
                details: None,
            },
            Said::CommandCompleted { request_id: id(), execution_id: "e", result: "[1]".into() },
            Said::CommandError { request_id: id(), failure },
        ]
        .map(|reply| match said(&reply) {
            Message::Item(Item::Answer(answer)) => answer.step,
            other => panic!("{other:?}"),
        });
        assert_eq!(steps[0], Step::Accepted { message: None });
        assert_eq!(steps[1], Step::Progress { current_step: None, completion_percent: Some(40.0) });
        assert_eq!(steps[2], Step::Completed { result: "[1]".into() });
        assert!(matches!(&steps[3], Step::Failed(problem) if problem.code == "X"));
    }
}
