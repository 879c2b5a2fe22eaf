//! The tools that tell what there is, publish, and run commands.

use crate::{
    mcp::{call, listed, message, messages, post, refused, result, send},
    wire::text_frame,
    world::{World, until},
};
use headwater_event::{ChannelName, Draft, Payload, Retention};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

fn draft(channel: &str, kind: &str, key: Option<&str>, data: &Value) -> Draft {
    let payload = Payload::new(data.to_string().into()).unwrap();
    let mut draft = Draft::new(ChannelName::new(channel).unwrap(), kind, "agents", payload);
    draft.retention = key.map_or(Retention::None, |key| Retention::Keep(key.into()));
    draft
}

async fn publish(world: &World, drafts: Vec<Draft>) {
    world.router.publish(drafts).unwrap().await.unwrap();
}

#[tokio::test]
async fn channels_are_listed_with_what_is_in_them_and_who_fills_them() {
    let world = World::start();
    assert_eq!(call(&world, "list_channels", json!({})).await, json!({ "channels": [], "total": 0 }));
    publish(
        &world,
        vec![
            draft("b", "old", Some("k"), &json!(1)),
            draft("metrics_cpu", "t", None, &json!(2)),
            draft("b", "new", None, &json!(3)),
        ],
    )
    .await;
    let answer = call(&world, "list_channels", json!({})).await;
    let b = &answer["channels"][0];
    assert_eq!(
        (&b["channel"], &b["events"], &b["first_offset"], &b["last_offset"]),
        (&json!("b"), &json!(2), &json!(1), &json!(2))
    );
    assert_eq!((&b["last_event_type"], &b["kept"], &b["sources"]), (&json!("new"), &json!(1), &json!([])));
    assert!(b["last_event_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(answer["channels"][1]["sources"], json!(["metrics"]));
    let some = call(&world, "list_channels", json!({ "channel": "m*", "limit": 1 })).await;
    assert_eq!((some["channels"].as_array().unwrap().len(), &some["total"]), (1, &json!(1)));
    let kept = call(&world, "get_snapshot", json!({ "channel": "*" })).await;
    assert_eq!(
        (&kept["total"], &kept["events"][0]["key"], &kept["events"][0]["data"]),
        (&json!(1), &json!("k"), &json!(1))
    );
    assert_eq!(call(&world, "get_snapshot", json!({ "channel": "b", "key": "x" })).await["total"], 0);
}

#[tokio::test]
async fn who_works_waits_and_is_done_is_told_from_what_the_source_keeps() {
    let world = World::start();
    let state = |id: &str, status: &str, more: Value| {
        let mut data = json!({
            "id": id, "name": format!("name of {id}"), "emitter": "claude", "status": status,
            "since": "2026-01-01T00:00:00Z", "evidence": "observed", "created_at": "2026-01-01T00:00:00Z",
            "last_seen": "2026-01-01T00:00:05Z", "performance": { "turns": 0 }, "capabilities": [],
        });
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        draft("agent", "agent_state", Some(id), &data)
    };
    let pane = json!({ "pane_id": "%3", "session": "web", "window": 0, "server_pid": 7 });
    publish(
        &world,
        vec![
            state("idle", "idle", json!({})),
            state("done", "idle", json!({ "performance": { "tasks_completed": 1 } })),
            state("work", "active", json!({ "task": "t1", "cwd": "/work", "model": "m" })),
            state("wait", "waiting", json!({ "reason": "permission", "pane": pane, "pid": 9 })),
            state("fail", "failed", json!({ "reason": "rate_limit" })),
            draft("agent", "agent_state", Some("strange"), &json!(["no state"])),
            draft("agent", "agent_created", None, &json!({ "id": "x" })),
        ],
    )
    .await;
    let answer = call(&world, "list_agents", json!({})).await;
    let doing: Vec<[&str; 2]> = answer["agents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|agent| ["id", "doing"].map(|name| agent[name].as_str().unwrap()))
        .collect();
    let all = [["wait", "waiting"], ["fail", "failed"], ["work", "working"], ["done", "done"], ["idle", "idle"]];
    assert_eq!(doing, all);
    let wait = &answer["agents"][0];
    assert_eq!(
        (&wait["reason"], &wait["pid"], &wait["pane"]["pane_id"]),
        (&json!("permission"), &json!(9), &json!("%3"))
    );
    assert!(wait["for_seconds"].as_u64().unwrap() > 1_000_000 && wait.get("model").is_none(), "{wait}");
    assert_eq!(answer["agents"][2]["task"], "t1");
    // Nobody keeps it up to date here: the source is not there.
    assert!(answer["note"].as_str().unwrap().contains("headwater source enable agents"), "{answer}");
    let failed = call(&world, "list_agents", json!({ "doing": "failed" })).await;
    assert_eq!((&failed["total"], &failed["agents"][0]["id"]), (&json!(1), &json!("fail")));
    assert!(refused(&world, "list_agents", json!({ "doing": "nothing" })).await.contains("`doing`"));
}

#[tokio::test]
async fn an_event_is_published_once_for_each_key() {
    let world = World::start();
    let event = json!({
        "channel": "deploys", "type": "deploy.finished", "data": { "n": 1.5, "text": "ü\n" }, "severity": "warning",
        "attributes": { "env": "prod" }, "timestamp": "2026-01-02T03:04:05Z", "key": "prod", "idempotency_key": "i",
    });
    let first = call(&world, "publish_event", event.clone()).await;
    assert_eq!((&first["channel"], &first["offset"]), (&json!("deploys"), &json!(1)));
    assert_eq!(call(&world, "publish_event", event).await, first);
    let told = world.get("/v1/events?channel=deploys").await.text();
    let told: Value = serde_json::from_str(told.trim()).unwrap();
    assert_eq!(
        (&told["type"], &told["source"], &told["severity"]),
        (&json!("deploy.finished"), &json!("client"), &json!("warning"))
    );
    assert_eq!(told["data"], json!({ "n": 1.5, "text": "ü\n" }));
    assert_eq!((&told["timestamp"], &told["key"]), (&json!("2026-01-02T03:04:05.000000Z"), &json!("prod")));
    assert_eq!(told["attributes"], json!({ "env": "prod" }));
}

#[tokio::test]
async fn what_cannot_be_published_is_told_with_the_fix() {
    let world = World::with(|options| options.limits.publish_per_second = 2);
    for (event, words) in [
        (json!({ "type": "t" }), "`channel`"),
        (json!({ "channel": "a" }), "`type`"),
        (json!({ "channel": "a b", "type": "t" }), "column 2"),
        (json!({ "channel": "a", "type": "" }), "1 to 128 bytes"),
        (json!({ "channel": "a", "type": "t", "severity": "loud" }), "critical"),
        (json!({ "channel": "a", "type": "t", "timestamp": "now" }), "RFC 3339"),
        (json!({ "channel": "a", "type": "t", "attributes": { "a": 1 } }), "`attributes`"),
        (json!({ "channel": "a", "type": "t", "dta": 1 }), "did you mean `data`?"),
        (json!({ "channel": "a", "type": "t", "idempotency_key": "" }), "idempotency_key"),
    ] {
        let told = refused(&world, "publish_event", event.clone()).await;
        assert!(told.starts_with("VALIDATION_ERROR: ") && told.contains(words), "{event}: {told}");
    }
    assert!(world.router.channels().is_empty(), "nothing of it was published");
    // The address's rate is that of all ways in.
    let event = json!({ "channel": "a", "type": "t" });
    for _ in 0..2 {
        assert_eq!(world.post("/v1/events", "application/json", event.to_string()).await.status, 202);
    }
    let told = refused(&world, "publish_event", event).await;
    assert!(told.starts_with("RATE_LIMIT_EXCEEDED: at most 2 events a second"), "{told}");
}

#[tokio::test]
async fn commands_are_listed_and_run_to_their_outcome() {
    let world = World::start();
    let list = call(&world, "list_commands", json!({})).await;
    assert_eq!(list["sources"][0]["source"], "metrics");
    assert_eq!(list["sources"][0]["commands"][0]["command"], "measure");
    assert_eq!(
        (&list["sources"][1]["state"], &list["sources"][1]["reason"]),
        (&json!("quarantined"), &json!("it failed 5 times"))
    );
    assert_eq!(
        call(&world, "list_commands", json!({ "source": "tmux" })).await["sources"].as_array().unwrap().len(),
        1
    );
    assert!(refused(&world, "list_commands", json!({ "source": "x" })).await.contains("there are metrics, tmux"));

    let run = json!({ "source": "metrics", "command": "measure", "parameters": { "mount": "/" } });
    let ran = call(&world, "run_command", run).await;
    assert_eq!(
        (&ran["status"], &ran["result"], &ran["message"]),
        (&json!("completed"), &json!({ "measured": 7 }), &json!("at once"))
    );
    assert_eq!(world.ports.asked(), [r#"metrics/measure {"mount":"/"}"#]);
    let told = refused(&world, "run_command", json!({ "command": "break" })).await;
    assert_eq!(told, "DISK_FULL: there is no room\ndetails: {\"free\":0}\nsuggested action: make some");
    let told = refused(&world, "run_command", json!({ "command": "die" })).await;
    assert!(told.starts_with("OUTCOME_UNKNOWN: "), "{told}");
    let told = refused(&world, "run_command", json!({ "command": "measur" })).await;
    assert!(told.starts_with("UNKNOWN_COMMAND: ") && told.contains("list_commands"), "{told}");
    for (arguments, words) in [
        (json!({}), "`command`"),
        (json!({ "command": "" }), "list_commands"),
        (json!({ "command": "a", "parameters": [] }), "`parameters`"),
        (json!({ "command": "a", "timeout_seconds": 0 }), "1 to 290"),
    ] {
        let told = refused(&world, "run_command", arguments).await;
        assert!(told.starts_with("VALIDATION_ERROR: ") && told.contains(words), "{told}");
    }
}

#[tokio::test]
async fn a_command_that_takes_long_goes_on_and_says_how_far_it_is() {
    let world = World::start();
    let ran = call(&world, "run_command", json!({ "command": "hang", "timeout_seconds": 1 })).await;
    assert_eq!((&ran["status"], &ran["progress"]), (&json!("running"), &json!({ "current_step": "half" })));
    // Whoever wants to know is told while it runs.
    let mut hang = message("run_command", json!({ "command": "hang", "timeout_seconds": 1 }));
    hang["params"]["_meta"] = json!({ "progressToken": "p" });
    let told = messages(&post(&world, &[], &hang).await);
    assert_eq!(told[0]["method"], "notifications/progress", "{told:?}");
    assert_eq!((&told[0]["params"]["progressToken"], &told[0]["params"]["message"]), (&json!("p"), &json!("half")));
    assert_eq!(told.last().unwrap()["result"]["structuredContent"]["status"], "running");
    // Its late answers find nobody and do no harm.
    for answers in world.ports.hanging.lock().unwrap().drain(..) {
        answers(headwater_gateway::CommandAnswer::Completed { result: "1".into() });
    }
}

#[tokio::test]
async fn older_clients_find_their_five_tools_and_true_figures() {
    let world = World::start();
    let port = world.address.port();
    let health = call(&world, "websocket_health_check", json!({})).await;
    assert_eq!(
        health,
        json!({
            "status": "healthy", "host": "127.0.0.1", "port": port, "connections": 0, "rooms": 0,
            "max_connections": headwater_gateway::Options::default().max_connections,
            "message_rate_limit": headwater_gateway::Options::default().limits.messages_per_second,
        })
    );
    let mut reader = world.client().await;
    reader.upgrade().await;
    reader.send(&text_frame(r#"{"type":"subscribe","channels":["test:1","test:*"]}"#)).await;
    let (_, answer) = reader.frame().await;
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    let id = answer["connection_id"].as_str().unwrap();

    let sent = json!({ "event_type": "test.started", "room": "test:1", "data": { "n": 1 } });
    let sent = call(&world, "websocket_broadcast_test_event", sent).await;
    assert_eq!(
        (&sent["status"], &sent["subscribers"], &sent["room"]),
        (&json!("broadcasted"), &json!(1), &json!("test:1"))
    );
    let (_, event) = reader.frame().await;
    let event: Value = serde_json::from_slice(&event).unwrap();
    assert_eq!(
        (&event["type"], &event["data"]["test"], &event["data"]["n"]),
        (&json!("test.started"), &json!(true), &json!(1))
    );
    assert!(event["data"]["timestamp"].is_string());

    let status = call(&world, "websocket_get_status", json!({})).await;
    assert_eq!(status["server"], json!({ "status": "healthy", "host": "127.0.0.1", "port": port }));
    assert_eq!((&status["connections"], &status["total_connections"]), (&json!([id]), &json!(1)));
    assert_eq!(status["rooms"]["test:1"], json!({ "subscribers": 1, "connection_ids": [id] }));
    let rooms = call(&world, "websocket_list_rooms", json!({})).await;
    assert_eq!(rooms, json!({ "rooms": { "test:1": { "subscribers": 1 } }, "total_rooms": 1 }));
    drop(reader);
    until(async || call(&world, "websocket_health_check", json!({})).await["connections"] == 0).await;
    let figures = call(&world, "websocket_get_metrics", json!({})).await;
    assert_eq!(
        (&figures["total_broadcasts"], &figures["peak_connections"], &figures["current_connections"]),
        (&json!(1), &json!(1), &json!(0))
    );
    assert!(
        figures["uptime_seconds"].as_f64().unwrap() > 0.0 && figures["average_message_rate"].as_f64().unwrap() > 0.0
    );
    world.ports.ready.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(call(&world, "websocket_health_check", json!({})).await["status"], "error");
}

/// Harm prevented: a page tells of a tool that is not there, or is silent about one that is.
#[tokio::test]
async fn the_page_names_every_tool_and_every_argument() {
    let page = include_str!("../../../../docs/mcp-server.md");
    let (_, rows) = page.split_once("| tool | does | takes |\n|---|---|---|\n").expect("there is a table of tools");
    let rows = rows.lines().map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let quoted = |cell: &str| -> BTreeSet<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let said: BTreeMap<String, BTreeSet<String>> = rows
        .map(|row| {
            let [tool, _, takes] = row.split(" | ").collect::<Vec<_>>().try_into().unwrap_or_else(|_| panic!("{row}"));
            (tool.trim_matches('`').to_owned(), quoted(takes))
        })
        .collect();
    let listed = listed(&World::start()).await;
    let schemas: BTreeMap<String, BTreeSet<String>> = listed
        .iter()
        .map(|tool| {
            let arguments = tool["inputSchema"]["properties"].as_object().unwrap().keys().cloned().collect();
            (tool["name"].as_str().unwrap().to_owned(), arguments)
        })
        .collect();
    assert_eq!(said, schemas);
    // What each means stands below the table, where its name does not say it.
    let (_, below) = page.split_once("### Which events").unwrap();
    for argument in schemas["read_events"].union(&schemas["run_command"]).chain(&schemas["publish_event"]) {
        assert!(below.contains(&format!("`{argument}`")), "{argument}");
    }
}

/// Harm prevented: clients that have gone leave commands behind until there is no room for more.
#[tokio::test]
async fn commands_in_flight_are_bounded_and_end_with_their_clients() {
    let world = World::start();
    let hang = message("run_command", json!({ "command": "hang", "timeout_seconds": 290 }));
    let mut waiting = Vec::new();
    for _ in 0..64 {
        waiting.push(send(&world, &hang).await);
    }
    until(async || world.ports.hanging.lock().unwrap().len() == 64).await;
    let run = json!({ "source": "metrics", "command": "measure" });
    let told = refused(&world, "run_command", run.clone()).await;
    assert!(told.starts_with("RATE_LIMIT_EXCEEDED: there are 64 calls that wait for a command"), "{told}");
    drop(waiting);
    until(async || result(&world, "run_command", run.clone()).await["isError"] == false).await;
}
