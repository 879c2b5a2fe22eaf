//! The past can be asked: across restarts, far below what memory holds, in numbers that others compute too, as files that
//! other programs read; and its file can be proved.

use headwater_tests::{Daemon, World, python};
use serde_json::{Value, json};
use std::{fmt::Write, fs, path::PathBuf, process::Output};
use tokio::process::Command;

/// Of every channel memory holds a few events, so that the past is in the store.
fn world() -> World {
    World::new().config("[router]\nchannel_events = 20\n[gateway.limits]\npublish_per_second = 0")
}

/// Publishes events of a channel, each observed some seconds after a full minute.
async fn publish(daemon: &Daemon, channel: &str, events: impl Iterator<Item = (i64, Value)>) {
    let mut lines = String::new();
    for (seconds, data) in events {
        let time = format!("2026-01-31T{:02}:{:02}:{:02}Z", 10 + seconds / 3600, seconds / 60 % 60, seconds % 60);
        writeln!(lines, "{}", json!({"channel": channel, "type": "cpu", "timestamp": time, "data": data})).unwrap();
    }
    let answer = daemon.post("/v1/events", "application/x-ndjson", &lines).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
}

fn store(daemon: &Daemon) -> PathBuf {
    daemon.path("state").join("history.db")
}

fn events(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn run_python(arguments: &[&str]) -> Output {
    Command::new(python()).args(arguments).output().await.unwrap()
}

async fn ended(mut daemon: Daemon) -> Daemon {
    daemon.signal("TERM").await;
    assert_eq!(daemon.ended().await, Some(0));
    daemon
}

#[tokio::test]
async fn what_was_published_is_asked_for_after_a_restart_page_by_page() {
    let daemon = world().start().await;
    publish(&daemon, "load", (0..2_500).map(|n| (n, json!({"n": n})))).await;
    let daemon = ended(daemon).await.again().await;
    let all = events(&daemon.headwater(&["history", "load"]).await);
    let numbers: Vec<i64> = all.iter().map(|event| event["data"]["n"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (0..2_500).collect::<Vec<_>>());
    let newest =
        ["history", "load", "--where", "data.n % 2 == 0", "--desc", "--limit", "3", "--until", "2026-01-31T10:10:00Z"];
    let some = events(&daemon.headwater(&newest).await);
    assert_eq!(some.iter().map(|event| event["data"]["n"].clone()).collect::<Vec<_>>(), [598, 596, 594]);
    let mut client = daemon.client().await;
    client
        .send(&json!({"type": "request_historical_data", "channel": "lo*", "request_id": "h",
            "parameters": {"start_time": "2026-01-31T10:40:00Z", "order": "desc"}}))
        .await;
    let answer = client.next().await;
    assert_eq!((&answer["type"], &answer["data"]["count"]), (&json!("historical_data"), &json!(100)));
    assert_eq!(answer["data"]["events"][0]["data"]["n"], 2_499);
}

/// The same by Python's statistics from the exported events, and by SQLite from the file.
#[tokio::test]
async fn aggregates_are_what_others_compute_of_the_same_data() {
    let daemon = world().start().await;
    // No pattern that an error could hide in: values and times come from a fixed multiplicative sequence.
    let mut state: u64 = 12_345;
    let mut draw = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let cpu = (0..3_000).map(|_| {
        let value = draw(1_000_000) as f64 / 7.0;
        let data = match draw(10) {
            0 => json!({"cpu_usage_percent": "unknown"}),
            1 => json!({"cpu_usage_percent": true}),
            2 => json!({"other": value}),
            3 => json!({"cpu_usage_percent": draw(100)}),
            _ => json!({"cpu_usage_percent": value, "cores": [1, 2]}),
        };
        (draw(5 * 3600) as i64, data)
    });
    publish(&daemon, "load", cpu).await;
    publish(&daemon, "other", (0..10).map(|n| (n, json!({"cpu_usage_percent": 1})))).await;
    let answer = daemon.get("/v1/history?channel=load&granularity=minute&metric=cpu_usage").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.json()["count"].as_u64().unwrap() > 250, "some 300 minutes have events");
    fs::write(daemon.path("answer.json"), &answer.body).unwrap();
    let exported = daemon.headwater(&["history", "export", "load", "--output", "events.ndjson"]).await;
    assert!(exported.status.success(), "{exported:?}");
    let daemon = ended(daemon).await;
    let script = headwater_tests::fixture("exec/aggregates.py");
    let paths = [script, daemon.path("answer.json"), daemon.path("events.ndjson"), store(&daemon)];
    let output = run_python(&paths.each_ref().map(|path| path.to_str().unwrap())).await;
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    // The comparison can fail: one number that is not as it should be is named.
    let wrong = answer.body.replacen("\"p95\":", "\"p95\":1", 1);
    fs::write(daemon.path("answer.json"), wrong).unwrap();
    let output = run_python(&paths.each_ref().map(|path| path.to_str().unwrap())).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

/// Other people's readers of CSV get what the events have.
#[tokio::test]
async fn an_export_as_csv_is_read_by_python() {
    let daemon = world().start().await;
    let data = [json!({"text": "a, \"b\"\nc", "n": 1}), json!("x"), json!({"deep": {"list": [1, {"a": null}]}})];
    publish(&daemon, "load", data.into_iter().cycle().take(100).enumerate().map(|(n, data)| (n as i64, data))).await;
    for (name, extra) in [("all.csv", None), ("flat.csv", Some("--flatten")), ("all.ndjson", None)] {
        let mut words = vec!["history", "export", "load", "--output", name];
        words.extend(extra);
        assert!(daemon.headwater(&words).await.status.success());
    }
    let script = "import csv, json, sys
events = [json.loads(line) for line in open('all.ndjson', encoding='utf-8')]
rows = list(csv.DictReader(open('all.csv', encoding='utf-8', newline='')))
flat = list(csv.DictReader(open('flat.csv', encoding='utf-8', newline='')))
assert len(events) == len(rows) == len(flat) == 100
for event, row, columns in zip(events, rows, flat):
    assert json.loads(row['data']) == event['data'], row
    for name in ('channel', 'epoch', 'timestamp', 'type', 'source', 'message_id'):
        assert row[name] == columns[name] == event[name], row
    assert int(row['offset']) == event['offset']
    if isinstance(event['data'], dict):
        assert columns['data.text'] == event['data'].get('text', ''), columns
        deep = columns['data.deep.list']
        assert (json.loads(deep) if deep else None) == event['data'].get('deep', {}).get('list'), columns
";
    let output = Command::new(python()).args(["-c", script]).current_dir(daemon.path("")).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_history_is_proved_and_each_fault_of_a_spoilt_one_is_named() {
    let daemon = world().start().await;
    publish(&daemon, "load", (0..100).map(|n| (n, json!({"n": n})))).await;
    let file = store(&daemon);
    let file = file.to_str().unwrap();
    // Also while the daemon writes.
    let running = daemon.headwater(&["verify", file]).await;
    assert!(running.status.success(), "{running:?}");
    let daemon = ended(daemon).await;
    let state = daemon.path("state");
    let clean =
        daemon.headwater(&["verify", "--config", "headwater.toml", "--state-dir", state.to_str().unwrap()]).await;
    let told: Value = serde_json::from_slice(&clean.stdout).unwrap();
    assert_eq!((clean.status.code(), &told["clean"]), (Some(0), &json!(true)), "{told}");
    assert!(told["events"].as_u64().unwrap() >= 100, "{told}");
    // A row is gone that nobody has noted: what a disk or a person may do.
    let spoil = "import sqlite3, sys
file = sqlite3.connect(sys.argv[1])
file.execute('DELETE FROM event WHERE at = (SELECT at FROM event ORDER BY at LIMIT 1 OFFSET 50)')
file.commit()
";
    let spoilt = run_python(&["-c", spoil, file]).await;
    assert!(spoilt.status.success(), "{spoilt:?}");
    let faulty = daemon.headwater(&["verify", file]).await;
    let told: Value = serde_json::from_slice(&faulty.stdout).unwrap();
    assert_eq!((faulty.status.code(), &told["clean"]), (Some(1), &json!(false)), "{told}");
    assert!(!told["problems"].as_array().unwrap().is_empty(), "{told}");
    fs::write(daemon.path("no.db"), "no database at all").unwrap();
    for (name, code) in [("no.db", 65), ("missing.db", 66)] {
        let output = daemon.headwater(&["verify", name]).await;
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(name), "{output:?}");
    }
}
