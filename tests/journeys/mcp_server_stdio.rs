//! `headwater mcp` as a client has it: lines in, lines out, whatever the daemon does meanwhile.

use headwater_tests::{Daemon, PATIENCE, World, eventually};
use serde_json::{Value, json};
use std::process::{ExitStatus, Stdio};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
    time::timeout,
};

/// A client's end of the bridge.
struct Bridge {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Bridge {
    fn start(daemon: &Daemon) -> Self {
        let mut command = daemon.command(&["mcp"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        Self { child, input, output: BufReader::new(output).lines() }
    }

    async fn say(&mut self, text: &str) {
        let input = self.input.as_mut().expect("the bridge is open");
        input.write_all(format!("{text}\n").as_bytes()).await.unwrap();
    }

    async fn request(&mut self, id: &Value, method: &str, params: Value) {
        self.say(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()).await;
    }

    /// The next message. Whatever is no message would be a fault.
    async fn heard(&mut self) -> Value {
        // The first that is said of a wait comes after ten seconds.
        let line = timeout(2 * PATIENCE, self.output.next_line()).await.expect("the bridge says something").unwrap();
        let message: Value = serde_json::from_str(&line.expect("the bridge is there")).unwrap();
        assert_eq!(message["jsonrpc"], "2.0", "{message}");
        message
    }

    async fn ask(&mut self, id: i64, method: &str, params: Value) -> Value {
        self.request(&json!(id), method, params).await;
        let answer = self.heard().await;
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let answer = self.ask(7, "tools/call", json!({ "name": tool, "arguments": arguments })).await;
        answer["result"].clone()
    }

    async fn hello(&mut self) {
        let client = json!({ "name": "journey", "version": "1" });
        let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client });
        let hello = self.ask(0, "initialize", params).await;
        assert_eq!(hello["result"]["serverInfo"]["name"], "headwater", "{hello}");
        assert_eq!(hello["result"]["protocolVersion"], "2025-06-18", "{hello}");
        self.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string()).await;
    }

    /// Ends the input, and waits for the end of the bridge: how it ended, and what it said on stderr.
    async fn end(mut self) -> (ExitStatus, String) {
        drop(self.input.take());
        let status = timeout(PATIENCE, self.child.wait()).await.expect("it ends with its input").unwrap();
        let mut words = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut words).await.unwrap();
        (status, words)
    }
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}"))
}

/// Harm prevented: an agent that was started before the daemon, or outlives it, has no tools, or tools that hang.
#[tokio::test]
async fn a_bridge_outlives_its_daemon_and_says_so_meanwhile() {
    let mut daemon = World::new().start().await;
    daemon.signal("TERM").await;
    daemon.ended().await;
    let mut bridge = Bridge::start(&daemon);
    bridge.hello().await;
    let list = bridge.ask(1, "tools/list", json!({})).await;
    let there = list["result"]["tools"].as_array().unwrap().len();
    let refused = bridge.call("list_channels", json!({})).await;
    assert_eq!(refused["isError"], true);
    assert!(text(&refused).contains("headwater up") && text(&refused).contains("127.0.0.1"), "{refused}");
    let health = bridge.call("websocket_health_check", json!({})).await;
    assert_eq!(health["structuredContent"]["status"], "stopped");

    let mut daemon = daemon.again().await;
    let health = bridge.call("websocket_health_check", json!({})).await;
    assert_eq!(health["structuredContent"]["status"], "healthy", "{health}");
    let list = bridge.ask(2, "tools/list", json!({})).await;
    assert_eq!(list["result"]["tools"].as_array().unwrap().len(), there, "they are the same tools");
    let sent = bridge.call("publish_event", json!({ "channel": "a", "type": "t", "data": 1 })).await;
    let cursor = sent["structuredContent"]["live_cursor"].clone();

    // One that waits while the daemon ends is told, and goes on with its cursor when it is back.
    let wait = json!({ "channel": "a", "cursor": cursor, "timeout_seconds": 60 });
    let waits = json!({ "name": "wait_for_event", "arguments": wait, "_meta": { "progressToken": "p" } });
    bridge.request(&json!("wait"), "tools/call", waits).await;
    daemon.signal("KILL").await;
    daemon.ended().await;
    let told = bridge.heard().await;
    assert_eq!((&told["id"], &told["result"]["isError"]), (&json!("wait"), &json!(true)), "{told}");
    assert!(text(&told["result"]).contains("headwater up") || text(&told["result"]).contains("cursor"), "{told}");
    let daemon = daemon.again().await;
    let sent = bridge.call("publish_event", json!({ "channel": "a", "type": "t", "data": 2 })).await;
    assert_eq!(sent["isError"], false, "{sent}");
    let waited = bridge.call("wait_for_event", json!({ "channel": "a", "cursor": wait["cursor"] })).await;
    assert_eq!(waited["structuredContent"]["events"][0]["data"], 2, "{waited}");
    let (status, words) = bridge.end().await;
    assert_eq!((status.code(), words.as_str()), (Some(0), ""));
    drop(daemon);
}

