//! What is not known, is wrong, or is no payload at all.

use super::*;
use proptest::prelude::*;

/// Harm prevented: a web server that sends its logs here becomes an agent.
#[test]
fn a_service_that_is_no_agent_says_nothing() {
    let unknown = Unknown::default();
    let record = json!({ "service.name": "shop", "event.name": "order", "session.id": "s" });
    assert!(read("otlp", &json!({ "payload": record }), &unknown).is_empty());
    assert_eq!(unknown.counts()["otlp service: shop"], 1);
}

#[test]
fn what_is_not_known_is_counted_and_is_a_sign_of_life() {
    let unknown = Unknown::default();
    for (emitter, payload) in [
        ("claude", json!({ "hook_event_name": "Dreaming", "session_id": "s" })),
        ("codex", json!({ "hook_event_name": "Dreaming", "session_id": "s" })),
        ("codex_notify", json!({ "type": "dream", "thread-id": "s" })),
        ("codex_exec", json!({ "type": "item.started", "item": { "type": "dream" } })),
        ("opencode", json!({ "type": "dream.began", "properties": { "sessionID": "s" } })),
    ] {
        assert_eq!(told(&read(emitter, &json!({ "payload": payload }), &unknown)), ["heartbeat"], "{emitter}");
    }
    let wanted = read("claude", &json!({ "hook_event_name": "Notification", "session_id": "s" }), &unknown);
    assert_eq!(told(&wanted), ["waiting: Attention"]);
    assert!(read("cloud", &json!({}), &unknown).is_empty());
    assert!(read("report", &json!({ "agent_id": "a" }), &unknown).is_empty());
    let counts = unknown.counts();
    for name in
        ["claude: Dreaming", "codex: Dreaming", "codex notify: dream", "opencode: dream.began", "emitter: cloud"]
    {
        assert_eq!(counts.get(name), Some(&1), "{name} in {counts:?}");
    }
    assert_eq!(unknown.total(), 8);
}

/// Any JSON, made of the words that the adapters look for, in any nesting.
fn anything() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "payload",
        "type",
        "hook_event_name",
        "PreToolUse",
        "SessionStart",
        "Notification",
        "properties",
        "info",
        "part",
        "tool",
        "state",
        "status",
        "time",
        "start",
        "end",
        "item",
        "item.completed",
        "mcp_tool_call",
        "error",
        "kind",
        "status-update",
        "task",
        "statusUpdate",
        "result",
        "message",
        "parts",
        "text",
        "taskId",
        "session_id",
        "sessionID",
        "message.updated",
        "message.part.updated",
        "session.status",
        "role",
        "user",
        "completed",
        "event.name",
        "service.name",
        "claude-code",
        "session.id",
        "duration_ms",
        "data",
        "agent_id",
        "é",
        "",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(word.clone().prop_map(str::to_owned), inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

const EMITTERS: [&str; 8] = ["claude", "codex", "codex_notify", "codex_exec", "opencode", "a2a", "otlp", "report"];

proptest! {
    /// Harm prevented: one strange payload ends the source, and with it the watching of all agents.
    #[test]
    fn nothing_panics(data in anything()) {
        let unknown = Unknown::default();
        for emitter in EMITTERS {
            for signal in read(emitter, &data, &unknown) {
                prop_assert!(!signal.agent.program.is_empty());
            }
        }
        let _ = crate::signal::Place::of(&data);
    }

    /// The same, where a recorded payload has one value replaced by any other: so the readers get far into it.
    #[test]
    fn nothing_panics_when_a_real_payload_is_changed(at in any::<prop::sample::Index>(), line in any::<prop::sample::Index>(), value in anything()) {
        let unknown = Unknown::default();
        for (emitter, lines) in [
            ("claude", recorded_lines!("claude-code-hooks.jsonl")),
            ("codex_exec", recorded_lines!("codex-exec.jsonl")),
            ("codex_notify", recorded_lines!("codex-notify.jsonl")),
            ("opencode", recorded_lines!("opencode-events.jsonl")),
        ] {
            let mut payload = lines[line.index(lines.len())].clone();
            change(&mut payload, at.index(64), &value);
            read(emitter, &json!({ "payload": payload }), &unknown);
        }
    }
}

/// Replaces one member, counted through all nested objects.
fn change(value: &mut Value, at: usize, by: &Value) {
    let mut left = at;
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        let Some(members) = value.as_object_mut() else { continue };
        for member in members.values_mut() {
            if left == 0 {
                *member = by.clone();
                return;
            }
            left -= 1;
            open.push(member);
        }
    }
}
