//! The lines of an `exec` source: what a program writes to its standard output, one JSON object a line.
//!
//! | line | meaning |
//! |---|---|
//! | `{"headwater":1,"version"?,"emits"?:[…],"commands"?:[…],"heartbeat"?:bool}` | the first line: it runs |
//! | `{"channel","type","data"?,"severity"?,"attributes"?,"evidence"?,"timestamp"?,"key"?,"forget"?:bool}` | an event |
//! | `{"reply":7,"status":"completed",…}` | an answer to request 7 |
//!
//! And what it gets on its standard input: `{"kind":"config","settings":{…}}` first, then
//! `{"kind":"command","request":7,"name","parameters","caller"?}`, `{"kind":"heartbeat","request":8}` if it asked for
//! them (the answer is `{"reply":8,"status":"alive"}`), and `{"kind":"stop"}`, after which its input closes.

use super::{
    gate::{Gate, Refusal, attributes, key},
    said::Hello,
};
use crate::plugin::manifest::CommandInfo;
use bytes::Bytes;
use headwater_event::{Draft, Payload, Retention, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap};

/// The version of this protocol.
const VERSION: u64 = 1;

/// What a line is.
#[derive(Debug)]
pub(crate) enum Line {
    Hello(Hello),
    Event(Box<Draft>),
    /// An event that the gate refuses.
    Refused(Refusal),
    Reply(u64),
    /// Nothing, and why.
    Bad(String),
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow, default)]
    headwater: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reply: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct HelloLine {
    headwater: u64,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    emits: Vec<String>,
    #[serde(default)]
    commands: Vec<CommandInfo>,
    #[serde(default)]
    heartbeat: bool,
}

#[derive(Deserialize)]
struct EventLine<'a> {
    #[serde(borrow)]
    channel: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    severity: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    evidence: Option<Cow<'a, str>>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(borrow, default)]
    timestamp: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    key: Option<Cow<'a, str>>,
    #[serde(default)]
    forget: bool,
}

/// Reads a line.
pub(crate) fn read(line: &[u8], gate: &mut Gate) -> Line {
    read_object(line, gate).unwrap_or_else(|error| {
        let start: String = String::from_utf8_lossy(&line[..line.len().min(100)]).chars().take(80).collect();
        Line::Bad(format!("{error} in `{}`", start.escape_debug()))
    })
}

fn read_object(line: &[u8], gate: &mut Gate) -> serde_json::Result<Line> {
    // serde would read a list as the fields in their order.
    if line.first() != Some(&b'{') {
        return Ok(Line::Bad(format!("a line is a JSON object, this one begins with `{}`", start(line))));
    }
    let kind: Kind<'_> = serde_json::from_slice(line)?;
    if kind.headwater.is_some() {
        let hello: HelloLine = serde_json::from_slice(line)?;
        if hello.headwater != VERSION {
            return Ok(Line::Bad(format!(
                "it speaks version {} of the line protocol, this daemon speaks {VERSION}",
                hello.headwater
            )));
        }
        let HelloLine { version, emits, commands, heartbeat, .. } = hello;
        return Ok(Line::Hello(Hello { version, emits, commands, heartbeat }));
    }
    if let Some(request) = kind.reply {
        return Ok(Line::Reply(serde_json::from_str(request.get())?));
    }
    let event: EventLine<'_> = serde_json::from_slice(line)?;
    Ok(match draft(&event, gate) {
        Ok(draft) => Line::Event(Box::new(draft)),
        Err(refusal) => Line::Refused(refusal),
    })
}

fn draft(event: &EventLine<'_>, gate: &mut Gate) -> Result<Draft, Refusal> {
    let channel = gate.channel(&event.channel)?;
    let kind = gate.kind(&event.kind)?;
    let data = event.data.map_or("null", RawValue::get);
    Ok(Draft {
        channel,
        kind,
        time: match &event.timestamp {
            Some(text) => Timestamp::parse(text).ok_or_else(|| Refusal::Time(short(text)))?,
            None => Timestamp::now(),
        },
        source: gate.source().clone(),
        severity: match &event.severity {
            Some(word) => Some(word.parse().map_err(|_| Refusal::Severity(short(word)))?),
            None => None,
        },
        attributes: attributes(
            event.attributes.len(),
            event.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())),
        )?,
        evidence: match &event.evidence {
            Some(word) => Some(word.parse().map_err(|_| Refusal::Evidence(short(word)))?),
            None => None,
        },
        retention: match (&event.key, event.forget) {
            (Some(text), false) => Retention::Keep(key(text)?),
            (Some(text), true) => Retention::Forget(key(text)?),
            (None, _) => Retention::None,
        },
        data: Payload::new(Bytes::copy_from_slice(data.as_bytes()))?,
        idempotency_key: None,
    })
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

