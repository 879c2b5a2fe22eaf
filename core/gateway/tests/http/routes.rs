//! What each route answers.

use crate::world::World;
use headwater_event::{ChannelName, Draft, Payload, Retention};
use headwater_gateway::routes;
use serde_json::json;
use std::sync::atomic::Ordering;

fn draft(channel: &str, key: Option<&str>, data: &'static str) -> Draft {
    let mut draft =
        Draft::new(ChannelName::new(channel).unwrap(), "t", "test", Payload::new(data.as_bytes().into()).unwrap());
    draft.retention = key.map_or(Retention::None, |key| Retention::Keep(key.into()));
    draft
}

/// Harm prevented: a line of the table that leads nowhere, and an answer that a script cannot read.
#[tokio::test]
async fn every_line_of_the_table_answers_and_no_other_method_does() {
    let world = World::start();
    assert!(routes().count() >= 11);
    for entry in routes() {
        let path = entry.path.replace("{name}", "metrics").replace("{emitter}", "claude");
        let answer = world.ask(entry.method, &path, &[], b"").await;
        let expected = match (entry.method, entry.path) {
            ("POST", "/v1/events" | "/v1/hooks/{emitter}" | "/v1/logs") => 415,
            (_, "/v1/stream") => 426,
            (_, "/v1/history") => 400,
            // It has both forms of an answer, and the client is to take both.
            (_, "/mcp") => 406,
            _ => 200,
        };
        assert_eq!(answer.status, expected, "{entry:?}: {answer:?}");
        let methods: Vec<&str> = routes().filter(|other| other.path == entry.path).map(|other| other.method).collect();
        for method in ["DELETE", "PUT", "OPTIONS", "PATCH", "TRACE", "GET", "POST"] {
            if methods.contains(&method) {
                continue;
            }
            let answer = world.ask(method, &path, &[], b"").await;
            answer.problem(405, "METHOD_NOT_ALLOWED");
            let allow = answer.header("allow").unwrap();
            assert!(methods.iter().all(|method| allow.contains(method)), "{method} {path}: {allow}");
        }
        if entry.method == "GET" {
            let head = world.ask("HEAD", &path, &[], b"").await;
            assert_eq!(head.status, expected, "HEAD {path}");
            assert!(head.body.is_empty());
        }
    }
}

#[tokio::test]
async fn what_is_not_in_the_table_is_not_there() {
    let world = World::start();
    for path in ["/", "/v1", "/v1/", "/v2/info", "/v1/info/", "//v1/info", "/v1/sources/a/b/restart", "/../etc/passwd"]
    {
        world.get(path).await.problem(404, "RESOURCE_NOT_FOUND");
    }
    let problem = world.get("/channels").await.problem(404, "RESOURCE_NOT_FOUND");
    assert!(problem["detail"].as_str().unwrap().contains("/v1/channels"), "{problem}");
}

