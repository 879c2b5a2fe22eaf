//! `POST /v1/hooks/{emitter}` and `POST /v1/logs` over the wire.

use crate::world::World;
use headwater_protocol::hooks::EMITTERS;
use serde_json::{Value, json};

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
const PROMPT: &str = r#"{"hook_event_name":"UserPromptSubmit","session_id":"s1","prompt":"tell nobody"}"#;

/// The events of the channel so far.
async fn published(world: &World) -> Vec<Value> {
    let answer = world.get("/v1/events?channel=agent_hooks&since=2026-01-01T00:00:00Z").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let text = String::from_utf8(answer.body).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn nothing_published(world: &World) {
    assert!(world.router.channels().is_empty(), "{:?}", world.router.channels());
}

#[tokio::test]
async fn a_hook_becomes_an_event_without_its_text() {
    let world = World::start();
    let answer = world.post("/v1/hooks/claude", JSON, PROMPT).await;
    assert_eq!((answer.status, answer.json()), (202, json!({ "accepted": 1 })));
    let with_place = format!(
        r#"{{"payload":{PROMPT},"processes":[{{"pid":7,"started":9,"name":"claude"}}],"tmux":{{"pane":"%3","server":"/s,1,0"}},"time":"2026-11-20T10:00:00Z"}}"#
    );
    assert_eq!(world.post("/v1/hooks/claude?text=1", JSON, with_place).await.status, 202);
    let events = published(&world).await;
    let head =
        |event: &Value| [&event["type"], &event["source"], &event["evidence"]].map(|v| v.as_str().unwrap().to_owned());
    assert_eq!(head(&events[0]), ["hook.claude", "client", "observed"]);
    let kept = json!({ "hook_event_name": "UserPromptSubmit", "session_id": "s1", "prompt_bytes": 11 });
    assert_eq!(events[0]["data"], json!({ "payload": kept }));
    assert_eq!(events[1]["data"]["payload"]["prompt"], "tell nobody");
    assert_eq!(
        (&events[1]["data"]["tmux"]["pane"], &events[1]["data"]["processes"][0]["pid"]),
        (&json!("%3"), &json!(7))
    );
    assert_eq!(events[1]["timestamp"], "2026-11-20T10:00:00.000000Z");
}

#[tokio::test]
async fn every_emitter_has_its_type() {
    let world = World::start();
    for emitter in EMITTERS {
        assert_eq!(world.post(&format!("/v1/hooks/{emitter}"), JSON, "{}").await.status, 202);
    }
    let types: Vec<Value> = published(&world).await.into_iter().map(|mut event| event["type"].take()).collect();
    assert_eq!(types, EMITTERS.map(|emitter| json!(format!("hook.{emitter}"))));
}

#[tokio::test]
async fn lines_of_codex_come_in_at_once() {
    let world = World::start();
    let lines = "{\"type\":\"thread.started\",\"thread_id\":\"t\"}\n{\"type\":\"turn.started\"}\n";
    assert_eq!(world.post("/v1/hooks/codex_exec", LINES, lines).await.json(), json!({ "accepted": 2 }));
    assert_eq!(published(&world).await[1]["data"]["payload"], json!({ "type": "turn.started", "thread_id": "t" }));
}

#[tokio::test]
async fn a_hook_that_is_sent_again_with_its_key_is_published_once() {
    let world = World::start();
    for _ in 0..2 {
        let headers = [("content-type", JSON), ("idempotency-key", "k")];
        assert_eq!(world.ask("POST", "/v1/hooks/claude", &headers, PROMPT.as_bytes()).await.status, 202);
    }
    assert_eq!(published(&world).await.len(), 1);
}

#[tokio::test]
async fn a_wrong_hook_is_told_what_is_wrong() {
    let world = World::with(|options| options.max_ingest_bytes = 1000);
    let long = format!(r#"{{"prompt":"{}"}}"#, "x".repeat(1000));
    for (path, content_type, body, status, code, word) in [
        ("/v1/hooks/cloud", JSON, "{}", 404, "RESOURCE_NOT_FOUND", "claude, codex"),
        ("/v1/hooks/claude?text=yes", JSON, "{}", 400, "VALIDATION_ERROR", "text"),
        ("/v1/hooks/claude?txt=1", JSON, "{}", 400, "VALIDATION_ERROR", "txt"),
        ("/v1/hooks/claude", "text/plain", "{}", 415, "UNSUPPORTED_MEDIA_TYPE", "application/json"),
        ("/v1/hooks/claude", JSON, "[]", 400, "INVALID_JSON", "object"),
        ("/v1/hooks/claude", JSON, "{\"a\":", 400, "INVALID_JSON", "column"),
        ("/v1/hooks/claude", LINES, "{}\n{", 400, "INVALID_JSON", "line 2"),
        ("/v1/hooks/claude", JSON, &long, 413, "PAYLOAD_TOO_LARGE", "1000"),
        ("/v1/logs", "application/x-protobuf", "x", 415, "UNSUPPORTED_MEDIA_TYPE", "http/json"),
        ("/v1/logs", LINES, "{}", 415, "UNSUPPORTED_MEDIA_TYPE", "http/json"),
        ("/v1/logs", JSON, r#"{"resourceLogs":7}"#, 400, "VALIDATION_ERROR", "line 1"),
    ] {
        let answer = world.post(path, content_type, body).await;
        let problem = answer.problem(status, code);
        assert!(problem["detail"].as_str().unwrap().contains(word), "{path} {body}: {problem}");
    }
    let headers = [("content-type", JSON), ("content-encoding", "gzip")];
    world.ask("POST", "/v1/logs", &headers, b"x").await.problem(415, "UNSUPPORTED_MEDIA_TYPE");
    nothing_published(&world);
}

/// Harm prevented: one agent in a loop crowds out what all others publish.
#[tokio::test]
async fn hooks_count_towards_the_rate_of_their_address() {
    let world = World::with(|options| options.limits.publish_per_second = 1);
    assert_eq!(world.post("/v1/hooks/claude", JSON, "{}").await.status, 202);
    let refused = world.post("/v1/hooks/claude", JSON, "{}").await;
    refused.problem(429, "RATE_LIMIT_EXCEEDED");
    assert!(refused.header("retry-after").is_some());
}

#[tokio::test]
async fn log_records_become_events_of_their_own_time() {
    let world = World::start();
    let record = |name: &str, time: &str| {
        json!({
            "timeUnixNano": time, "body": { "stringValue": format!("claude_code.{name}") },
            "attributes": [
                { "key": "event.name", "value": { "stringValue": name } },
                { "key": "session.id", "value": { "stringValue": "s1" } },
                { "key": "prompt", "value": { "stringValue": "tell nobody" } },
            ],
        })
    };
    let resource = json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": "claude-code" } }] });
    let records = [record("user_prompt", "1795162077307000000"), record("tool_result", "1795162082387000000")];
    let logs = json!({ "resourceLogs": [{ "resource": resource, "scopeLogs": [{ "logRecords": records }] }] });
    let answer = world.post("/v1/logs", JSON, logs.to_string()).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "partialSuccess": {} })));
    let events = published(&world).await;
    assert_eq!(events.len(), 2);
    assert_eq!(
        (&events[0]["type"], &events[0]["timestamp"]),
        (&json!("hook.otlp"), &json!("2026-11-20T08:07:57.307000Z"))
    );
    let payload = &events[0]["data"]["payload"];
    assert_eq!((&payload["event.name"], &payload["prompt_bytes"]), (&json!("user_prompt"), &json!(11)));
    assert_eq!(world.post("/v1/logs", JSON, "{}").await.json(), json!({ "partialSuccess": {} }));
    let many = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": vec![json!({}); 1001] }] }] });
    let answer = world.post("/v1/logs", JSON, many.to_string()).await.json();
    assert_eq!(answer["partialSuccess"]["rejectedLogRecords"], "1");
}
