//! Events of the tmux source, read as sights. What an event does not say stays unknown; one that names no pane is no sight.

use crate::{
    machine::AgentStatus,
    registry::{Foreground, Pane, Process, Sight},
};
use jiff::Timestamp;
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};

/// When no further event of the past has come for so long, all of it has.
const QUIET: Duration = Duration::from_millis(500);

/// The types that are read.
pub(crate) const TYPES: [&str; 4] = ["agent.status", "pane.created", "pane.state", "pane.removed"];

/// What this event of the channel `tmux` shows.
pub(crate) fn read(kind: &str, data: &Value) -> Option<Sight> {
    let text = |key: &str| data[key].as_str().map(str::to_owned);
    let server = &data["server"];
    let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
    let pane = Pane {
        id: text("pane_id")?,
        server_pid: number(&server["pid"]),
        socket: server["socket"].as_str().map(str::to_owned),
        session: text("session"),
        window: data["window"].as_u64(),
    };
    Some(match kind {
        "agent.status" => {
            Sight::Status {
                pane,
                program: text("agent"),
                status: data["status"].as_str().and_then(status),
                previous: data["previous"].as_str().and_then(status),
                process: number(&data["agent_pid"])
                    .zip(data["agent_started"].as_u64())
                    .map(|(pid, started)| Foreground { process: Process { pid, started }, cwd: None, age: None }),
            }
        }
        // The program in it has ended and the pane may stay; the pane's own end is told apart from it.
        "pane.removed" => Sight::Gone { pane },
        _ => Sight::Pane { pane, pid: number(&data["pid"]) },
    })
}

/// The words of tmux for what an agent does.
fn status(word: &str) -> Option<AgentStatus> {
    match word {
        "busy" => Some(AgentStatus::Active),
        "idle" | "ready" => Some(AgentStatus::Idle),
        "waiting" => Some(AgentStatus::Waiting),
        "error" => Some(AgentStatus::Failed),
        _ => None,
    }
}

/// What was seen before the source began. Of each pane only the last word counts: to tell of all that happened while nobody
/// was there would be to tell of it late.
#[derive(Debug, Default)]
pub(crate) struct Early {
    /// By server and pane; as many as there are panes.
    last: BTreeMap<(Option<u32>, String), (Sight, Timestamp)>,
    /// When all of it has come, on the source's clock.
    due: Option<Duration>,
}

impl Early {
    /// Keeps what was seen for later; what is no state of an agent is given back at once.
    pub(crate) fn keep(&mut self, sight: Sight, at: Timestamp, clock: Duration) -> Option<Sight> {
        match &sight {
            Sight::Status { pane, .. } => {
                self.due = Some(clock + QUIET);
                self.last.insert((pane.server_pid, pane.id.clone()), (sight, at));
                None
            }
            Sight::Gone { pane } => {
                self.last.remove(&(pane.server_pid, pane.id.clone()));
                Some(sight)
            }
            Sight::Pane { .. } => Some(sight),
        }
    }

    /// When it is to be taken, on the source's clock.
    pub(crate) fn due(&self) -> Option<Duration> {
        self.due
    }

    /// All that was kept.
    pub(crate) fn take(&mut self) -> Vec<(Sight, Timestamp)> {
        self.due = None;
        std::mem::take(&mut self.last).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn data(more: &Value) -> Value {
        let mut data = json!({
            "server": { "pid": 9, "started": 1, "socket": "/run/tmux/default" }, "session": "work", "session_id": "$1",
            "window": 2, "window_id": "@2", "pane": 0, "pane_id": "%3",
        });
        for (key, value) in more.as_object().unwrap() {
            data[key] = value.clone();
        }
        data
    }

    fn pane() -> Pane {
        let (session, socket) = (Some("work".into()), Some("/run/tmux/default".into()));
        Pane { id: "%3".into(), server_pid: Some(9), socket, session, window: Some(2) }
    }

    #[test]
    fn events_of_tmux_are_read_as_far_as_they_say_something() {
        let created = read("pane.created", &data(&json!({ "title": "x", "command": "zsh", "pid": 40 })));
        assert_eq!(created, Some(Sight::Pane { pane: pane(), pid: Some(40) }));
        assert_eq!(read("pane.removed", &data(&json!({}))), Some(Sight::Gone { pane: pane() }));
        let busy = json!({ "status": "busy", "previous": "unknown", "agent": "claude", "agent_type": "CLAUDE_AGENT",
            "agent_pid": 41, "agent_started": 7 });
        let expected = Sight::Status {
            pane: pane(),
            program: Some("claude".into()),
            status: Some(AgentStatus::Active),
            previous: None,
            process: Some(Foreground { process: Process { pid: 41, started: 7 }, cwd: None, age: None }),
        };
        assert_eq!(read("agent.status", &data(&busy)), Some(expected));
        for nothing in [json!(null), json!(7), json!({ "pane_id": 3 }), json!({ "session": "work" })] {
            assert_eq!(read("pane.state", &nothing), None, "a snapshot that was taken away, or none");
        }
    }

    /// What happened while nobody was there is told by its outcome.
    #[test]
    fn of_what_was_seen_early_only_the_last_word_on_each_pane_counts() {
        let status = |status| Sight::Status {
            pane: pane(),
            program: Some("claude".into()),
            status: Some(status),
            previous: None,
            process: None,
        };
        let (at, clock) = (Timestamp::UNIX_EPOCH, Duration::from_secs(1));
        let mut early = Early::default();
        assert_eq!(early.keep(status(AgentStatus::Active), at, clock), None);
        assert_eq!(early.keep(status(AgentStatus::Idle), at, clock), None);
        assert_eq!(early.due(), Some(clock + QUIET));
        assert_eq!(early.take(), [(status(AgentStatus::Idle), at)]);
        assert_eq!((early.due(), early.take()), (None, vec![]));
        early.keep(status(AgentStatus::Idle), at, clock);
        assert!(early.keep(Sight::Gone { pane: pane() }, at, clock).is_some());
        assert_eq!(early.take(), [], "a pane that has gone since");
    }
}
