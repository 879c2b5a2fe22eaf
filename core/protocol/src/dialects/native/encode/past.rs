//! What is said about the past: answers to queries, and how a replay goes.

use super::{begin, count, end, event, gap, json, positions, quoted};
use crate::{HistoryData, Reply, text};
use headwater_event::Timestamp;

/// Appends one of the two replies about the past.
pub(super) fn reply(reply: &Reply<'_>, out: &mut Vec<u8>) {
    match reply {
        Reply::History { channel, data: found, request_id } => {
            begin(out, "historical_data");
            text::pair(out, "status", "success");
            text::pair(out, "channel", channel);
            text::key(out, "data");
            data(found, out);
            end(out, request_id.as_ref());
        }
        Reply::Replay { replay_id, state, positions: at, request_id } => {
            if request_id.is_some() {
                begin(out, "replay_response");
                text::pair(out, "status", "success");
            } else {
                begin(out, "replay_state");
            }
            text::pair(out, "replay_id", replay_id);
            text::pair(out, "state", state.as_str());
            positions(out, at);
            end(out, request_id.as_ref());
        }
        _ => unreachable!("called with the two replies about the past only"),
    }
}

/// Appends a page of an answer: the same object in a message and over HTTP.
pub(in crate::dialects) fn data(found: &HistoryData, out: &mut Vec<u8>) {
    let HistoryData { since, until, granularity, events, points, count: total, gaps, cursor } = found;
    out.extend_from_slice(b"{\"truncated\":");
    text::display(out, cursor.is_some());
    time(out, "start_time", *since);
    time(out, "end_time", *until);
    if let Some(granularity) = granularity {
        text::pair(out, "granularity", granularity);
    }
    if let Some(events) = events {
        text::key(out, "events");
        text::list(out, events, |out, one| event(one, out));
    }
    if let Some(points) = points {
        json(out, "points", points);
    }
    count(out, "count", *total);
    if !gaps.is_empty() {
        text::key(out, "gaps");
        text::list(out, gaps, |out, missing| {
            out.extend_from_slice(b"{\"type\":\"gap\"");
            gap(out, missing);
            out.push(b'}');
        });
    }
    if let Some(cursor) = cursor {
        text::pair(out, "cursor", cursor);
    }
    out.push(b'}');
}

fn time(out: &mut Vec<u8>, name: &str, time: Option<Timestamp>) {
    if let Some(time) = time {
        text::key(out, name);
        quoted(out, time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ReplayState;
    use bytes::Bytes;
    use headwater_event::{ChannelName, Draft, Epoch, Event, Gap, GapReason, Payload, Position};
    use serde_json::Value;
    use std::sync::Arc;

    fn said(what: &Reply<'_>) -> Value {
        let mut out = Vec::new();
        reply(what, &mut out);
        serde_json::from_slice(&out).expect("what is written is JSON")
    }

    fn history(data: HistoryData) -> Reply<'static> {
        let data = HistoryData { since: Some(Timestamp(0)), count: 1, ..data };
        Reply::History { channel: "a*".into(), data, request_id: Some(serde_json::from_str("\"h\"").unwrap()) }
    }

    #[test]
    fn history_holds_events_or_points_and_says_whether_there_is_more() {
        let place = Position { epoch: Epoch(1), offset: 2 };
        let name = ChannelName::new("a").unwrap();
        let data = Payload::new(Bytes::from_static(b"7")).unwrap();
        let one = Arc::new(Event::new(Draft::new(name.clone(), "t", "s", data), place, uuid::Uuid::nil()));
        let gaps = vec![Gap { channel: name, from: place, to: 3, reason: GapReason::Corruption }];
        let found = HistoryData { events: Some(vec![one]), cursor: Some("c\"".into()), gaps, ..HistoryData::default() };
        let events = said(&history(found));
        let data = &events["data"];
        assert_eq!(
            (&data["events"][0]["offset"], &data["truncated"], &data["cursor"]),
            (&2.into(), &true.into(), &"c\"".into())
        );
        assert_eq!((&events["request_id"], data.get("points"), data.get("end_time")), (&"h".into(), None, None));
        assert_eq!(data["start_time"], "1970-01-01T00:00:00.000000Z");
        let gap = serde_json::json!({"type": "gap", "channel": "a", "epoch": "0000000000000001", "from": 2, "to": 3,
            "reason": "corruption"});
        assert_eq!(data["gaps"], serde_json::json!([gap]));
        let points = Some(r#"[{"count":1}]"#.into());
        let points = said(&history(HistoryData { points, granularity: Some("minute"), ..HistoryData::default() }));
        let data = &points["data"];
        assert_eq!(
            (&data["points"][0]["count"], &data["truncated"], &data["count"]),
            (&1.into(), &false.into(), &1.into())
        );
        assert_eq!((&data["granularity"], data.get("events"), data.get("cursor")), (&"minute".into(), None, None));
        assert_eq!(data.get("gaps"), None);
    }

    #[test]
    fn a_replay_answers_and_reports() {
        let replay = |request_id| Reply::Replay {
            replay_id: "r",
            state: ReplayState::Sought,
            positions: Vec::new(),
            request_id,
        };
        let answer = said(&replay(Some(serde_json::from_str("1").unwrap())));
        assert_eq!(
            (&answer["type"], &answer["status"], &answer["request_id"]),
            (&"replay_response".into(), &"success".into(), &1.into())
        );
        let unasked = said(&replay(None));
        assert_eq!(
            (&unasked["type"], &unasked["state"], unasked.get("status")),
            (&"replay_state".into(), &"sought".into(), None)
        );
    }
}
