//! A report: a client says one of the documented events itself, as `{"type": …, …}`. Whether the type is one of them, and
//! whether the step is allowed, is decided by the state machines.

use super::{Unknown, fields::Fields};
use crate::signal::{AgentRef, Signal, What};

pub(super) fn read(report: Fields<'_>, unknown: &Unknown) -> Vec<Signal> {
    let Some((kind, members)) = report.id("type").zip(report.members()) else {
        unknown.count("report", "(no type)");
        return Vec::new();
    };
    // As an event on the wire has it, or all in one.
    let data = match report.inner("data").and_then(Fields::members) {
        Some(data) => data.clone(),
        None => {
            members.iter().filter(|(key, _)| *key != "type").map(|(key, value)| (key.clone(), value.clone())).collect()
        }
    };
    let agent = AgentRef {
        program: "report".into(),
        session: report.id("agent_id").or_else(|| report.within("data").id("agent_id")),
        ..AgentRef::default()
    };
    let task = report.id("task_id").or_else(|| report.within("data").id("task_id"));
    vec![Signal { agent, task, what: What::Report { kind, data }, at: report.time("timestamp") }]
}
