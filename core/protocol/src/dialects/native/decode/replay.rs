//! From `replay` and `replay_control` messages to requests.

use super::{
    channels,
    field::{self, Field},
    filter, from_str, history,
};
use crate::{ReplayAction, ReplayRequest, Request, RequestError, RequestId};
use serde::Deserialize;

/// The slowest and the fastest replay that is not as fast as it goes.
const SLOWEST: f64 = 0.001;
const FASTEST: f64 = 10_000.0;
/// The longest name of a replay; the daemon's own are shorter.
const MAX_NAME: usize = 128;

pub(super) fn request(text: &str, request_id: Option<RequestId>) -> Result<ReplayRequest, RequestError> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow, default)]
        filter: Field<'a>,
        #[serde(borrow, default)]
        start_time: Field<'a>,
        #[serde(borrow, default)]
        end_time: Field<'a>,
        #[serde(borrow, default)]
        speed: Field<'a>,
        #[serde(borrow, default)]
        then: Field<'a>,
    }
    let body: Body<'_> = from_str(text)?;
    let (since, until) = history::range(body.start_time, body.end_time)?;
    let since = since.ok_or_else(|| RequestError::validation("`start_time` is missing"))?;
    let then_live = field::word("`then`", body.then, &[("live", true), ("end", false)])?;
    Ok(ReplayRequest {
        channels: channels(text)?,
        filter: filter(body.filter)?,
        since,
        until,
        speed: speed(body.speed)?.unwrap_or(1.0),
        then_live: then_live.unwrap_or(until.is_none()),
        request_id,
    })
}

pub(super) fn control(text: &str, request_id: Option<RequestId>) -> Result<Request, RequestError> {
    #[derive(Clone, Copy)]
    enum Word {
        Pause,
        Resume,
        Stop,
        Seek,
        Speed,
    }
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow, default)]
        replay_id: Field<'a>,
        #[serde(borrow, default)]
        action: Field<'a>,
        #[serde(borrow, default)]
        time: Field<'a>,
        #[serde(borrow, default)]
        speed: Field<'a>,
    }
    let missing = |what: &str| RequestError::validation(format!("`{what}` is missing"));
    let body: Body<'_> = from_str(text)?;
    let replay_id = field::text("`replay_id`", body.replay_id, MAX_NAME)?.ok_or_else(|| missing("replay_id"))?;
    let words = [
        ("pause", Word::Pause),
        ("resume", Word::Resume),
        ("stop", Word::Stop),
        ("seek", Word::Seek),
        ("speed", Word::Speed),
    ];
    let action = match field::word("`action`", body.action, &words)?.ok_or_else(|| missing("action"))? {
        Word::Pause => ReplayAction::Pause,
        Word::Resume => ReplayAction::Resume,
        Word::Stop => ReplayAction::Stop,
        Word::Seek => ReplayAction::Seek(history::time("time", body.time)?.ok_or_else(|| missing("time"))?),
        Word::Speed => ReplayAction::Speed(speed(body.speed)?.ok_or_else(|| missing("speed"))?),
    };
    Ok(Request::ReplayControl { replay_id, action, request_id })
}

fn speed(given: Field<'_>) -> Result<Option<f64>, RequestError> {
    let what = format!("0 (as fast as it goes) or a number from {SLOWEST} to {FASTEST}");
    match field::read::<f64>("`speed`", given, &what)? {
        Some(speed) if speed != 0.0 && !(SLOWEST..=FASTEST).contains(&speed) => {
            Err(RequestError::validation(format!("`speed` is {what}")))
        }
        speed => Ok(speed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_event::Timestamp;

    const MIDNIGHT: Timestamp = Timestamp(1_704_067_200_000_000_000);

    fn asked(rest: &str) -> Result<ReplayRequest, RequestError> {
        request(&format!(r#"{{"channels":"a*","start_time":"2024-01-01T00:00:00Z"{rest}}}"#), None)
    }

    #[test]
    fn a_replay_without_an_end_goes_on_live() {
        let open = asked("").unwrap();
        assert_eq!((open.since, open.until, open.speed, open.then_live), (MIDNIGHT, None, 1.0, true));
        let hour = r#","end_time":"2024-01-01T01:00:00Z""#;
        let ended = asked(hour).unwrap();
        assert_eq!((ended.until, ended.then_live), (Some(Timestamp(MIDNIGHT.0 + 3_600_000_000_000)), false));
        assert!(asked(&format!(r#"{hour},"then":"live""#)).unwrap().then_live);
        assert!(!asked(r#","then":"end""#).unwrap().then_live);
        for (speed, meant) in [("0", 0.0), ("0.001", 0.001), ("2", 2.0), ("10000", 10_000.0), ("null", 1.0)] {
            let asked = asked(&format!(r#","speed":{speed}"#)).unwrap();
            assert!((asked.speed - meant).abs() < f64::EPSILON, "{speed}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (rest, word) in [
            (r#","speed":-1"#, "`speed` is 0 "),
            (r#","speed":0.0001"#, "`speed` is 0 "),
            (r#","speed":10001"#, "`speed` is 0 "),
            (r#","speed":"fast""#, "`speed` is 0 "),
            (r#","then":"stop""#, r#"`then` is "live" or "end""#),
            (r#","end_time":"2023-01-01T00:00:00Z""#, "before `start_time`"),
            (r#","filter":7"#, "`filter`"),
        ] {
            let error = asked(rest).unwrap_err();
            assert!(error.message.contains(word), "{rest}: {error}");
        }
        assert!(request(r#"{"channels":"a"}"#, None).unwrap_err().message.contains("`start_time` is missing"));
        assert!(request(r#"{"channels":[],"start_time":"5m"}"#, None).unwrap_err().message.contains("`channels`"));
    }

    #[test]
    fn a_replay_is_steered_by_a_word() {
        for (rest, meant) in [
            (r#""action":"pause""#, ReplayAction::Pause),
            (r#""action":"resume""#, ReplayAction::Resume),
            (r#""action":"stop""#, ReplayAction::Stop),
            (r#""action":"seek","time":"2024-01-01T00:00:00Z""#, ReplayAction::Seek(MIDNIGHT)),
            (r#""action":"speed","speed":0"#, ReplayAction::Speed(0.0)),
        ] {
            let text = format!(r#"{{"replay_id":"r",{rest}}}"#);
            let Ok(Request::ReplayControl { replay_id, action, .. }) = control(&text, None) else { panic!("{text}") };
            assert_eq!((replay_id.as_str(), action), ("r", meant));
        }
        for (text, word) in [
            (r#"{"action":"pause"}"#, "`replay_id` is missing"),
            (r#"{"replay_id":"r"}"#, "`action` is missing"),
            (r#"{"replay_id":"r","action":"jump"}"#, r#""seek" or "speed""#),
            (r#"{"replay_id":"r","action":"seek"}"#, "`time` is missing"),
            (r#"{"replay_id":"r","action":"speed"}"#, "`speed` is missing"),
            (r#"{"replay_id":"r","action":"speed","speed":-1}"#, "`speed` is 0 "),
        ] {
            let error = control(text, None).unwrap_err();
            assert!(error.message.contains(word), "{text}: {error}");
        }
    }
}
