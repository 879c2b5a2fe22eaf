//! Calls of servers' tools, as agents' hooks tell them: `mcp__SERVER__TOOL`, before and after.

use super::Call;
use crate::health::Outcome;
use headwater_plugin::serde_json::Value;
use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, SystemTime},
};

/// Calls that have begun and not ended. Beyond it the oldest is forgotten: its duration is not known then.
const OPEN: usize = 1024;

/// Reads hooks.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    open: BTreeMap<String, Open>,
    order: VecDeque<String>,
}

#[derive(Debug)]
struct Open {
    session: String,
    tool: String,
    at: SystemTime,
    /// Somebody was asked for a permission meanwhile: the time is not the server's.
    asked: bool,
}

/// A call that ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Observed {
    /// `SERVER__TOOL`, as the agent spells it.
    pub(crate) called: String,
    /// What became of it.
    pub(crate) call: Call,
}

impl Hooks {
    /// Takes a hook's payload; a call, where one ended with it.
    pub(crate) fn read(&mut self, payload: &Value, at: SystemTime) -> Option<Observed> {
        let text = |key: &str| payload[key].as_str();
        let tool = text("tool_name")?;
        let called = tool.strip_prefix("mcp__").filter(|called| called.contains("__"))?;
        let session = text("session_id").unwrap_or_default();
        let id = text("tool_use_id");
        match text("hook_event_name")? {
            "PreToolUse" => {
                if let Some(id) = id {
                    self.begin(id, Open { session: session.to_owned(), tool: tool.to_owned(), at, asked: false });
                }
                None
            }
            "PermissionRequest" => {
                for open in self.open.values_mut().filter(|open| open.session == session && open.tool == tool) {
                    open.asked = true;
                }
                None
            }
            "PostToolUse" => Some(self.end(payload, id, at, called, Outcome::Ok)),
            // Somebody pressed Esc: that says nothing of the server.
            "PostToolUseFailure" if payload["is_interrupt"] == true => {
                self.open.remove(id?);
                None
            }
            "PostToolUseFailure" => Some(self.end(payload, id, at, called, Outcome::Error)),
            _ => None,
        }
    }

    fn begin(&mut self, id: &str, open: Open) {
        if self.open.insert(id.to_owned(), open).is_none() {
            self.order.push_back(id.to_owned());
        }
        while self.order.len() > OPEN {
            if let Some(oldest) = self.order.pop_front() {
                self.open.remove(&oldest);
            }
        }
    }

    fn end(&mut self, payload: &Value, id: Option<&str>, at: SystemTime, called: &str, outcome: Outcome) -> Observed {
        let open = id.and_then(|id| self.open.remove(id));
        let told = payload["duration_ms"].as_f64().and_then(|ms| Duration::try_from_secs_f64(ms / 1e3).ok());
        let between = || open.filter(|open| !open.asked).and_then(|open| at.duration_since(open.at).ok());
        let latency = told.or_else(between);
        Observed { called: called.to_owned(), call: Call { outcome, latency } }
    }
}

/// A name as agents spell it in the names of tools.
pub(crate) fn spelled(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' }).collect()
}

/// Which of these names a call is of: the longest that it begins with. The name of a server may have `__` in it.
pub(crate) fn server_of<'a>(called: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let begins = |name: &&str| called.strip_prefix(spelled(name).as_str()).is_some_and(|rest| rest.starts_with("__"));
    names.filter(begins).max_by_key(|name| name.len())
}

/// The name that a call's server has, where none is known that fits.
pub(crate) fn own_name(called: &str) -> &str {
    called.split_once("__").map_or(called, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_plugin::serde_json::json;

    fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }

    fn hook(event: &str, id: &str) -> Value {
        json!({ "hook_event_name": event, "session_id": "s", "tool_name": "mcp__memory__read_graph", "tool_use_id": id })
    }

    fn call(outcome: Outcome, millis: Option<u64>) -> Observed {
        let latency = millis.map(Duration::from_millis);
        Observed { called: "memory__read_graph".to_owned(), call: Call { outcome, latency } }
    }

    #[test]
    fn a_call_is_timed_from_hook_to_hook() {
        let mut hooks = Hooks::default();
        assert_eq!(hooks.read(&hook("PreToolUse", "1"), at(1_000)), None);
        assert_eq!(hooks.read(&hook("PreToolUse", "2"), at(1_010)), None);
        assert_eq!(hooks.read(&hook("PostToolUse", "1"), at(1_120)), Some(call(Outcome::Ok, Some(120))));
        assert_eq!(hooks.read(&hook("PostToolUseFailure", "2"), at(2_010)), Some(call(Outcome::Error, Some(1_000))));
        assert_eq!(
            hooks.read(&hook("PostToolUse", "9"), at(1)),
            Some(call(Outcome::Ok, None)),
            "its beginning was not seen"
        );
        let mut told = hook("PostToolUse", "9");
        told["duration_ms"] = json!(7);
        assert_eq!(hooks.read(&told, at(1)), Some(call(Outcome::Ok, Some(7))));
    }

    /// What a person takes to allow a call is not the server's time.
    #[test]
    fn a_call_that_somebody_was_asked_for_has_no_duration() {
        let mut hooks = Hooks::default();
        hooks.read(&hook("PreToolUse", "1"), at(0));
        assert_eq!(hooks.read(&hook("PermissionRequest", ""), at(10)), None);
        assert_eq!(hooks.read(&hook("PostToolUse", "1"), at(60_000)), Some(call(Outcome::Ok, None)));
        hooks.read(&hook("PreToolUse", "2"), at(0));
        let mut stopped = hook("PostToolUseFailure", "2");
        stopped["is_interrupt"] = json!(true);
        assert_eq!(hooks.read(&stopped, at(10)), None);
    }

    #[test]
    fn what_is_no_call_of_a_server_is_none() {
        let mut hooks = Hooks::default();
        for tool in ["Bash", "mcp__", "mcp__x"] {
            let payload = json!({ "hook_event_name": "PostToolUse", "tool_name": tool, "tool_use_id": "1" });
            assert_eq!(hooks.read(&payload, at(0)), None, "{tool}");
        }
        for n in 0..3 * OPEN {
            hooks.read(&hook("PreToolUse", &n.to_string()), at(0));
        }
        assert!(hooks.open.len() <= OPEN && hooks.order.len() <= OPEN);
    }

    #[test]
    fn names_are_found_in_the_spelling_of_agents() {
        let names = ["a", "a__b", "claude.ai Slack"];
        let found = |called| server_of(called, names.into_iter());
        assert_eq!(found("a__tool"), Some("a"));
        assert_eq!(found("a__b__tool"), Some("a__b"));
        assert_eq!(found("claude_ai_Slack__send"), Some("claude.ai Slack"));
        assert_eq!(found("ab__tool"), None);
        assert_eq!(own_name("memory__read_graph"), "memory");
    }
}
