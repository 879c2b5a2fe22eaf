//! Files that cannot be a history: moved aside whole, named, told to everybody, and the daemon runs. A file that another
//! daemon has, or that a later one wrote, is left alone.

use headwater_tests::{Daemon, World, eventually};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::FileExt, path::Path, process::Output};
use tokio::process::Command;

/// Enough that the file has pages to spoil.
const EVENTS: u64 = 400;

/// A daemon that has ended in order, with some history; and the position of its last event.
async fn with_history() -> (Daemon, Value) {
    let mut daemon = World::new().start().await;
    let padding = "x".repeat(300);
    let item = |n| json!({"channel": "work", "type": "n", "data": {"n": n, "padding": padding}});
    let items: Vec<Value> = (1..=EVENTS).map(item).collect();
    let answer = daemon.post("/v1/events", "application/json", &json!(items).to_string()).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    daemon.signal("TERM").await;
    assert_eq!(daemon.ended().await, Some(0));
    let last = answer.json()["positions"].as_array().unwrap().last().unwrap().clone();
    (daemon, last)
}

async fn sqlite(file: &Path, sql: &str) {
    let status = Command::new("sqlite3").arg(file).arg(sql).status().await;
    assert!(status.expect("sqlite3 is installed by `cargo xtask test`").success());
}

fn a_text(file: &Path) {
    fs::write(file, "no database, but somebody's notes\n".repeat(100)).unwrap();
}

fn truncated(file: &Path) {
    let length = fs::metadata(file).unwrap().len();
    fs::OpenOptions::new().write(true).open(file).unwrap().set_len(length / 2 + 100).unwrap();
}

fn overwritten_at_its_beginning(file: &Path) {
    fs::OpenOptions::new().write(true).open(file).unwrap().write_all_at(&[0xff; 9_000], 100).unwrap();
}

/// Ends with whatever it has to say, as a daemon that does not start does.
async fn does_not_start(daemon: &Daemon) -> (Option<i32>, String) {
    let (config, state) = (daemon.path("headwater.toml"), daemon.path("state"));
    let up = ["up", "--listen", "127.0.0.1:0", "--config", config.to_str().unwrap(), "--state-dir"];
    let Output { status, stderr, .. } = daemon.headwater(&[&up[..], &[state.to_str().unwrap()]].concat()).await;
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// The log is read line by line beside the test: the event may be here sooner than its line.
async fn the_log_names(daemon: &Daemon, file: &str) {
    eventually("the log names the file", async || daemon.log().contains(file).then_some(())).await;
}

/// The daemon starts on what the file has become, and everybody who should know is told.
async fn is_moved_aside(daemon: Daemon, last: &Value, reason: &str) {
    let file = daemon.path("state/history.db");
    let spoilt = fs::read(&file).unwrap();
    let daemon = daemon.again().await;
    let mut alarms = daemon.client().await;
    alarms.subscribe_with(json!({"channels": "system_events", "from": "earliest"})).await;
    let alarm = alarms.next().await;
    assert_eq!((&alarm["type"], &alarm["severity"]), (&json!("history.replaced"), &json!("error")), "{alarm}");
    assert!(alarm["data"]["reason"].as_str().unwrap().contains(reason), "{alarm}");
    let aside = alarm["data"]["moved_to"].as_str().expect("it is named").to_owned();
    assert!(aside.starts_with(file.to_str().unwrap()), "{aside}");
    the_log_names(&daemon, &aside).await;
    assert_eq!(fs::read(&aside).unwrap(), spoilt, "nothing that could be rescued is touched");
    // Who comes back with a position is told that what was there is gone.
    let mut back = daemon.client().await;
    let from = json!({"epoch": last["epoch"], "offset": last["offset"]});
    assert_eq!(back.subscribe_with(json!({"channels": "work", "from": from})).await["status"], "success");
    let gap = back.next().await;
    assert_eq!((&gap["type"], &gap["reason"]), (&json!("gap"), &json!("epoch_change")), "{gap}");
    assert_ne!(gap["epoch"], last["epoch"]);
    let body = json!({"channel": "work", "type": "n", "data": {"n": 1}}).to_string();
    let answer = daemon.post("/v1/events", "application/json", &body).await;
    assert_eq!((answer.status, &answer.json()["positions"][0]["offset"]), (202, &json!(1)), "{}", answer.body);
    assert_eq!(back.next().await["epoch"], gap["epoch"]);
    let cursor = format!("work@{}:{}", last["epoch"].as_str().unwrap(), last["offset"]);
    let lines = daemon.get(&format!("/v1/events?channel=work&from={cursor}")).await.body;
    let kinds: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].clone()).collect();
    assert_eq!(kinds, ["gap", "n"], "{lines}");
    let proof = daemon.headwater(&["verify", file.to_str().unwrap()]).await;
    assert!(proof.status.success(), "{proof:?}");
}

