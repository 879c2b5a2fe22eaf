//! `exec` sources: programs in any language that speak lines.

use crate::world::World;
use headwater_config::{Program, SourceConfig};
use headwater_host::{Answer, CommandTarget, SourceState};
use serde_json::{json, value::RawValue};
use std::{fs, time::Duration};

/// A clock in Python that does all that a program can.
const CLOCK: &str = r#"
import json, sys, threading, time
def say(**line):
    print(json.dumps(line), flush=True)
say(headwater=1, name="clock", version="2.0", emits=["clock"], commands=[{"name": "now"}, "fall"], heartbeat=True)
print("a line for the log", file=sys.stderr, flush=True)
for line in sys.stdin:
    message = json.loads(line)
    kind = message["kind"]
    if kind == "config":
        say(channel="clock", type="began", data=message["settings"], attributes={"from": "python"})
        say(channel="elsewhere", type="t")
        print("this is no json", flush=True)
        say(channel="clock", type="tick", data={"n": 1}, severity="warning", key="k")
    elif kind == "heartbeat" and not message.get("deaf"):
        say(reply=message["request"], status="alive")
    elif kind == "command" and message["name"] == "now":
        say(reply=message["request"], status="accepted")
        say(reply=message["request"], status="completed", result={"got": message["parameters"]})
    elif kind == "command":
        print("it fell", file=sys.stderr, flush=True)
        sys.exit(4)
    elif kind == "stop":
        say(channel="clock", type="last", data=None)
"#;

