//! The bus as an MCP server, with clients that Headwater's authors did not write: fastmcp over HTTP, and the inspector of the
//! protocol's own people over stdio. Each lists the tools and calls every one of them.

use headwater_tests::{Daemon, World, built, eventually, headwater_bin, node_modules, python};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    process::{Output, Stdio},
    time::Duration,
};
use tokio::{process::Command, time::timeout};

/// How long one run of a client may take: each is a program of thousands of files, and machines are busy.
const PATIENCE: Duration = Duration::from_mins(2);

/// A daemon with agents, and what there is to be seen.
async fn daemon() -> Daemon {
    let agents = built("libheadwater_plugin_agents.so");
    let daemon = World::new().plugin("agents", &agents, "").start().await;
    daemon.source_is("agents", "up").await;
    daemon
}

/// What is called, in this order, with its arguments.
fn calls() -> Vec<(&'static str, Value)> {
    vec![
        (
            "publish_event",
            json!({ "channel": "deploys", "type": "deploy.finished", "data": { "n": 1 }, "key": "prod" }),
        ),
        ("read_events", json!({ "channel": "deploys", "where": "data.n == 1", "since": "1h" })),
        ("get_snapshot", json!({ "channel": "deploys" })),
        ("list_channels", json!({ "channel": "deploys" })),
        ("list_commands", json!({ "source": "agents" })),
        ("run_command", json!({ "source": "agents", "command": "create_agent", "parameters": { "name": "counter" } })),
        ("list_agents", json!({})),
        ("wait_for_event", json!({ "channel": "nothing", "timeout_seconds": 1 })),
        (
            "websocket_broadcast_test_event",
            json!({ "event_type": "test.started", "room": "test:1", "data": { "n": 2 } }),
        ),
        ("websocket_list_rooms", json!({})),
        ("websocket_get_status", json!({})),
        ("websocket_health_check", json!({})),
        ("websocket_get_metrics", json!({})),
    ]
}

/// What each answers.
fn check(tool: &str, answer: &Value, daemon: &Daemon) {
    let (found, expected) = match tool {
        "publish_event" => (json!([answer["channel"], answer["offset"]]), json!(["deploys", 1])),
        "read_events" => (json!([answer["count"], answer["events"][0]["type"]]), json!([1, "deploy.finished"])),
        "get_snapshot" => (json!([answer["total"], answer["events"][0]["key"]]), json!([1, "prod"])),
        "list_channels" => {
            let channel = &answer["channels"][0];
            (json!([channel["channel"], channel["events"], channel["kept"]]), json!(["deploys", 1, 1]))
        }
        "list_commands" => (answer["sources"][0]["state"].clone(), json!("up")),
        "run_command" => (json!([answer["status"], answer["result"]["success"]]), json!(["completed", true])),
        "list_agents" => {
            let agent = &answer["agents"][0];
            (json!([answer["total"], agent["name"], agent["doing"]]), json!([1, "counter", "idle"]))
        }
        "wait_for_event" => (json!([answer["status"], answer["events"]]), json!(["timed_out", []])),
        "websocket_broadcast_test_event" => {
            (json!([answer["status"], answer["room"], answer["subscribers"]]), json!(["broadcasted", "test:1", 0]))
        }
        "websocket_list_rooms" => (answer["rooms"]["deploys"].clone(), json!({ "subscribers": 0 })),
        "websocket_get_status" => {
            let server = &answer["server"];
            (json!([server["port"], answer["connections"]]), json!([daemon.address().port(), []]))
        }
        "websocket_health_check" => (json!([answer["status"], answer["connections"]]), json!(["healthy", 0])),
        "websocket_get_metrics" => {
            assert!(answer["total_broadcasts"].as_u64().unwrap() >= 4, "{answer}");
            (answer["peak_connections"].clone(), json!(0))
        }
        other => panic!("{other} is not known here"),
    };
    assert_eq!(found, expected, "{tool}: {answer}");
}

/// A source answers a command before everybody has its events.
async fn settle(tool: &str, daemon: &Daemon) {
    if tool == "run_command" {
        eventually("the agent is kept", async || {
            let kept = daemon.get("/v1/snapshot?channel=agent").await.json();
            kept["events"].as_array()?.iter().any(|event| event["type"] == "agent_state").then_some(())
        })
        .await;
    }
}

async fn output(command: &mut Command) -> Output {
    let output =
        timeout(PATIENCE, command.kill_on_drop(true).output()).await.expect("the client ends in time").unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}

/// The JSON that a client prints.
fn printed(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.trim()).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn names(tools: &Value) -> BTreeSet<String> {
    let name = |tool: &Value| tool["name"].as_str().unwrap().to_owned();
    tools.as_array().unwrap_or_else(|| panic!("{tools}")).iter().map(name).collect()
}

fn all() -> BTreeSet<String> {
    calls().into_iter().map(|(tool, _)| tool.to_owned()).collect()
}

#[tokio::test]
async fn fastmcp_lists_and_calls_each_tool_over_http() {
    let daemon = daemon().await;
    let url = format!("http://{}/mcp", daemon.address());
    let fastmcp = |arguments: &[&str]| {
        let mut command = Command::new(python().with_file_name("fastmcp"));
        command.args(arguments).env("NO_COLOR", "1").env("HOME", daemon.path("")).env_remove("HTTP_PROXY");
        command
    };
    let listed = printed(&output(&mut fastmcp(&["list", &url, "--auth", "none", "--json"])).await);
    assert_eq!(names(&listed["tools"]), all());
    for (tool, arguments) in calls() {
        let input = arguments.to_string();
        let called = printed(
            &output(&mut fastmcp(&["call", &url, tool, "--auth", "none", "--input-json", &input, "--json"])).await,
        );
        assert_eq!(called["is_error"], false, "{called}");
        check(tool, &called["structured_content"], &daemon);
        settle(tool, &daemon).await;
    }
    // Each request would be told three times over by the library.
    assert!(!daemon.log().contains("serve finished"), "{}", daemon.log());
}

#[tokio::test]
async fn the_inspector_lists_and_calls_each_tool_over_stdio() {
    let daemon = daemon().await;
    let inspector = node_modules().join("@modelcontextprotocol/inspector/cli/build/cli.js");
    let url = format!("http://{}", daemon.address());
    let inspect = |arguments: &[&str]| {
        let mut command = Command::new("node");
        command.arg(&inspector).arg("--cli").arg(headwater_bin()).arg("mcp").args(arguments);
        command.env("HOME", daemon.path("")).env("HEADWATER_URL", &url).stdin(Stdio::null());
        command
    };
    let listed = printed(&output(&mut inspect(&["--method", "tools/list"])).await);
    assert_eq!(names(&listed["tools"]), all());
    for (tool, arguments) in calls() {
        let pairs: Vec<String> = arguments
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| format!("{name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
            .collect();
        let mut words = vec!["--method", "tools/call", "--tool-name", tool];
        for pair in &pairs {
            words.extend(["--tool-arg", pair]);
        }
        let called = printed(&output(&mut inspect(&words)).await);
        assert_ne!(called["isError"], true, "{called}");
        check(tool, &called["structuredContent"], &daemon);
        settle(tool, &daemon).await;
    }
}
