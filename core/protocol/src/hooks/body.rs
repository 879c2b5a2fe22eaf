//! The body of a hook: `{"payload": …}` with where it came from beside it, or the payload alone.

use super::{Text, item, reduce};
use crate::{
    ErrorCode, RequestError,
    publish::{MAX_ITEMS, object, syntax},
};
use headwater_event::{Draft, Timestamp};
use serde_json::{Map, Value};

/// The most ancestors of a caller. An agent is one or two above its hook.
const MAX_PROCESSES: usize = 8;
/// The longest word beside a payload: a machine, a session, the name of a process.
const MAX_WORD: usize = 256;
/// The longest path beside a payload.
const MAX_PATH: usize = 4096;

/// The event of one hook. What stands beside the payload and is not known is left out; so is what is of another kind than
/// it should be, since a hook is no place to fail.
pub fn decode(emitter: &str, body: &[u8], text: Text) -> Result<Draft, RequestError> {
    object(body)?;
    let Value::Object(mut body) = serde_json::from_slice(body).map_err(|error| syntax(&error))? else {
        return Err(RequestError::new(ErrorCode::InvalidJson, "a JSON object is expected"));
    };
    let mut data = Map::new();
    let mut time = None;
    let payload = match body.remove("payload") {
        Some(payload) => {
            time = body.get("time").and_then(Value::as_str).and_then(Timestamp::parse);
            place(&mut body, &mut data);
            payload
        }
        None => Value::Object(body),
    };
    // A report is what a client wants to be seen, word by word.
    let keep = text == Text::Kept || emitter == "report";
    data.insert("payload".into(), if keep { payload } else { reduce(payload) });
    Ok(item(emitter, &data, time))
}

/// The same for one hook a line, as a program prints them. A `thread_id` holds for the lines after it: Codex names its
/// thread in the first one only.
pub fn decode_lines(emitter: &str, body: &[u8], text: Text) -> Result<Vec<Draft>, RequestError> {
    let mut items = Vec::new();
    let mut thread: Option<Value> = None;
    let lines = body.split(|byte| *byte == b'\n').enumerate();
    for (number, line) in lines.filter(|(_, line)| !line.trim_ascii().is_empty()) {
        if items.len() == MAX_ITEMS {
            return Err(RequestError::validation(format!(
                "at most {MAX_ITEMS} lines at once; send the rest in another call"
            )));
        }
        let in_line =
            |error: RequestError| RequestError::new(error.code, format!("line {}: {}", number + 1, error.message));
        object(line).map_err(in_line)?;
        let mut hook: Map<String, Value> = serde_json::from_slice(line).map_err(|error| in_line(syntax(&error)))?;
        match (hook.get("thread_id"), &thread) {
            (Some(id), _) => thread = Some(id.clone()),
            (None, Some(id)) if !hook.contains_key("payload") => {
                hook.insert("thread_id".into(), id.clone());
            }
            (None, _) => {}
        }
        let line = serde_json::to_vec(&hook).expect("invariant: JSON values have only strings as keys");
        items.push(decode(emitter, &line, text).map_err(in_line)?);
    }
    if items.is_empty() {
        return Err(RequestError::validation("there is no hook in the body"));
    }
    Ok(items)
}

/// What stands beside the payload, as far as it is known.
fn place(body: &mut Map<String, Value>, data: &mut Map<String, Value>) {
    let mut keep = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            data.insert(key.into(), value);
        }
    };
    let short = |value: Option<Value>, longest: usize| {
        value.filter(|value| value.as_str().is_some_and(|text| text.len() <= longest))
    };
    keep("processes", body.remove("processes").and_then(processes));
    keep("tmux", body.remove("tmux").and_then(|tmux| known(tmux, &[("pane", MAX_WORD), ("server", MAX_PATH)])));
    keep("cwd", short(body.remove("cwd"), MAX_PATH));
    keep("host", short(body.remove("host"), MAX_WORD));
    keep("session", short(body.remove("session"), MAX_WORD));
}

fn processes(value: Value) -> Option<Value> {
    let Value::Array(processes) = value else { return None };
    let known = |process| known(process, &[("pid", 0), ("started", 0), ("name", MAX_WORD)]);
    Some(processes.into_iter().take(MAX_PROCESSES).filter_map(known).collect())
}