fn start(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..line.len().min(40)]).escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_event::{Evidence, Severity};
    use proptest::prelude::*;

    fn line(text: &str) -> Line {
        read(text.as_bytes(), &mut Gate::new("clock".into(), Some(vec!["clock".into()])))
    }

    #[test]
    fn a_hello_is_read_with_all_its_parts() {
        let Line::Hello(hello) = line(
            r#"{"headwater":1,"name":"clock","version":"2","emits":["clock"],"commands":["now",{"name":"set"}],"heartbeat":true,"more":1}"#,
        ) else {
            panic!("it is a hello")
        };
        assert_eq!((hello.version.as_deref(), hello.emits.len(), hello.heartbeat), (Some("2"), 1, true));
        assert_eq!(hello.commands.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["now", "set"]);
        let Line::Bad(why) = line(r#"{"headwater":2}"#) else { panic!("another version") };
        assert_eq!(why, "it speaks version 2 of the line protocol, this daemon speaks 1");
    }

    #[test]
    fn an_event_is_read_with_all_its_parts() {
        let Line::Event(draft) = line(
            r#"{"channel":"clock","type":"tick","data":{"n":1},"severity":"warning","evidence":"observed",
                "attributes":{"zone":"utc"},"timestamp":"1970-01-01T00:00:01Z","key":"k"}"#,
        ) else {
            panic!("it is an event")
        };
        assert_eq!((draft.channel.as_str(), &*draft.kind, &*draft.source), ("clock", "tick", "clock"));
        assert_eq!((draft.severity, draft.evidence), (Some(Severity::Warning), Some(Evidence::Observed)));
        assert_eq!((draft.time.0, draft.data.as_bytes()), (1_000_000_000, &b"{\"n\":1}"[..]));
        assert_eq!(draft.retention, Retention::Keep("k".into()));
        let Line::Event(plain) = line(r#"{"channel":"clock","type":"tick"}"#) else { panic!("it is an event") };
        assert_eq!(plain.data.as_bytes(), b"null");
        let Line::Event(gone) = line(r#"{"channel":"clock","type":"t","key":"k","forget":true}"#) else {
            panic!("event")
        };
        assert_eq!(gone.retention, Retention::Forget("k".into()));
    }

    #[test]
    fn a_wrong_line_says_what_is_wrong() {
        for (text, word) in [
            ("tick", "begins with `tick`"),
            ("[1]", "begins with `[1]`"),
            ("", "begins with ``"),
            (r#"{"type":"tick"}"#, "missing field `channel`"),
            (r#"{"channel":"clock"}"#, "missing field `type`"),
            (r#"{"channel":"clock","type":"t","data":}"#, "column"),
            (r#"{"channel":"clock","channel":"x","type":"t"}"#, "duplicate field"),
            (r#"{"reply":"seven"}"#, "invalid type"),
        ] {
            let Line::Bad(why) = line(text) else { panic!("{text}") };
            assert!(why.contains(word), "{text}: {why}");
        }
        for (text, word) in [
            (r#"{"channel":"x","type":"t"}"#, "not among those"),
            (r#"{"channel":"clock","type":"t","severity":"loud"}"#, "no severity"),
            (r#"{"channel":"clock","type":"t","evidence":"x"}"#, "no evidence"),
            (r#"{"channel":"clock","type":"t","timestamp":"x"}"#, "RFC 3339"),
        ] {
            let Line::Refused(why) = line(text) else { panic!("{text}") };
            assert!(why.to_string().contains(word), "{text}: {why}");
        }
        assert!(matches!(line(r#"{"reply":7,"status":"completed"}"#), Line::Reply(7)));
    }

    proptest! {
        /// A program can write anything.
        #[test]
        fn any_line_is_something(bytes in prop::collection::vec(any::<u8>(), 0..200), json in "[{}\\[\\]\":,a-z0-9\\\\ ]{0,80}") {
            let mut gate = Gate::new("clock".into(), None);
            for line in [bytes, json.into_bytes()] {
                if let Line::Bad(why) = read(&line, &mut gate) {
                    prop_assert!(!why.contains('\n'), "{}", why);
                }
            }
        }
    }
}
