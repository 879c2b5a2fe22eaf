//! `headwater pub`: publishes one event, or one for each JSON value on standard input.

use crate::{
    Failure, PublishArgs,
    run::Session,
    text::visible,
    values::{Values, one_line},
};
use headwater_client::{Error, Published};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{collections::BTreeMap, io::Read};

/// `input` is the standard input, and `piped` says that something is piped into it: from a terminal nobody types JSON.
pub(crate) async fn run(
    args: &PublishArgs,
    session: &mut Session,
    input: impl Read,
    piped: bool,
) -> Result<(), Failure> {
    match Shape::of(args)? {
        Shape::One { kind, data } => {
            let line = line(args, kind, &data);
            let published = session.client.publish_ndjson(line).await?;
            report(session, &published);
            Ok(())
        }
        Shape::Data { .. } | Shape::Whole if !piped => Err(Failure::Usage(
            "nothing is piped in; give DATA, as in: headwater pub deploys deploy.finished '{\"ok\":true}'".into(),
        )),
        shape => stream(args, &shape, session, input).await,
    }
}

/// What the arguments mean.
enum Shape<'a> {
    /// One event with this payload.
    One { kind: &'a str, data: String },
    /// Each value on standard input is a payload.
    Data { kind: &'a str },
    /// Each value on standard input is an event.
    Whole,
}

impl<'a> Shape<'a> {
    fn of(args: &'a PublishArgs) -> Result<Self, Failure> {
        let usage = |words: &str| Err(Failure::Usage(words.to_owned()));
        match (args.channel.as_str(), args.kind.as_deref(), args.data.as_deref()) {
            ("-", None, _) if args.key.is_some() || args.severity.is_some() || !args.attributes.is_empty() => {
                usage("with `pub -` each event says its own severity, attributes and key; leave the options out")
            }
            ("-", None, _) => Ok(Self::Whole),
            ("-", Some(_), _) => usage("`pub -` reads whole events; name a channel to publish payloads on it"),
            (_, None, _) => usage("TYPE is missing: what happened? as in: headwater pub deploys deploy.finished"),
            (_, Some(kind), None | Some("-")) => Ok(Self::Data { kind }),
            (_, Some(kind), Some(data)) => match serde_json::from_str::<&RawValue>(data) {
                Ok(_) => Ok(Self::One { kind, data: one_line(data) }),
                Err(error) => {
                    let quoted = serde_json::to_string(data).unwrap_or_default();
                    Err(Failure::Usage(format!("DATA is no JSON ({error}); a text is written '{quoted}'")))
                }
            },
        }
    }
}

async fn stream(args: &PublishArgs, shape: &Shape<'_>, session: &mut Session, input: impl Read) -> Result<(), Failure> {
    let mut values = Values::new(input);
    let mut total = 0;
    // Reading blocks, and nothing else waits: a signal ends the process as it ends any filter.
    while let Some(batch) = values.next_batch()? {
        let lines: Vec<String> = match shape {
            Shape::Whole => batch.values,
            Shape::Data { kind } | Shape::One { kind, .. } => {
                batch.values.iter().map(|data| line(args, kind, data)).collect()
            }
        };
        let (first, last) = (batch.lines.first().copied().unwrap_or(1), batch.lines.last().copied().unwrap_or(1));
        let published = session.client.publish_ndjson(lines.join("\n")).await.map_err(|error| match error {
            Error::Refused(problem) => Failure::Other(format!(
                "standard input, lines {first} to {last}, {} events published before: {}",
                total, problem.detail
            )),
            other => other.into(),
        })?;
        total += published.accepted;
        if !session.terminal.human {
            report(session, &published);
            session.output.flush().await?;
        }
    }
    if total == 0 {
        return Err(Failure::Other("standard input has no JSON value; nothing was published".into()));
    }
    if session.terminal.human {
        let events = if total == 1 { "event" } else { "events" };
        session.output.line(&format!("published {total} {events}"));
    }
    Ok(())
}

/// One event as a line of NDJSON.
fn line(args: &PublishArgs, kind: &str, data: &str) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        channel: &'a str,
        #[serde(rename = "type")]
        kind: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        severity: Option<&'static str>,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        attributes: BTreeMap<&'a str, &'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<&'a str>,
        data: &'a RawValue,
    }
    let line = Line {
        channel: &args.channel,
        kind,
        severity: args.severity.map(headwater_event::Severity::as_str),
        attributes: args.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        key: args.key.as_deref(),
        data: serde_json::from_str(data).expect("invariant: payloads were read as JSON before"),
    };
    serde_json::to_string(&line).expect("invariant: strings and raw JSON serialise into memory")
}

fn report(session: &mut Session, published: &Published) {
    for at in &published.positions {
        if session.terminal.human {
            let line = format!("published on {} at {}:{}", at.channel, at.epoch, at.offset);
            session.output.line(&visible(&line));
        } else {
            let place = serde_json::json!({"channel": at.channel, "epoch": at.epoch, "offset": at.offset});
            session.output.line(&place.to_string());
        }
    }
}