#[tokio::test]
async fn no_answer_opens_itself_to_other_sites() {
    let world = World::start();
    for path in ["/healthz", "/v1/info", "/nowhere", "/v1/reload", "/v1/stream"] {
        let answer = world.get(path).await;
        assert!(!answer.head.to_ascii_lowercase().contains("access-control"), "{answer:?}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    }
}

#[tokio::test]
async fn health_and_readiness_are_two_things() {
    let world = World::start();
    assert_eq!(world.get("/healthz").await.text(), "ok\n");
    assert_eq!(world.get("/readyz").await.status, 200);
    world.ports.ready.store(false, Ordering::Relaxed);
    assert_eq!(world.get("/healthz").await.status, 200);
    let answer = world.get("/readyz").await;
    answer.problem(503, "SYSTEM_UNAVAILABLE");
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn info_says_what_runs_here() {
    let world = World::start();
    let info = world.get("/v1/info").await.json();
    assert_eq!(info["version"], "0.1.0-test");
    assert_eq!(info["config_files"], json!(["config/headwater.toml"]));
    assert_eq!(info["pid"], std::process::id());
    assert_eq!(info["url"], format!("http://{}", world.address));
    assert_eq!(info["last_reload_successful"], true);
    assert!(info["uptime_seconds"].is_u64());
}

#[tokio::test]
async fn channels_are_listed_with_their_positions() {
    let world = World::start();
    assert_eq!(world.get("/v1/channels").await.json(), json!({"channels": []}));
    let ack = world.router.publish(vec![draft("b", None, "1"), draft("a", None, "2"), draft("b", None, "3")]).unwrap();
    let positions = ack.await.unwrap();
    let list = world.get("/v1/channels").await.json();
    let channels = list["channels"].as_array().unwrap();
    assert_eq!(channels.len(), 2);
    assert_eq!((&channels[0]["channel"], &channels[0]["head"]), (&json!("a"), &json!(1)));
    let b = &channels[1];
    assert_eq!(b["epoch"], positions[0].epoch.to_string());
    assert_eq!((&b["first"], &b["head"], &b["events"]), (&json!(1), &json!(2), &json!(2)));
    assert!(b["bytes"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn a_snapshot_holds_what_is_retained_in_the_channels_that_were_asked_for() {
    let world = World::start();
    let batch =
        vec![draft("a", Some("k"), "1"), draft("a", Some("k"), "2"), draft("b", Some("k"), "3"), draft("a", None, "4")];
    world.router.publish(batch).unwrap().await.unwrap();
    for (query, data) in [
        ("", vec![json!(2), json!(3)]),
        ("?channel=a", vec![json!(2)]),
        ("?channel=*", vec![json!(2), json!(3)]),
        ("?channel=%2A", vec![json!(2), json!(3)]),
        ("?channel=none", vec![]),
    ] {
        let answer = world.get(&format!("/v1/snapshot{query}")).await;
        let snapshot = answer.json();
        let events = snapshot["events"].as_array().unwrap();
        assert_eq!(events.iter().map(|event| event["data"].clone()).collect::<Vec<_>>(), data, "{query}");
        assert!(events.iter().all(|event| event["type"] == "t" && event["key"] == "k"), "{snapshot}");
    }
    let problem = world.get("/v1/snapshot?channel=a%20b").await.problem(400, "VALIDATION_ERROR");
    assert!(problem["detail"].as_str().unwrap().contains("column 2"), "{problem}");
    world.get("/v1/snapshot?chanel=a").await.problem(400, "VALIDATION_ERROR");
}

#[tokio::test]
async fn sources_are_listed_and_restarted() {
    let world = World::start();
    let sources = world.get("/v1/sources").await.json();
    assert_eq!(
        sources["sources"][0],
        json!({
            "name": "metrics", "state": "up", "plugin": "metrics", "version": "1.0.0", "isolation": "process", "pid": 4711,
            "generation": 3, "restarts": 2, "events": 40, "dropped": 1, "since": "2026-01-01T00:00:00Z",
            "channels": ["metrics_*"],
            "commands": [{ "name": "measure", "description": "Measures now.", "parameters": { "type": "object" } }],
        })
    );
    assert_eq!(sources["sources"][1]["state"], "quarantined");
    assert_eq!(sources["sources"][1]["reason"], "it failed 5 times");
    let answer = world.ask("POST", "/v1/sources/metrics/restart", &[], b"").await;
    assert_eq!((answer.status, answer.json()), (200, json!({"status": "restarted"})));
    let problem = world.ask("POST", "/v1/sources/met%20x/restart", &[], b"").await.problem(404, "RESOURCE_NOT_FOUND");
    assert_eq!(problem["detail"], "no source `met x`");
    assert_eq!(problem["suggested_action"], "headwater source list");
    world.ask("POST", "/v1/sources/%ff/restart", &[], b"").await.problem(400, "VALIDATION_ERROR");
    assert_eq!(world.ports.asked(), ["restart metrics", "restart met x"]);
}

#[tokio::test]
async fn webhooks_are_listed() {
    let webhooks = World::start().get("/v1/webhooks").await.json();
    assert_eq!(
        webhooks,
        json!({"webhooks": [{
            "name": "deploys", "state": "retrying", "url": "https://example.org/", "delivered": 5, "gaps": 0, "failures": 2,
            "dead_letters": 0, "attempts": 2, "last_error": "it answered 500",
            "positions": [{"channel": "a", "epoch": "00000000000000ff", "offset": 5}],
        }]})
    );
}

#[tokio::test]
async fn a_reload_tells_what_it_did() {
    let world = World::start();
    let reload = async |query: &str| world.ask("POST", &format!("/v1/reload{query}"), &[], b"").await;
    assert_eq!(reload("").await.json()["status"], "unchanged");
    world.ports.changes.lock().unwrap().push("~ source.metrics.interval 1s → 5s".into());
    let answer = reload("").await;
    assert_eq!(
        answer.json(),
        json!({
            "status": "applied", "dry_run": false, "reload": 2, "changes": ["~ source.metrics.interval 1s → 5s"],
            "restarted": ["metrics"], "kept": ["tmux"], "failed": [], "failed_webhooks": [],
            "clients_dropped": 0, "took_ms": 4,
        })
    );
    assert_eq!(reload("?dry_run=true").await.json()["status"], "would_apply");
    world.ports.good.store(false, Ordering::Relaxed);
    let problem = reload("?dry_run=false").await.problem(422, "CONFIG_REJECTED");
    assert!(problem["diagnostics"].as_str().unwrap().contains("--> headwater.toml:10:1"));
    assert_eq!(problem["errors"][0]["code"], "E0102");
    assert_eq!(problem["errors"][0]["line"], 10);
    let asked = world.ports.asked();
    let wanted = ["reload dry_run=true", "reloaded", "reload dry_run=false", "reloaded"];
    assert_eq!(asked[asked.len() - 4..], wanted);
}

/// Harm prevented: a misspelt `dry_run` applies what its author only wanted to look at.
#[tokio::test]
async fn a_misspelt_dry_run_applies_nothing() {
    let world = World::start();
    for query in ["?dryrun=true", "?dry-run=true", "?dry_run=yes", "?dry_run", "?dry_run=true&dry_run=false"] {
        world.ask("POST", &format!("/v1/reload{query}"), &[], b"").await.problem(400, "VALIDATION_ERROR");
    }
    assert!(world.ports.asked().is_empty());
}

#[tokio::test]
async fn metrics_are_openmetrics_and_count_what_was_done() {
    let world = World::start();
    world.router.publish(vec![draft("a", None, "1")]).unwrap().await.unwrap();
    world.get("/no/such/path?with=a-name-of-the-client").await;
    let answer = world.get("/metrics").await;
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"), "{answer:?}");
    let text = answer.text();
    for line in [
        "headwater_published_events_total 1",
        "headwater_channels 1",
        "headwater_source_up{source=\"metrics\"} 1",
        "headwater_source_up{source=\"tmux\"} 0",
        "headwater_source_restarts_total{source=\"tmux\"} 2",
        "headwater_config_last_reload_successful 1",
        "headwater_http_requests_total{route=\"other\",status=\"404\"} 1",
        "headwater_errors_total{code=\"RESOURCE_NOT_FOUND\"} 1",
        "headwater_connections{protocol=\"websocket\"} 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
    assert!(text.contains("process_resident_memory_bytes "));
    // A path that clients make up would make a new time series each.
    assert!(!text.contains("no/such"));
}
