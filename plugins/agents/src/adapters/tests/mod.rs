//! What each emitter's words are read as: `recorded` from real programs, `written` after schemas and specifications, and
//! `strange`, which nobody has sent yet.

use super::*;
use crate::signal::What;
use serde_json::json;

/// The recorded lines of a program.
macro_rules! recorded_lines {
    ($file:literal) => {
        include_str!(concat!("../../../tests/fixtures/", $file))
            .lines()
            .map(|line| serde_json::from_str(line).expect("a recorded line is JSON"))
            .collect::<Vec<Value>>()
    };
}

/// Reads what all know.
pub(super) fn signals(emitter: &str, payload: &Value) -> Vec<Signal> {
    let unknown = Unknown::default();
    let signals = read(emitter, &json!({ "payload": payload }), &unknown);
    assert_eq!(unknown.total(), 0, "{:?} in {payload}", unknown.counts());
    signals
}

/// A line for each signal: short enough to be compared by eye.
pub(super) fn told(signals: &[Signal]) -> Vec<String> {
    let line = |signal: &Signal| {
        let what = match &signal.what {
            What::Started { resumed: false } => "started".into(),
            What::Started { resumed: true } => "resumed".into(),
            What::Prompt { bytes: None, .. } => "prompt".into(),
            What::Prompt { bytes: Some(bytes), .. } => format!("prompt of {bytes}"),
            What::Step(step) => match &step.done {
                None => format!("{} begins", step.name),
                Some(done) => format!("{} ends {:?} {:?}", step.name, done.ok, done.took),
            },
            What::Working => "working".into(),
            What::Waiting(wait) => format!("waiting: {wait:?}"),
            What::Turn(ended) => format!("turn: {ended:?}"),
            What::Gone { reason } => format!("gone: {reason:?}"),
            What::Heartbeat => "heartbeat".into(),
            What::Task(step) => format!("task: {step:?}"),
            What::Idle | What::Report { .. } => format!("{:?}", signal.what),
        };
        let child = if signal.agent.parent.is_some() { "child " } else { "" };
        format!("{child}{what}")
    };
    signals.iter().map(line).collect()
}

pub(super) fn tasks(signals: &[Signal]) -> Vec<Option<&str>> {
    signals.iter().map(|signal| signal.task.as_deref()).collect()
}

mod recorded;
mod strange;
mod written;
