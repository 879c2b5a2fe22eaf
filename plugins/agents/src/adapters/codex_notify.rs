//! Codex's `notify`: a program of the user's is started with one argument, a JSON object. Its keys are written with
//! hyphens, and the thread is the session of the hooks.

use super::{
    Unknown,
    codex::CODEX,
    fields::{Fields, shown},
};
use crate::signal::{AgentRef, Ended, Signal, Wait, What};

pub(super) fn read(notice: Fields<'_>, unknown: &Unknown) -> Vec<Signal> {
    let what = match notice.word("type") {
        Some("agent-turn-complete") => What::Turn(Ended::Completed),
        Some("approval-requested") => What::Waiting(Wait::Permission { step: None }),
        other => {
            unknown.count("codex notify", &shown(other));
            What::Heartbeat
        }
    };
    let agent = AgentRef {
        program: CODEX.name.into(),
        session: notice.id("thread-id"),
        cwd: notice.path("cwd"),
        ..AgentRef::default()
    };
    vec![Signal { agent, task: notice.id("turn-id"), what, at: None }]
}
