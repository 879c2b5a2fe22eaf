//! The protocol of the MCP server: both eras, the guard, bounds, and messages that make no sense.

use crate::{
    mcp::{listed, message, messages, post},
    world::World,
};
use headwater_gateway::{Absent, tools};
use serde_json::{Value, json};

const META: &str = "io.modelcontextprotocol/protocolVersion";

/// A message of the era without a handshake.
fn alone(method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        META: "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({ "jsonrpc": "2.0", "id": "x", "method": method, "params": params })
}

#[tokio::test]
async fn clients_that_shake_hands_get_the_version_that_they_speak() {
    let world = World::start();
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let client = json!({ "name": "test", "version": "1" });
        let params = json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": client });
        let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
        let answer = post(&world, &[], &hello).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("mcp-session-id"), None, "there is nothing to keep");
        let result = &messages(&answer)[0]["result"];
        assert_eq!(result["protocolVersion"], version, "{result}");
        assert_eq!(result["serverInfo"]["name"], "headwater");
        assert!(result["capabilities"]["tools"].is_object() && result["instructions"].is_string(), "{result}");

        let headers = [("mcp-protocol-version", version)];
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(post(&world, &headers, &ready).await.status, 202);
        let ping = post(&world, &headers, &json!({ "jsonrpc": "2.0", "id": 2, "method": "ping" })).await;
        assert_eq!(messages(&ping)[0], json!({ "jsonrpc": "2.0", "id": 2, "result": {} }));
        let list = post(&world, &headers, &json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/list" })).await;
        assert_eq!(messages(&list)[0]["result"]["tools"].as_array().unwrap().len(), tools().count());
    }
}

