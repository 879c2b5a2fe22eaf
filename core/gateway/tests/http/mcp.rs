//! A client of the MCP server, as little as is needed to say anything to it, and to hear what it says.

use crate::{
    wire::{Answer, Client},
    world::World,
};
use serde_json::{Value, json};
use std::fmt::Write;

/// What a client sends along with each message.
const HEADERS: [(&str, &str); 2] =
    [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];

/// Sends one message on a connection of its own.
pub(crate) async fn post(world: &World, headers: &[(&str, &str)], message: &Value) -> Answer {
    let all: Vec<(&str, &str)> = HEADERS.iter().chain(headers).copied().collect();
    world.ask("POST", "/mcp", &all, message.to_string().as_bytes()).await
}

/// Sends a message and leaves the answer on its way.
pub(crate) async fn send(world: &World, message: &Value) -> Client {
    let mut client = world.client().await;
    let body = message.to_string();
    let mut text = String::from("POST /mcp HTTP/1.1\r\nhost: localhost\r\n");
    for (name, value) in HEADERS {
        write!(text, "{name}: {value}\r\n").unwrap();
    }
    write!(text, "content-length: {}\r\n\r\n{body}", body.len()).unwrap();
    client.send(text.as_bytes()).await;
    client
}

/// The messages of an answer: one, or a stream of them.
pub(crate) fn messages(answer: &Answer) -> Vec<Value> {
    match answer.header("content-type") {
        Some("application/json") => vec![answer.json()],
        Some("text/event-stream") => {
            let text = answer.text();
            let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
            data.map(|data| serde_json::from_str(data.trim()).unwrap()).collect()
        }
        other => panic!("{other:?}: {answer:?}"),
    }
}

/// A call of a tool, as a message.
pub(crate) fn message(tool: &str, arguments: impl Into<Value>) -> Value {
    let arguments: Value = arguments.into();
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool, "arguments": arguments } })
}

/// Calls a tool: the result, whatever it is.
pub(crate) async fn result(world: &World, tool: &str, arguments: Value) -> Value {
    let answer = post(world, &[], &message(tool, arguments)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut messages = messages(&answer);
    let mut last = messages.pop().expect("there is an answer");
    assert_eq!((&last["jsonrpc"], &last["id"]), (&json!("2.0"), &json!(1)), "{last}");
    assert!(last.get("error").is_none(), "{last}");
    last["result"].take()
}

/// Calls a tool that does what it should. Its structured answer, which is also there as text.
pub(crate) async fn call(world: &World, tool: &str, arguments: Value) -> Value {
    let result = result(world, tool, arguments).await;
    assert_eq!(result["isError"], false, "{result}");
    let text: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(text, result["structuredContent"]);
    let said = listed(world).await.into_iter().find(|one| one["name"] == tool).expect("it is listed");
    fits(&said["outputSchema"], &text);
    text
}

/// Whether an answer is what its schema says. Clients check it, and refuse one that is not.
fn fits(schema: &Value, value: &Value) {
    let told = || format!("{value} and its schema {schema}");
    match schema["type"].as_str() {
        None => {}
        Some("object") => {
            let members = value.as_object().unwrap_or_else(|| panic!("{}", told()));
            for name in schema["required"].as_array().into_iter().flatten() {
                assert!(members.contains_key(name.as_str().unwrap()), "{name} is missing: {}", told());
            }
            for (name, member) in members {
                match (&schema["properties"][name], &schema["additionalProperties"]) {
                    (Value::Null, Value::Null) => assert!(!schema["properties"].is_object(), "{name}: {}", told()),
                    (Value::Null, every) => fits(every, member),
                    (one, _) => fits(one, member),
                }
            }
        }
        Some("array") => {
            let items = value.as_array().unwrap_or_else(|| panic!("{}", told()));
            for item in items {
                fits(&schema["items"], item);
            }
        }
        Some("string") => assert!(value.is_string(), "{}", told()),
        Some("integer") => assert!(value.is_u64(), "{}", told()),
        Some("number") => assert!(value.is_number(), "{}", told()),
        Some("boolean") => assert!(value.is_boolean(), "{}", told()),
        Some(other) => panic!("{other}: {}", told()),
    }
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(value), "{}", told());
    }
}

/// Calls a tool that cannot do it. What it says.
pub(crate) async fn refused(world: &World, tool: &str, arguments: Value) -> String {
    let result = result(world, tool, arguments).await;
    assert_eq!(result["isError"], true, "{result}");
    result["content"][0]["text"].as_str().unwrap().to_owned()
}

/// Every tool with what it says of itself.
pub(crate) async fn listed(world: &World) -> Vec<Value> {
    let answer = post(world, &[], &json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" })).await;
    messages(&answer)[0]["result"]["tools"].as_array().unwrap().clone()
}
