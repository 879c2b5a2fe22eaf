//! What the daemon counts of what is done by MCP.

use crate::{
    mcp::{call, listed, message, messages, post, refused, send},
    session::{message as heard, session, subscribe},
    wire::{Client, PATIENCE},
    world::{World, until},
};
use headwater_engine::{Ack, Committed, Engine, EngineError, Head, MemoryEngine, Page, PageLimit};
use headwater_event::{ChannelName, Draft};
use headwater_gateway::CommandAnswer;
use headwater_router::LogLimits;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::time::timeout;

/// One figure of `/metrics`.
async fn figure(world: &World, name: &str) -> u64 {
    let text = world.get("/metrics").await.text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0, |value| value.parse().unwrap())
}

async fn timed(world: &World) -> u64 {
    let all = figure(world, "headwater_http_request_duration_seconds_count").await;
    // Each look is a request too.
    all - figure(world, r#"headwater_http_requests_total{route="/metrics",status="200"}"#).await + 1
}

/// How many of these `daemon.stats` tells, and how many errors, once there are so many.
async fn told(client: &mut Client, what: &str, least: u64) -> (u64, u64) {
    let (mut count, mut errors) = (0, 0);
    let counting = async {
        while count < least {
            let told = heard(client).await;
            count += told["data"][what]["count"].as_u64().unwrap();
            errors += told["data"][what]["errors"].as_u64().unwrap();
        }
    };
    timeout(PATIENCE, counting).await.expect("they are counted");
    (count, errors)
}

/// Harm prevented: a wait of five minutes is told as an answer that took so long, and a call of a tool as one that took no
/// time.
#[tokio::test]
async fn tools_are_timed_by_what_they_do_and_waits_not_at_all() {
    let world = World::start();
    let sent = call(&world, "publish_event", json!({ "channel": "a", "type": "t" })).await;
    assert_eq!(timed(&world).await, 1, "the call, and not the list that is looked at with it");
    call(&world, "publish_event", json!({ "channel": "a", "type": "t" })).await;
    let wait = json!({ "channel": "a", "cursor": sent["live_cursor"] });
    assert_eq!(call(&world, "wait_for_event", wait).await["status"], "event");
    call(&world, "run_command", json!({ "source": "metrics", "command": "measure" })).await;
    listed(&world).await;
    assert_eq!(timed(&world).await, 2);
    refused(&world, "read_events", json!({ "channel": "a b" })).await;
    refused(&world, "wait_for_event", json!({ "channel": "a b" })).await;
    assert_eq!(timed(&world).await, 3);
    assert_eq!(figure(&world, r#"headwater_errors_total{code="VALIDATION_ERROR"}"#).await, 2);
    let requests = figure(&world, r#"headwater_http_requests_total{route="/mcp",status="200"}"#).await;
    assert!(requests >= 8, "{requests}");
}

/// Harm prevented: what agents have sources do is not among the commands.
#[tokio::test]
async fn commands_are_counted_once_with_what_they_came_to() {
    let world = World::start();
    let mut client = session(&world).await;
    subscribe(&mut client, "daemon_metrics").await;
    heard(&mut client).await;
    call(&world, "run_command", json!({ "source": "metrics", "command": "measure" })).await;
    for command in ["break", "die", "none"] {
        refused(&world, "run_command", json!({ "command": command })).await;
    }
    // Nobody waits for this one when it ends.
    let late = json!({ "command": "hang", "timeout_seconds": 1 });
    assert_eq!(call(&world, "run_command", late).await["status"], "running");
    for answers in world.ports.hanging.lock().unwrap().drain(..) {
        answers(CommandAnswer::Completed { result: "1".into() });
        answers(CommandAnswer::Completed { result: "2".into() });
    }
    let counted = told(&mut client, "commands", 5).await;
    assert_eq!(counted, (5, 1), "a source that ends without a word is a fault");
    assert_eq!(figure(&world, "headwater_command_duration_seconds_count").await, 5);
    assert_eq!(figure(&world, r#"headwater_errors_total{code="UNKNOWN_COMMAND"}"#).await, 1);
    let codes = world.get("/metrics").await.text();
    assert!(!codes.contains("DISK_FULL"), "sources have words of their own, which are no labels");
}

/// An engine that takes nothing of one channel.
struct Full(MemoryEngine);

impl Engine for Full {
    fn start(&self, committed: Committed) {
        self.0.start(committed);
    }

    fn has_history(&self) -> bool {
        false
    }

    fn publish(&self, drafts: Vec<Draft>) -> Result<Ack, EngineError> {
        if drafts.iter().any(|draft| draft.channel.as_str() == "full") {
            return Err(EngineError::Down("the disk is full".into()));
        }
        self.0.publish(drafts)
    }

    fn read(&self, channel: &ChannelName, next: u64, limit: PageLimit) -> Result<Page, EngineError> {
        self.0.read(channel, next, limit)
    }

    fn open(&self, channel: &ChannelName) -> Result<Head, EngineError> {
        self.0.open(channel)
    }

    fn heads(&self) -> Vec<Head> {
        self.0.heads()
    }
}

/// Harm prevented: every call fails and the daemon says that all is well, since each was answered with 200.
#[tokio::test]
async fn a_fault_that_a_tool_tells_is_a_fault() {
    let world = World::on(Arc::new(Full(MemoryEngine::new(1_000))), LogLimits::default(), |_| {});
    let mut client = session(&world).await;
    subscribe(&mut client, "daemon_metrics").await;
    heard(&mut client).await;
    let why = refused(&world, "publish_event", json!({ "channel": "full", "type": "t" })).await;
    assert!(why.starts_with("SYSTEM_UNAVAILABLE: "), "{why}");
    refused(&world, "publish_event", json!({ "channel": "a b", "type": "t" })).await;
    assert_eq!(told(&mut client, "requests", 2).await, (2, 1));
    assert_eq!(figure(&world, r#"headwater_errors_total{code="SYSTEM_UNAVAILABLE"}"#).await, 1);
}

fn cancelled(id: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id, "reason": "late" } })
}

/// Harm prevented: a client that gives up its calls and leaves their answers open holds the places of others for minutes.
#[tokio::test]
async fn a_call_that_its_client_withdraws_makes_room() {
    let world = World::start();
    let mut call = message("wait_for_event", json!({ "channel": "a", "timeout_seconds": 290 }));
    call["id"] = json!("w");
    let mut waiting = send(&world, &call).await;
    // Its own patience ends it where nothing else does.
    let answer = tokio::select! {
        answer = waiting.answer(false) => answer,
        () = async { loop {
            // When the wait begins cannot be seen from here.
            assert_eq!(post(&world, &[], &cancelled(&json!("other"))).await.status, 202);
            assert_eq!(post(&world, &[], &cancelled(&json!("w"))).await.status, 202);
        } } => unreachable!(),
    };
    let told = &messages(&answer)[0];
    // With a cursor: nothing is lost, should it have been somebody else's.
    let result = &told["result"]["structuredContent"];
    assert_eq!((&told["id"], &result["status"]), (&json!("w"), &json!("timed_out")), "{told}");

    let mut running = send(&world, &message("run_command", json!({ "command": "hang", "timeout_seconds": 290 }))).await;
    until(async || world.ports.hanging.lock().unwrap().len() == 1).await;
    assert_eq!(post(&world, &[], &cancelled(&json!(1))).await.status, 202);
    let told = &messages(&running.answer(false).await)[0];
    assert_eq!(told["result"]["structuredContent"]["status"], "running", "{told}");
}

/// Harm prevented: clients that number their calls alike withdraw each other's.
#[tokio::test]
async fn of_two_calls_with_one_name_neither_is_withdrawn() {
    let world = World::start();
    let hang = message("run_command", json!({ "command": "hang", "timeout_seconds": 290 }));
    let mut both = [send(&world, &hang).await, send(&world, &hang).await];
    until(async || world.ports.hanging.lock().unwrap().len() == 2).await;
    assert_eq!(post(&world, &[], &cancelled(&json!(1))).await.status, 202);
    for answers in world.ports.hanging.lock().unwrap().drain(..) {
        answers(CommandAnswer::Completed { result: "1".into() });
    }
    for running in &mut both {
        let told = &messages(&running.answer(false).await)[0];
        assert_eq!(told["result"]["structuredContent"]["status"], "completed", "{told}");
    }
}