/// The members of these names: numbers, and texts that are no longer than given.
fn known(value: Value, keys: &[(&str, usize)]) -> Option<Value> {
    let Value::Object(mut members) = value else { return None };
    let mut kept = Map::new();
    for (key, longest) in keys {
        let fits = |value: &Value| value.is_u64() || value.as_str().is_some_and(|text| text.len() <= *longest);
        if let Some(value) = members.remove(*key).filter(fits) {
            kept.insert((*key).into(), value);
        }
    }
    (!kept.is_empty()).then_some(Value::Object(kept))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hooks::CHANNEL;
    use serde_json::json;

    fn data(item: &Draft) -> Value {
        serde_json::from_slice(item.data.as_bytes()).unwrap()
    }

    fn one(emitter: &str, body: &Value, text: Text) -> Value {
        data(&decode(emitter, body.to_string().as_bytes(), text).unwrap())
    }

    #[test]
    fn a_payload_alone_and_one_with_its_place_become_the_same_event() {
        let payload = json!({ "hook_event_name": "Stop", "session_id": "s", "last_assistant_message": "All done." });
        let kept = json!({ "hook_event_name": "Stop", "session_id": "s", "last_assistant_message_bytes": 9 });
        assert_eq!(one("claude", &payload, Text::Sizes), json!({ "payload": kept }));
        let place = json!({
            "payload": payload, "time": "2026-11-20T10:00:00Z", "cwd": "/work", "host": "box", "session": "s",
            "processes": [{ "pid": 7, "started": 9, "name": "claude", "argv": "secret" }, 7],
            "tmux": { "pane": "%3", "server": "/tmp/tmux-0/default,42,0", "env": "secret" }, "environment": "secret",
        });
        let expected = json!({
            "payload": kept, "cwd": "/work", "host": "box", "session": "s",
            "processes": [{ "pid": 7, "started": 9, "name": "claude" }],
            "tmux": { "pane": "%3", "server": "/tmp/tmux-0/default,42,0" },
        });
        assert_eq!(one("claude", &place, Text::Sizes), expected);
        let draft = decode("claude", place.to_string().as_bytes(), Text::Sizes).unwrap();
        assert_eq!((draft.channel.as_str(), &*draft.kind), (CHANNEL, "hook.claude"));
        assert_eq!(draft.time.to_string(), "2026-11-20T10:00:00.000000Z");
    }

    #[test]
    fn text_is_kept_where_it_is_asked_for_and_in_reports() {
        let hook = json!({ "hook_event_name": "UserPromptSubmit", "prompt": "tidy up" });
        assert_eq!(one("claude", &hook, Text::Kept), json!({ "payload": hook }));
        let report = json!({ "type": "system_alert", "message": "the disk is full" });
        assert_eq!(one("report", &report, Text::Sizes), json!({ "payload": report }));
    }

    #[test]
    fn lines_of_codex_belong_to_the_thread_of_the_first() {
        let body = b"{\"type\":\"thread.started\",\"thread_id\":\"t1\"}\n\n{\"type\":\"turn.started\"}\r\n";
        let items = decode_lines("codex_exec", body, Text::Sizes).unwrap();
        let payloads: Vec<Value> = items.iter().map(|item| data(item)["payload"].take()).collect();
        assert_eq!(
            payloads,
            [
                json!({ "type": "thread.started", "thread_id": "t1" }),
                json!({ "type": "turn.started", "thread_id": "t1" })
            ]
        );
        for (body, word) in [(&b"{}\n{"[..], "line 2"), (b"\n \n", "no hook"), (b"[1]", "line 1")] {
            let error = decode_lines("codex_exec", body, Text::Sizes).unwrap_err();
            assert!(error.message.contains(word), "{error}");
        }
        let many = "{}\n".repeat(MAX_ITEMS + 1);
        assert!(decode_lines("codex_exec", many.as_bytes(), Text::Sizes).is_err());
    }

    #[test]
    fn what_is_of_another_kind_is_left_out_and_what_is_no_object_is_refused() {
        let odd = json!({
            "payload": "x y", "processes": "all", "tmux": [], "cwd": 7, "host": "h".repeat(300), "time": "soon",
        });
        assert_eq!(one("codex", &odd, Text::Sizes), json!({ "payload": { "payload_bytes": 3 } }));
        for body in ["", "[]", "7", "{", "{\"a\":1}{}"] {
            assert_eq!(
                decode("codex", body.as_bytes(), Text::Sizes).unwrap_err().code,
                ErrorCode::InvalidJson,
                "{body}"
            );
        }
    }
}