#[tokio::test]
async fn clients_of_the_era_without_a_handshake_just_ask() {
    let world = World::start();
    let ask = async |method: &str, name: Option<&str>, params: Value| {
        let mut headers = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
        headers.extend(name.map(|name| ("mcp-name", name)));
        post(&world, &headers, &alone(method, params)).await
    };
    let found = &messages(&ask("server/discover", None, json!({})).await)[0]["result"];
    let versions = found["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&json!("2026-07-28")) && versions.contains(&json!("2025-11-25")), "{found}");
    let list = &messages(&ask("tools/list", None, json!({})).await)[0]["result"];
    assert_eq!(list["tools"].as_array().unwrap().len(), tools().count());
    let call = json!({ "name": "websocket_health_check", "arguments": {} });
    let answer = ask("tools/call", Some("websocket_health_check"), call.clone()).await;
    assert_eq!(messages(&answer)[0]["result"]["structuredContent"]["status"], "healthy", "{answer:?}");

    // What stands in the head must be what stands in the body: others route by the head.
    let lied = ask("tools/call", Some("list_channels"), call).await;
    assert_eq!(lied.status, 400, "{lied:?}");
    let gone = ask("ping", None, json!({})).await;
    assert_eq!(messages(&gone)[0]["error"]["code"], -32601, "{gone:?}");
    let unknown =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": { "_meta": { META: "2099-01-01" } } });
    let answer = post(&world, &[("mcp-protocol-version", "2099-01-01"), ("mcp-method", "tools/list")], &unknown).await;
    let error = &messages(&answer)[0]["error"];
    assert!(error["data"]["supported"].as_array().is_some_and(|known| !known.is_empty()), "{error}");
}

/// Harm prevented: a page on the web that a browser on this machine shows has its way with every tool.
#[tokio::test]
async fn strangers_are_stopped_at_the_door() {
    let world = World::start();
    let body = message("publish_event", json!({ "channel": "a", "type": "t" }));
    for (headers, status) in [
        (vec![("host", "evil.example")], 403),
        (vec![("origin", "http://evil.example")], 403),
        (vec![("origin", "null")], 403),
        (vec![("host", "localhost"), ("host", "evil.example")], 400),
    ] {
        let answer = post(&world, &headers, &body).await;
        assert_eq!(answer.status, status, "{headers:?}: {answer:?}");
    }
    // A form of another site can send this without asking first.
    let form = [("content-type", "text/plain"), ("accept", "application/json, text/event-stream")];
    assert_eq!(world.ask("POST", "/mcp", &form, body.to_string().as_bytes()).await.status, 415);
    assert!(world.router.channels().is_empty());
    // Behind a name that is allowed it works.
    let own = World::with(|options| options.allowed_hosts = vec!["bus.lan".into()]);
    assert_eq!(post(&own, &[("host", "bus.lan:8765")], &body).await.status, 200);
}

#[tokio::test]
async fn messages_without_sense_are_told_so() {
    let world = World::with(|options| options.max_ingest_bytes = 2_000);
    let headers = [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
    for (body, code) in [
        ("{", -32700),
        ("", -32700),
        ("no JSON", -32700),
        ("[]", -32600),
        (r#"{"jsonrpc":"2.0"}"#, -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600),
    ] {
        let answer = world.ask("POST", "/mcp", &headers, body.as_bytes()).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (400, Some("application/json")),
            "{body}: {answer:?}"
        );
        let told = answer.json();
        assert_eq!((&told["error"]["code"], &told["id"]), (&json!(code), &Value::Null), "{body}: {told}");
        assert_eq!(told["jsonrpc"], "2.0", "{body}");
    }
    let unknown = post(&world, &[], &json!({ "jsonrpc": "2.0", "id": 1, "method": "resources/subscribe" })).await;
    assert_eq!(messages(&unknown)[0]["error"]["code"], -32601, "{unknown:?}");
    let nothing = post(&world, &[], &message("list_chanels", json!({}))).await;
    let error = &messages(&nothing)[0]["error"];
    assert_eq!(error["code"], -32602);
    assert!(error["message"].as_str().unwrap().contains("list_channels"), "{error}");
    let large = message("publish_event", json!({ "channel": "a", "type": "t", "data": "x".repeat(2_000) }));
    post(&world, &[], &large).await.problem(413, "PAYLOAD_TOO_LARGE");
    let zipped = [headers[0], headers[1], ("content-encoding", "gzip")];
    world.ask("POST", "/mcp", &zipped, b"x").await.problem(415, "UNSUPPORTED_MEDIA_TYPE");
    // Streams of their own and sessions to end are not offered.
    world.ask("GET", "/mcp", &headers[1..], b"").await.problem(405, "METHOD_NOT_ALLOWED");
    world.ask("DELETE", "/mcp", &[], b"").await.problem(405, "METHOD_NOT_ALLOWED");
}

#[tokio::test]
async fn every_tool_says_what_it_takes_gives_and_does() {
    let world = World::start();
    let listed = listed(&world).await;
    let names: Vec<&str> = listed.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, tools().map(|tool| tool.name).collect::<Vec<_>>());
    for tool in &listed {
        let name = tool["name"].as_str().unwrap();
        assert!(tool["description"].as_str().unwrap().len() > 80, "{name}");
        assert_eq!(tool["inputSchema"]["type"], "object", "{name}");
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{name}");
        assert_eq!(tool["outputSchema"]["type"], "object", "{name}");
        let reads = tool["annotations"]["readOnlyHint"].as_bool().unwrap();
        let changes = ["publish_event", "run_command", "websocket_broadcast_test_event"];
        assert_eq!(reads, !changes.contains(&name), "{name}");
        assert_eq!(tool["annotations"]["destructiveHint"], name == "run_command", "{name}");
        assert_eq!(tool["annotations"]["openWorldHint"], false, "{name}");
        for (argument, schema) in tool["inputSchema"]["properties"].as_object().unwrap() {
            let described = schema["description"].as_str().unwrap_or_else(|| panic!("{name}: {argument}: {schema}"));
            assert!(described.len() > 8, "{name}: {argument}");
            if schema["type"] == "integer" {
                assert!(schema["minimum"].is_u64() && schema["maximum"].is_u64(), "{name}: {argument}: {schema}");
            }
        }
        let text = tool.to_string();
        assert!(!text.contains("$ref") && !text.contains("\"null\"") && !text.contains("uint"), "{name}: {text}");
    }
}

/// Harm prevented: a client that starts before the daemon has no tools for the rest of its life.
#[tokio::test]
async fn without_a_daemon_the_tools_are_there_and_say_so() {
    let absent = Absent::default();
    let why = "no daemon answers at http://127.0.0.1:1; start one: headwater up";
    let ask = async |headers: &[(&str, String)], message: &Value| -> Value {
        let both = ("accept", "application/json, text/event-stream".to_owned());
        let headers: Vec<_> = headers.iter().cloned().chain([both]).collect();
        serde_json::from_slice(&absent.answer(why, &headers, message.to_string().into()).await).unwrap()
    };
    let list = ask(&[], &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" })).await;
    assert_eq!(list["result"]["tools"].as_array().unwrap().len(), tools().count());
    for tool in tools() {
        let answer = ask(&[], &message(tool.name, json!({}))).await;
        let text = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("headwater up") && text.contains("127.0.0.1:1"), "{text}");
        assert_eq!(answer["result"]["isError"], tool.name != "websocket_health_check", "{answer}");
    }
    let headers = [("mcp-protocol-version", "2026-07-28".to_owned()), ("mcp-method", "server/discover".to_owned())];
    let found = ask(&headers, &alone("server/discover", json!({}))).await;
    assert_eq!(
        found["result"]["serverInfo"]["name"]
            .as_str()
            .or(found["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"].as_str()),
        Some("headwater"),
        "{found}"
    );
    let told = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let both = ("accept", "application/json, text/event-stream".to_owned());
    assert!(absent.answer(why, &[both], told.to_string().into()).await.is_empty());
}
