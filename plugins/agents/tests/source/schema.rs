//! The documented shapes of the events, copied from the specification: types, bounds and times of what is there, and what must
//! be there. The tests within the crate use it too.

use serde_json::Value;
use std::sync::LazyLock;

/// Fields that the documented shape always has and that are left out where they are not known: nothing is invented.
const UNKNOWN: [&str; 15] = [
    "task_created.task.description",
    "task_created.task.type",
    "task_created.task.priority",
    "task_created.task.required_capabilities[].min_proficiency",
    "agent_created.agent.type",
    "agent_created.agent.capabilities[].proficiency",
    "agent_created.agent.capabilities[].learning_rate",
    "agent_performance_updated.metrics.success_rate",
    "agent_performance_updated.metrics.average_response_time_ms",
    "agent_performance_updated.metrics.capability_improvements",
    "task_progress.progress",
    "task_cancelled.cancelled_by",
    "task_completed.execution_time_ms",
    "task_failed.error.code",
    "task_failed.error.message",
];

/// Holds the data of an event against its documented shape; what that does not know may be anything.
pub(crate) fn check(kind: &str, data: &Value) {
    compare(&documented()[kind], data, kind, Missing::OnlyUnknown);
}

/// The same for what a client has reported and the source passes on: what is there has its documented kind.
pub(crate) fn check_kinds(kind: &str, data: &Value) {
    compare(&documented()[kind], data, kind, Missing::Anything);
}

/// The shapes by the type of the event.
pub(crate) fn documented() -> &'static Value {
    static ALL: LazyLock<Value> =
        LazyLock::new(|| serde_json::from_str(include_str!("hive_events.schemas.json")).unwrap());
    &ALL
}

/// The documented examples by the type of the event.
pub(crate) fn examples() -> Value {
    serde_json::from_str(include_str!("hive_events.examples.json")).unwrap()
}

/// What may be missing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    OnlyUnknown,
    Anything,
}

fn compare(schema: &Value, value: &Value, place: &str, missing: Missing) {
    match schema["type"].as_str().unwrap() {
        "object" => {
            let object = value.as_object().unwrap_or_else(|| panic!("{place} is no object: {value}"));
            for key in schema["required"].as_array().into_iter().flatten().map(|key| key.as_str().unwrap()) {
                let path = format!("{place}.{key}");
                let known = missing == Missing::Anything || UNKNOWN.contains(&path.as_str());
                assert!(object.contains_key(key) || known, "{path} is missing: {value}");
            }
            for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
                if let Some(value) = object.get(key) {
                    compare(schema, value, &format!("{place}.{key}"), missing);
                }
            }
        }
        "array" => {
            let list = value.as_array().unwrap_or_else(|| panic!("{place} is no list: {value}"));
            for item in list {
                compare(&schema["items"], item, &format!("{place}[]"), missing);
            }
        }
        "string" => {
            let text = value.as_str().unwrap_or_else(|| panic!("{place} is no text: {value}"));
            if schema["format"] == "date-time" {
                assert!(text.parse::<jiff::Timestamp>().is_ok() && text.ends_with('Z'), "{place} is no time: {text}");
            }
        }
        "boolean" => assert!(value.is_boolean(), "{place}: {value}"),
        kind => {
            let number = value.as_f64().unwrap_or_else(|| panic!("{place} is no number: {value}"));
            assert!(kind == "number" || value.is_u64() || value.is_i64(), "{place} is no whole number: {value}");
            assert!(schema["minimum"].as_f64().is_none_or(|least| number >= least), "{place}: {number}");
            assert!(schema["maximum"].as_f64().is_none_or(|most| number <= most), "{place}: {number}");
        }
    }
}
