//! What agents run as their hook: it reaches the bus, and whatever is wrong, the agent does not notice.

use headwater_tests::{Client, Daemon, World};
use serde_json::{Value, json};
use std::{
    process::{Output, Stdio},
    time::{Duration, Instant},
};
use tokio::{io::AsyncWriteExt, net::TcpListener, process::Command, time::timeout};

/// Far above the 50 ms that are promised, and far below any patience of the system's: a machine under test is busy.
const SOON: Duration = Duration::from_secs(10);

fn command(daemon: &Daemon, words: &[&str]) -> Command {
    let mut command = daemon.command(words);
    for variable in ["CLAUDE_CONFIG_DIR", "CODEX_HOME", "HEADWATER_SPOOL", "HEADWATER_TEXT"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn hook(daemon: &Daemon, words: &[&str], input: &[u8]) -> Output {
    let mut child = command(daemon, words).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A hook whose time is up leaves the rest unread.
    let _ = stdin.write_all(input).await;
    drop(stdin);
    child.wait_with_output().await.unwrap()
}

/// Runs a hook until it is heard: on a machine that is busy enough, 50 ms are not enough, and a report is lost as promised.
async fn heard(daemon: &Daemon, client: &mut Client, words: &[&str], input: &[u8]) -> Value {
    for _ in 0..20 {
        let output = hook(daemon, words, input).await;
        assert!(is_silent(&output), "{words:?}: {output:?}");
        if let Ok(event) = timeout(Duration::from_secs(1), client.next()).await {
            return event;
        }
    }
    panic!("{words:?} is not heard");
}

/// Exit code 0, and not a byte of output.
fn is_silent(output: &Output) -> bool {
    output.status.code() == Some(0) && output.stdout.is_empty() && output.stderr.is_empty()
}

async fn subscribed(daemon: &Daemon) -> Client {
    let mut client = daemon.client().await;
    client.subscribe(&["agent_hooks"]).await;
    client
}

#[tokio::test]
async fn a_hook_reaches_the_bus_with_its_caller_and_without_text() {
    let pane = World::new().env("TMUX_PANE", "%3").env("TMUX", "/tmp/tmux-0/default,42,0");
    let daemon = pane.start().await;
    let mut client = subscribed(&daemon).await;
    let prompt = json!({"hook_event_name": "UserPromptSubmit", "session_id": "s1", "prompt": "my secret"});
    let event = heard(&daemon, &mut client, &["hook", "run", "claude"], prompt.to_string().as_bytes()).await;
    let data = &event["data"];
    assert_eq!(event["type"], "hook.claude");
    assert_eq!(
        data["payload"],
        json!({"hook_event_name": "UserPromptSubmit", "session_id": "s1", "prompt_bytes": 9}),
        "the size and not the text: {event}"
    );
    assert_eq!(data["processes"][0]["pid"], std::process::id(), "whoever ran the hook is the first: {event}");
    assert_eq!(data["tmux"], json!({"pane": "%3", "server": "/tmp/tmux-0/default,42,0"}));
    let words = ["hook", "run", "claude", "--text"];
    let event = heard(&daemon, &mut client, &words, prompt.to_string().as_bytes()).await;
    assert_eq!(event["data"]["payload"]["prompt"], "my secret");
    let notify = r#"{"type":"agent-turn-complete","thread-id":"t1"}"#;
    let event = heard(&daemon, &mut client, &["hook", "run", "codex_notify", notify], b"").await;
    assert_eq!((&event["type"], &event["data"]["payload"]["thread-id"]), (&json!("hook.codex_notify"), &json!("t1")));
}

#[tokio::test]
async fn whatever_is_wrong_the_agent_does_not_notice() {
    let daemon = World::new().start().await;
    // Takes connections and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    let large = vec![b'x'; 6 << 20];
    for (words, input) in [
        (&["hook", "run", "claude", "--url", "http://127.0.0.1:9"][..], &b"{}"[..]),
        (&["--url", &silent, "hook", "run", "claude"], b"{}"),
        (&["hook", "run", "claude", "--url", "no url at all"], b"{}"),
        (&["hook", "run", "claude"], b"{\"half\": "),
        (&["hook", "run", "claude"], b"\xff\xfe"),
        (&["hook", "run", "claude"], b""),
        (&["hook", "run", "claude"], &large),
        (&["hook", "run", "nobody"], b"{}"),
        (&["hook", "run", "../../v1/reload"], b"{}"),
        (&["hook", "run", "claude", "--no-such-option"], &large),
        (&["hook", "run"], b"{}"),
        (&["hook", "run", "claude", "{}", "{}"], b""),
        (&["hook", "run", "claude", "--spool", "/proc/no/such/place", "--url", "http://127.0.0.1:9"], b"{}"),
    ] {
        let begun = Instant::now();
        let output = hook(&daemon, words, input).await;
        assert!(is_silent(&output), "{words:?}: {output:?}");
        assert!(begun.elapsed() < SOON, "{words:?}");
    }
    // An agent that forgets to close the pipe.
    let begun = Instant::now();
    let mut child = command(&daemon, &["hook", "run", "claude"]).spawn().unwrap();
    let open = child.stdin.take();
    assert!(is_silent(&child.wait_with_output().await.unwrap()) && begun.elapsed() < SOON);
    drop(open);
}

/// The reports in the spool. The file of its lock is empty.
fn spooled(daemon: &Daemon) -> Vec<Value> {
    let files = std::fs::read_dir(daemon.path("spool")).into_iter().flatten();
    let reports = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let reports = reports.filter(|report| !report.is_empty()).inspect(|report| assert!(!report.contains("my secret")));
    reports.map(|report| serde_json::from_str(&report).unwrap()).collect()
}

/// A time to the millisecond.
fn millisecond(time: &Value) -> String {
    time.as_str().unwrap()[..23].to_owned()
}

/// The times of two reports that were kept while the daemon was away, and what it heard of them when it was back. `None`: a
/// hook had too little time on a machine that is too busy, and its report is lost as promised.
async fn kept_and_sent() -> Option<(Vec<String>, Vec<Value>)> {
    let mut daemon = World::new().start().await;
    daemon.signal("TERM").await;
    assert_eq!(daemon.ended().await, Some(0));
    let words = ["hook", "run", "claude", "--spool", "spool"];
    for n in [1, 2] {
        let payload = json!({"hook_event_name": "Stop", "session_id": "s1", "turn": n, "prompt": "my secret"});
        assert!(is_silent(&hook(&daemon, &words, payload.to_string().as_bytes()).await));
    }
    let mut times: Vec<_> = spooled(&daemon).iter().map(|report| millisecond(&report["time"])).collect();
    times.sort();
    if times.len() < 2 {
        return None;
    }
    let daemon = daemon.again().await;
    let mut client = subscribed(&daemon).await;
    let now = br#"{"hook_event_name":"Stop","session_id":"s1","turn":3}"#;
    let mut late = Vec::new();
    while late.len() < 2 {
        match timeout(Duration::from_secs(1), client.next()).await {
            Ok(event) if event["data"]["payload"]["turn"] == 3 => {
                assert!(millisecond(&event["timestamp"]) > times[1], "{event}, {times:?}");
            }
            Ok(event) => late.push(event),
            // A hook that has too little time sends its own report first, and the next one sends what is kept.
            Err(_) if spooled(&daemon).iter().any(|report| report["payload"]["turn"] != 3) => {
                assert!(is_silent(&hook(&daemon, &words, now).await));
            }
            Err(_) => return None,
        }
    }
    Some((times, late))
}

#[tokio::test]
async fn what_happened_while_the_daemon_was_away_comes_later_with_its_time() {
    for _ in 0..20 {
        let Some((times, late)) = kept_and_sent().await else { continue };
        for (event, (turn, kept)) in late.iter().zip([1, 2].into_iter().zip(&times)) {
            assert_eq!(event["data"]["payload"]["turn"], turn, "the oldest first: {event}");
            assert_eq!(millisecond(&event["timestamp"]), *kept, "{event}");
        }
        return;
    }
    panic!("what was kept is not heard");
}

#[tokio::test]
async fn hooks_are_installed_and_heard_and_taken_out() {
    let daemon = World::new().start().await;
    std::fs::create_dir(daemon.path(".claude")).unwrap();
    let settings = "{\n  \"model\": \"opus\"\n}\n";
    daemon.write(".claude/settings.json", settings);
    let run = async |words: &[&str]| {
        let output = hook(&daemon, words, b"").await;
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    assert_eq!(run(&["hook", "status", "claude"]).await["status"], "missing");
    assert_eq!(run(&["hook", "install", "claude"]).await["status"], "written");
    let status = run(&["hook", "status", "claude"]).await;
    assert_eq!((&status["status"], status.get("last_heard")), (&json!("installed"), None));
    // As the agent does it: the line in its settings, by a shell.
    let written: Value = serde_json::from_str(&daemon.read(".claude/settings.json")).unwrap();
    let line = written["hooks"]["Stop"][0]["hooks"][0]["command"].as_str().unwrap();
    let mut client = subscribed(&daemon).await;
    let mut event = None;
    for _ in 0..20 {
        let mut shell = Command::new("sh").arg("-c").arg(line).stdin(Stdio::piped()).spawn().unwrap();
        shell.stdin.take().unwrap().write_all(br#"{"hook_event_name":"Stop","session_id":"s1"}"#).await.unwrap();
        assert!(shell.wait().await.unwrap().success());
        event = timeout(Duration::from_secs(1), client.next()).await.ok();
        if event.is_some() {
            break;
        }
    }
    assert_eq!(event.expect("the hook is heard")["data"]["payload"]["hook_event_name"], "Stop");
    assert!(run(&["hook", "status", "claude"]).await["last_heard"].is_string());
    assert_eq!(run(&["hook", "uninstall", "claude"]).await["status"], "removed");
    assert_eq!(daemon.read(".claude/settings.json"), settings);
}
