//! What of a payload is kept. Everything that people or models have written is replaced by its size: `prompt` becomes
//! `prompt_bytes`. This is the one place where it happens, so that there is one place to check.

use super::keys::{OBJECTS, PATHS, WORDS};
use serde_json::{Map, Value};
use std::io;

/// How deep objects may stand in each other. What is deeper counts by its size.
const MAX_DEPTH: usize = 6;
/// The longest word. An id or a state is shorter, and a longer one would be text.
const MAX_WORD: usize = 128;
/// The longest path; no system has longer ones.
const MAX_PATH: usize = 4096;
/// The longest key that is kept. A longer one is no field's name.
const MAX_KEY: usize = 64;

/// The payload without text: words and paths under known keys, numbers and flags stay; of all else the size is left, under
/// `<key>_bytes`. A member whose key is no field's name is left out, since text can stand in a key as well.
pub fn reduce(payload: Value) -> Value {
    match payload {
        Value::Object(members) => Value::Object(object(members, 0)),
        other => {
            let mut only = Map::new();
            only.insert("payload_bytes".into(), size(&other).into());
            Value::Object(only)
        }
    }
}

fn object(members: Map<String, Value>, depth: usize) -> Map<String, Value> {
    let mut kept = Map::new();
    for (key, value) in members {
        if key.len() > MAX_KEY || !is_word(&key) {
            continue;
        }
        match member(&key, value, depth) {
            Ok(value) => kept.insert(key, value),
            Err(size) => kept.insert(format!("{key}_bytes"), size.into()),
        };
    }
    kept
}

/// The value as it may be kept, or else its size.
fn member(key: &str, value: Value, depth: usize) -> Result<Value, u64> {
    let known = |keys: &[&str]| keys.contains(&key);
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(value),
        Value::String(text) if known(WORDS) && text.len() <= MAX_WORD && is_word(&text) => Ok(Value::String(text)),
        Value::String(text) if known(PATHS) && text.len() <= MAX_PATH => Ok(Value::String(text)),
        Value::Object(members) if known(OBJECTS) && depth < MAX_DEPTH => Ok(Value::Object(object(members, depth + 1))),
        other => Err(size(&other)),
    }
}

/// Ids, names, codes, times: no spaces, and nothing that stands in sentences only. Brackets are part of names of models.
fn is_word(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:/@+[]#".contains(&byte))
}

/// The bytes of a text; of anything else, those of its JSON.
fn size(value: &Value) -> u64 {
    struct Count(u64);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    if let Value::String(text) = value {
        return text.len() as u64;
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).expect("invariant: counting takes every write");
    count.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_hook_of_claude_code_keeps_its_words_and_loses_its_text() {
        let hook = json!({
            "session_id": "08fd3f3f-1a82-402f-8a54-583df9994433", "transcript_path": "/home/dev/.claude/p.jsonl",
            "cwd": "/home/dev/my project", "prompt_id": "8e3436e5", "permission_mode": "default", "effort": { "level": "high" },
            "hook_event_name": "PostToolUse", "tool_name": "mcp__memory__read_graph",
            "tool_input": { "command": "echo hi", "id": "secret" }, "tool_response": { "stdout": "hi" },
            "tool_use_id": "toolu_01A", "duration_ms": 1083, "model": "claude-opus-4-8[1m]", "prompt": "say hí",
            "is_interrupt": false, "error": "rate_limit", "reason": "it was not allowed", "message": "Claude needs you",
        });
        assert_eq!(
            reduce(hook),
            json!({
                "session_id": "08fd3f3f-1a82-402f-8a54-583df9994433", "transcript_path": "/home/dev/.claude/p.jsonl",
                "cwd": "/home/dev/my project", "prompt_id": "8e3436e5", "permission_mode": "default", "effort": { "level": "high" },
                "hook_event_name": "PostToolUse", "tool_name": "mcp__memory__read_graph",
                "tool_input_bytes": 35, "tool_response_bytes": 15,
                "tool_use_id": "toolu_01A", "duration_ms": 1083, "model": "claude-opus-4-8[1m]", "prompt_bytes": 7,
                "is_interrupt": false, "error": "rate_limit", "reason_bytes": 18, "message_bytes": 16,
            })
        );
    }

    #[test]
    fn objects_are_looked_into_only_where_they_are_known_and_not_too_deep() {
        let event = json!({
            "type": "message.part.updated",
            "properties": { "part": { "type": "tool", "tool": "bash", "state": {
                "status": "completed", "input": { "command": "ls" }, "output": "a b", "time": { "start": 1, "end": 2 },
            } } },
        });
        assert_eq!(
            reduce(event)["properties"]["part"],
            json!({
                "type": "tool", "tool": "bash",
                "state": { "status": "completed", "input_bytes": 16, "output_bytes": 3, "time": { "start": 1, "end": 2 } },
            })
        );
        let mut deep = json!({ "id": "x" });
        for _ in 0..20 {
            deep = json!({ "data": deep });
        }
        let mut kept = reduce(deep);
        for _ in 0..MAX_DEPTH {
            kept = kept["data"].take();
        }
        assert!(kept["data_bytes"].is_u64(), "{kept}");
    }

    #[test]
    fn text_in_a_key_is_not_kept() {
        let odd = json!({ "what did I ask": 1, "x".repeat(65): 1, "": 1, "ok": 1 });
        assert_eq!(reduce(odd), json!({ "": 1, "ok": 1 }));
    }

    #[test]
    fn what_is_no_object_is_a_size() {
        assert_eq!(reduce(json!("my secret")), json!({ "payload_bytes": 9 }));
        assert_eq!(reduce(json!(["a"])), json!({ "payload_bytes": 5 }));
    }

    fn anything() -> impl Strategy<Value = Value> {
        let keys: Vec<&str> = [WORDS, PATHS, OBJECTS, &["prompt", "tool_input", "text", "x"]].concat();
        let key = prop::sample::select(keys).prop_map(str::to_owned);
        let leaf = prop_oneof![Just(json!("do tell nobody")), any::<i32>().prop_map(Value::from)];
        leaf.prop_recursive(10, 64, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(key.clone(), inner, 0..8)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Harm prevented: a prompt shows up in the history because it stood under a key that words stand under.
        #[test]
        fn no_sentence_is_left_but_in_paths(payload in anything()) {
            fn check(value: &Value) {
                for (key, value) in value.as_object().into_iter().flatten() {
                    let is_path = PATHS.contains(&key.as_str());
                    assert!(is_path || value.as_str().is_none_or(|text| !text.contains(' ')), "{key}: {value}");
                    assert!(!value.is_array(), "{key}: {value}");
                    check(value);
                }
            }
            check(&reduce(payload));
        }
    }
}