#[tokio::test]
async fn what_is_withdrawn_is_not_answered_and_makes_room() {
    let daemon = World::new().start().await;
    let mut bridge = Bridge::start(&daemon);
    bridge.hello().await;
    let wait = json!({ "name": "wait_for_event", "arguments": { "channel": "a", "timeout_seconds": 290 } });
    for round in 0..40 {
        // More than may be under way at once, one after another under one id.
        bridge.request(&json!("w"), "tools/call", wait.clone()).await;
        let withdrawn = json!({ "requestId": "w", "reason": "no longer wanted" });
        let withdrawn = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": withdrawn });
        bridge.say(&withdrawn.to_string()).await;
        // The id is free as soon as the call is gone; until then it is refused.
        eventually("the call is gone", async || {
            bridge.request(&json!("w"), "ping", json!({})).await;
            let answer = bridge.heard().await;
            assert_eq!(answer["id"], "w", "{round}: {answer}");
            answer.get("result").is_some().then_some(())
        })
        .await;
    }
    // A client that wants to know is told that its wait goes on, until it ends. A wait that misses its event ends too, and
    // the test with it.
    let wait = json!({ "channel": "a", "timeout_seconds": 60 });
    let wait = json!({ "name": "wait_for_event", "arguments": wait, "_meta": { "progressToken": 5 } });
    bridge.request(&json!(1), "tools/call", wait).await;
    let progress = bridge.heard().await;
    assert_eq!(
        (&progress["method"], &progress["params"]["progressToken"]),
        (&json!("notifications/progress"), &json!(5))
    );
    daemon.post("/v1/events", "application/json", r#"{"channel": "a", "type": "t"}"#).await;
    let answer = loop {
        let said = bridge.heard().await;
        if said.get("method").is_none() {
            break said;
        }
    };
    assert_eq!((&answer["id"], &answer["result"]["structuredContent"]["status"]), (&json!(1), &json!("event")));
}

#[tokio::test]
async fn what_is_no_message_is_told_so_and_the_end_of_the_input_is_the_end() {
    let daemon = World::new().start().await;
    let mut bridge = Bridge::start(&daemon);
    for (line, code) in [("{", -32700), ("[]", -32600), ("7", -32600), (r#"{"jsonrpc":"2.0"}"#, -32600)] {
        bridge.say(line).await;
        let answer = bridge.heard().await;
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&Value::Null, &json!(code)), "{line}");
    }
    let unknown = bridge.ask(1, "tools/call", json!({ "name": "x" })).await;
    assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
    // The era without a handshake, over the same pipe.
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { "name": "journey", "version": "1" },
    });
    let found = bridge.ask(2, "server/discover", json!({ "_meta": meta })).await;
    assert!(found["result"]["supportedVersions"].as_array().unwrap().contains(&json!("2026-07-28")), "{found}");
    let call = json!({ "name": "list_channels", "arguments": {}, "_meta": meta });
    let listed = bridge.ask(3, "tools/call", call).await;
    assert!(listed["result"]["structuredContent"]["channels"].is_array(), "{listed}");
    // Who pipes requests in gets their answers.
    bridge.request(&json!(9), "tools/list", json!({ "_meta": meta })).await;
    drop(bridge.input.take());
    assert_eq!(bridge.heard().await["id"], 9);
    let (status, words) = bridge.end().await;
    assert_eq!((status.code(), words.as_str()), (Some(0), ""));
}

#[tokio::test]
async fn somebody_else_at_the_address_is_told_apart() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let daemon = World::new().env("HEADWATER_URL", &url).start().await;
    let mut bridge = Bridge::start(&daemon);
    let call = json!({ "name": "list_channels" });
    bridge.request(&json!(1), "tools/call", call).await;
    let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    // What is not read when a connection is closed would break it.
    let mut request = Vec::new();
    while !request.ends_with(b"}}") {
        stream.read_buf(&mut request).await.unwrap();
    }
    stream
        .write_all(b"HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\nnope")
        .await
        .unwrap();
    let answer = bridge.heard().await;
    assert!(text(&answer["result"]).contains("HTTP status 404: nope"), "{answer}");
    // One that hangs up in the middle.
    bridge.request(&json!(2), "tools/list", json!({})).await;
    let (stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    drop(stream);
    let answer = bridge.heard().await;
    assert!(answer["error"]["message"].as_str().unwrap().contains("is not known"), "{answer}");
}