fn program(world: &World, name: &str, text: &str) -> SourceConfig {
    fs::write(world.path(&format!("{name}.py")), text).unwrap();
    let mut config = SourceConfig::new(name, Program::Exec(vec!["python3".into(), format!("./{name}.py")]));
    config.directory = world.directory.path().into();
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_runs_answers_and_ends_like_a_plugin() {
    let mut world = World::new();
    let mut config = program(&world, "clock", CLOCK);
    config.settings.insert("zone".into(), json!("utc"));
    config.heartbeat = Duration::from_secs(2);
    world.start(config).await;
    world.until("a tick", || (world.count("clock", "tick") == 1).then_some(())).await;
    assert_eq!(world.payloads("clock", "began"), [json!({ "zone": "utc" })]);
    let status = world.until("its counters", || Some(world.status("clock")).filter(|status| status.events == 2)).await;
    assert_eq!((status.version.as_deref(), status.dropped), (Some("2.0"), 2));
    assert!(status.exec.is_some() && status.plugin.is_none() && status.pid.is_some());
    let told = world.told("clock", "source.dropped").await;
    assert!(told["reason"].as_str().unwrap().contains("[source.clock]"), "{told}");

    let (sent, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let answers = move |answer| sent.send(answer).unwrap();
    let parameters = RawValue::from_string(r#"{"a":1}"#.into()).unwrap();
    world.host.command(&CommandTarget::parse("now"), &parameters, None, Box::new(answers)).unwrap();
    assert!(matches!(heard.recv().await, Some(Answer::Accepted { .. })));
    let Some(Answer::Completed { result }) = heard.recv().await else { panic!("completed") };
    assert_eq!(result.get(), r#"{"got": {"a": 1}}"#);

    // What a client writes between tokens is no line of its own: here it would tell the program to stop.
    let (sent, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let forged = RawValue::from_string("{\"a\":\n{\"kind\":\"stop\"}\n}".into()).unwrap();
    let answers = move |answer| sent.send(answer).unwrap();
    world.host.command(&CommandTarget::parse("now"), &forged, None, Box::new(answers)).unwrap();
    assert!(matches!(heard.recv().await, Some(Answer::Accepted { .. })));
    let Some(Answer::Completed { result }) = heard.recv().await else { panic!("completed") };
    assert_eq!(result.get(), r#"{"got": {"a": {"kind": "stop"}}}"#);
    assert_eq!(world.count("clock", "last"), 0);

    world.remove("clock");
    world.apply().await;
    assert_eq!(world.count("clock", "last"), 1, "what it says after it was told to stop is not lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_fails_is_restarted_with_its_last_words() {
    let mut world = World::new();
    world.start(program(&world, "clock", CLOCK)).await;
    let target = CommandTarget::parse("fall");
    let parameters = RawValue::from_string("{}".into()).unwrap();
    world.host.command(&target, &parameters, None, Box::new(|_| {})).unwrap();
    let told = world.told("clock", "source.down").await;
    assert_eq!(told["reason"], "exited with 4; its last output: a line for the log / it fell");
    world.until("its return", || (world.status("clock").restarts == 1).then_some(())).await;
    world.state("clock", SourceState::Up).await;
    world.host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_wrong_program_has_one_clear_line() {
    let mut world = World::new();
    fs::write(world.path("plain.py"), "").unwrap();
    let exec = |words: &[&str]| Program::Exec(words.iter().map(|word| (*word).to_owned()).collect());
    for (name, command, reason) in [
        ("nowhere", exec(&["no-such-program"]), "there is no program `no-such-program` in PATH"),
        ("absent", exec(&["./absent.py"]), "there is no program "),
        ("plain", exec(&["./plain.py"]), "is not executable; `chmod +x` it"),
        ("silent", exec(&["sh", "-c", "exit 3"]), "exited with 3"),
        ("greets", exec(&["sh", "-c", "echo hello; sleep 100"]), "its first line is not the hello"),
        ("newer", exec(&["sh", "-c", "echo '{\"headwater\":9}'; sleep 100"]), "speaks version 9"),
    ] {
        let mut config = SourceConfig::new(name, command);
        config.directory = world.directory.path().into();
        world.set(config);
        let applied = world.apply().await;
        let said = &applied.failed[0].1;
        assert!(said.contains(reason) && !said.contains('\n'), "{name}: {said}");
        world.remove(name);
        world.apply().await;
    }
    world.host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_is_done_is_finished() {
    let mut world = World::new();
    let text = r#"
import json
print('{"headwater":1}')
print('{"channel":"once","type":"done"}', end="")
"#;
    world.set(program(&world, "once", text));
    world.apply().await;
    let status = world.state("once", SourceState::Down).await;
    assert_eq!((status.reason.as_deref(), status.events), (Some("finished"), 1), "the last line needs no newline");
    world.host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_ignores_stop_is_killed_with_all_that_it_started() {
    let mut world = World::new();
    let mut config = SourceConfig::new(
        "clings",
        Program::Exec(vec![
            "sh".into(),
            "-c".into(),
            "echo '{\"headwater\":1}'; sleep 1000 & echo \"{\\\"channel\\\":\\\"c\\\",\\\"type\\\":\\\"child\\\",\\\"data\\\":$!}\"; wait".into(),
        ]),
    );
    config.grace = Duration::from_millis(200);
    world.start(config).await;
    let child = world.until("its child", || world.payloads("clings", "child").pop()).await;
    world.host.shutdown().await;
    // Its parent is gone, so that whoever reaps it may not have done so yet.
    let state = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "{state}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_table_is_a_new_run_and_a_bad_one_brings_the_old_back() {
    let mut world = World::new();
    let text = r#"
import json, sys
settings = json.loads(sys.stdin.readline())["settings"]
if settings.get("bad"):
    sys.exit("cannot work with that")
print(json.dumps({"headwater": 1}), flush=True)
print(json.dumps({"channel": "c", "type": "began", "data": settings}), flush=True)
sys.stdin.readline()
"#;
    world.start(program(&world, "one", text)).await;
    let mut config = program(&world, "one", text);
    config.settings.insert("n".into(), json!(2));
    world.start(config.clone()).await;
    world.until("two runs", || (world.count("one", "began") == 2).then_some(())).await;
    config.settings.insert("bad".into(), json!(true));
    world.set(config);
    let applied = world.apply().await;
    assert_eq!(applied.failed[0].1, "exited with 1; its last output: cannot work with that");
    world.until("the old one", || (world.count("one", "began") == 3).then_some(())).await;
    assert_eq!(world.payloads("one", "began")[2], json!({ "n": 2 }));
    world.host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_lines_and_silence_are_no_harm() {
    let mut world = World::new();
    let text = r#"
import sys
print('{"headwater":1,"heartbeat":true}')
print("x" * 3000000)
print('{"channel":"c","type":"after"}', flush=True)
sys.stdin.read()
"#;
    let mut config = program(&world, "long", text);
    config.heartbeat = Duration::from_millis(300);
    world.start(config).await;
    world.until("the line after it", || (world.count("long", "after") >= 1).then_some(())).await;
    let told = world.told("long", "source.dropped").await;
    assert!(told["reason"].as_str().unwrap().contains("more than 1048576 bytes"), "{told}");
    assert_eq!(world.told("long", "source.down").await["reason"], "no heartbeat for 300 ms");
    world.host.shutdown().await;
}
