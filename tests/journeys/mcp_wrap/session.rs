//! The protocol's own client with a real server: what each of them wrote is what the other read, and the bus has the calls.

use super::DEADLINE;
use headwater_tests::{Client, World, fixture, node_modules};
use serde_json::{Value, json};
use std::{fs, path::Path, process::Stdio};
use tokio::time::timeout;

async fn next(client: &mut Client) -> Value {
    loop {
        let event = client.next().await;
        if event["channel"] == "mcp_traffic" {
            return event;
        }
    }
}

/// All of the session's events, up to the one that says that it has ended.
async fn events(client: &mut Client) -> Vec<Value> {
    let mut events = vec![next(client).await];
    while events.last().is_some_and(|event| event["data"]["state"] != "ended") {
        events.push(next(client).await);
    }
    events
}

#[tokio::test]
async fn a_session_passes_byte_by_byte_and_its_calls_are_on_the_bus() {
    let daemon = World::new().start().await;
    let mut reader = daemon.client().await;
    reader.subscribe(&["mcp_traffic"]).await;

    // `tee` writes down what goes in and out on both sides.
    let entry = node_modules().join("@modelcontextprotocol/server-everything/dist/index.js");
    let server = format!("tee inner.in | node {} stdio | tee inner.out", entry.display());
    let wrap = headwater_tests::headwater_bin();
    let line =
        format!("tee outer.in | {} mcp-wrap --name everything -- sh -c '{server}' | tee outer.out", wrap.display());
    let mut client = tokio::process::Command::new("node");
    client.arg(fixture("mcp/client.mjs")).args(["sh", "-c", &line]).env("NODE_PATH", node_modules());
    client.env("HEADWATER_URL", format!("http://{}", daemon.address())).current_dir(daemon.path("."));
    client.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let output = timeout(DEADLINE, client.output()).await.expect("the session ends").unwrap();
    assert!(output.status.success());
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    for part in ["echoed", "sampled", "failed", "cancelled"] {
        assert_eq!(told[part], true, "{part}: {told}");
    }
    same(&daemon.path("outer.in"), &daemon.path("inner.in"));
    same(&daemon.path("outer.out"), &daemon.path("inner.out"));

    let events = timeout(DEADLINE, events(&mut reader)).await.expect("the end is told");
    let sessions: Vec<&Value> = events.iter().filter(|event| event["type"] == "mcp.session").collect();
    let (first, last) = (&sessions[0]["data"], &sessions.last().unwrap()["data"]);
    assert_eq!((&first["server"], &first["state"]), (&json!("everything"), &json!("started")));
    assert!(first["wrapper"]["pid"].is_u64() && first["child"]["started"].is_u64(), "{first}");
    assert_eq!((&last["wrapper"], &last["child"]), (&first["wrapper"], &first["child"]));
    assert_eq!(last["server_info"]["name"], told["server"]["name"]);
    assert_eq!(last["tools"], told["tools"].as_array().unwrap().len(), "{last}");
    assert!(last["era"] == "initialize" && last["protocol_version"].as_str().unwrap().starts_with("20"), "{last}");
    assert!(last["exit"].is_object(), "{last}");

    let all = |kind: &str| -> Vec<&Value> {
        let calls = events.iter().filter(|event| event["type"] == "mcp.calls");
        calls.flat_map(|event| event["data"][kind].as_array().into_iter().flatten()).collect()
    };
    let (calls, callbacks) = (all("calls"), all("callbacks"));
    let count = |method: &str, tool: Option<&str>, outcome: &str| {
        let is = |call: &&&Value| {
            call["method"] == method && tool.is_none_or(|tool| call["tool"] == tool) && call["outcome"] == outcome
        };
        calls.iter().filter(is).count()
    };
    assert_eq!(count("initialize", None, "ok"), 1);
    assert_eq!(count("tools/list", None, "ok"), 1);
    assert_eq!(count("ping", None, "ok"), 51);
    assert_eq!(count("tools/call", Some("echo"), "ok"), 21);
    assert_eq!(count("tools/call", told["ask"].as_str(), "ok"), 1);
    assert_eq!(count("tools/call", Some("no-such-tool"), "error"), 1);
    assert_eq!(count("tools/call", told["slow"].as_str(), "unanswered"), 1);
    assert_eq!(calls.len(), 77, "{calls:?}");
    assert!(callbacks.iter().any(|call| call["method"] == "sampling/createMessage" && call["outcome"] == "ok"));
    let cancelled = calls.iter().find(|call| call["outcome"] == "unanswered").unwrap();
    assert!(cancelled["ms"].as_f64().unwrap() >= 250.0, "it was given up after 300 ms: {cancelled}");
    let text = json!(events).to_string();
    assert!(!text.contains("together") && !text.contains("an answer"), "neither parameters nor results");
    assert!(events.iter().all(|event| event["data"].get("dropped").is_none()));
}

fn same(one: &Path, other: &Path) {
    let (one, other) = (fs::read(one).unwrap(), fs::read(other).unwrap());
    assert!(one == other, "{} and {} bytes", one.len(), other.len());
    assert!(one.len() > 1_000_000, "the large message is in it: {}", one.len());
}