#[tokio::test]
async fn a_text_in_its_place_is_moved_aside() {
    let (daemon, last) = with_history().await;
    a_text(&daemon.path("state/history.db"));
    is_moved_aside(daemon, &last, "not a database").await;
}

#[tokio::test]
async fn another_programs_database_is_moved_aside() {
    let (daemon, last) = with_history().await;
    let file = daemon.path("state/history.db");
    fs::remove_file(&file).unwrap();
    sqlite(&file, "CREATE TABLE bookmarks(url TEXT); INSERT INTO bookmarks VALUES('x');").await;
    is_moved_aside(daemon, &last, "another program").await;
}

#[tokio::test]
async fn a_truncated_file_is_moved_aside() {
    let (daemon, last) = with_history().await;
    truncated(&daemon.path("state/history.db"));
    is_moved_aside(daemon, &last, "malformed").await;
}

#[tokio::test]
async fn a_file_whose_beginning_is_overwritten_is_moved_aside() {
    let (daemon, last) = with_history().await;
    overwritten_at_its_beginning(&daemon.path("state/history.db"));
    is_moved_aside(daemon, &last, "malformed").await;
}

#[tokio::test]
async fn a_file_that_another_daemon_has_is_left_to_it() {
    let (daemon, _) = with_history().await;
    let daemon = daemon.again().await;
    let (code, said) = does_not_start(&daemon).await;
    let in_use = format!("in use by process {}; stop that daemon", daemon.pid());
    assert!(code == Some(1) && said.contains("history.db") && said.contains(&in_use), "{code:?}: {said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    let count = daemon.get("/v1/history?channel=work&limit=10000").await.json()["count"].clone();
    assert_eq!(count, EVENTS, "the other one does not notice");
}

#[tokio::test]
async fn a_later_format_is_left_to_who_wrote_it() {
    let (daemon, _) = with_history().await;
    let file = daemon.path("state/history.db");
    sqlite(&file, "PRAGMA user_version = 99;").await;
    let before = fs::read(&file).unwrap();
    let (code, said) = does_not_start(&daemon).await;
    assert!(code == Some(1) && said.contains("a later Headwater (format 99"), "{code:?}: {said}");
    assert_eq!(fs::read(&file).unwrap(), before);
}

/// Damage in the middle is found by who reads there. The file is given up then, under the running daemon: what it held is
/// a gap, and nobody is kept waiting for it.
#[tokio::test]
async fn a_file_that_is_overwritten_in_its_middle_is_moved_aside_when_a_reader_finds_it() {
    let (daemon, last) = with_history().await;
    let file = daemon.path("state/history.db");
    let pages = fs::metadata(&file).unwrap().len() / 4096;
    let writable = fs::OpenOptions::new().write(true).open(&file).unwrap();
    for page in pages / 2..pages / 2 + 4 {
        writable.write_all_at(&[0x5a; 4096], page * 4096).unwrap();
    }
    let daemon = daemon.again().await;
    let mut alarms = daemon.client().await;
    alarms.subscribe_with(json!({"channels": "system_events", "from": "earliest"})).await;
    let mut reader = daemon.client().await;
    reader.subscribe_with(json!({"channels": "work", "from": "earliest"})).await;
    let corrupt = alarms.next().await;
    assert_eq!(
        (&corrupt["type"], &corrupt["data"]["channel"]),
        (&json!("history.corrupt"), &json!("work")),
        "{corrupt}"
    );
    let replaced = alarms.next().await;
    assert_eq!((&replaced["type"], &replaced["severity"]), (&json!("history.replaced"), &json!("error")), "{replaced}");
    let aside = replaced["data"]["moved_to"].as_str().expect("it is named").to_owned();
    assert!(Path::new(&aside).exists(), "{aside}");
    the_log_names(&daemon, &aside).await;
    // What stood before the damage may come; then the gap, to the last offset that the file had.
    let gap = reader.next_of("gap").await;
    assert_eq!((&gap["to"], &gap["reason"]), (&last["offset"], &json!("corruption")), "{gap}");
    let body = json!({"channel": "work", "type": "n", "data": {"n": 1}}).to_string();
    let answer = daemon.post("/v1/events", "application/json", &body).await;
    let place = &answer.json()["positions"][0];
    assert_eq!((answer.status, &place["offset"]), (202, &json!(EVENTS + 1)), "the numbering goes on: {}", answer.body);
    assert_eq!(reader.next().await["offset"], EVENTS + 1);
    let history = daemon.get("/v1/history?channel=work").await.json();
    assert_eq!((&history["count"], &history["gaps"][0]["to"]), (&json!(1), &last["offset"]), "{history}");
    let proof = daemon.headwater(&["verify", file.to_str().unwrap()]).await;
    assert!(proof.status.success(), "{proof:?}");
}
