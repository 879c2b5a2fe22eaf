//! The unix socket: programs of this machine that publish and read with no library and no port.

use headwater_tests::{Daemon, World, python};
use serde_json::{Value, json};
use std::process::Stdio;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    process::Command,
    time::timeout,
};

struct Socket {
    lines: Lines<BufReader<OwnedReadHalf>>,
    input: OwnedWriteHalf,
}

impl Socket {
    async fn open(daemon: &Daemon) -> Self {
        let stream = UnixStream::connect(daemon.path("bus.socket")).await.unwrap();
        let (output, input) = stream.into_split();
        Self { lines: BufReader::new(output).lines(), input }
    }

    async fn say(&mut self, text: &str) {
        self.input.write_all(text.as_bytes()).await.unwrap();
    }

    async fn next(&mut self) -> Value {
        let line = timeout(headwater_tests::PATIENCE, self.lines.next_line()).await.expect("a line comes in time");
        serde_json::from_str(&line.unwrap().expect("the socket is open")).unwrap()
    }
}

async fn world() -> Daemon {
    World::new().config("[gateway]\nsocket = \"bus.socket\"\n").start().await
}

#[tokio::test]
async fn lines_go_in_and_events_come_out_with_positions_and_gaps_like_everywhere() {
    let daemon = world().await;
    let mut reader = Socket::open(&daemon).await;
    reader
        .say("{\"type\":\"subscribe\",\"channels\":\"a*\",\"filter\":{\"where\":\"data.n > 1\"},\"request_id\":1}\n")
        .await;
    let answer = reader.next().await;
    assert_eq!(
        (&answer["type"], &answer["status"], &answer["request_id"]),
        (&json!("subscription_response"), &json!("success"), &json!(1))
    );
    let mut writer = Socket::open(&daemon).await;
    // An event as over HTTP, in two pieces; a publish message that is answered; a line without an end.
    writer.say("{\"channel\":\"a\",\"type\":\"t\",\"data\":{\"n\":1}}\n\n{\"channel\":\"a\",\"ty").await;
    writer.say("pe\":\"t\",\"data\":{\"n\":2}}\n").await;
    writer
        .say("{\"type\":\"publish\",\"channel\":\"a\",\"event\":\"t\",\"data\":{\"n\":3},\"request_id\":\"p\"}\n")
        .await;
    let answer = writer.next().await;
    assert_eq!((&answer["positions"][0]["offset"], &answer["request_id"]), (&json!(3), &json!("p")), "{answer}");
    writer.say("{\"channel\":\"a\",\"type\":\"t\",\"data\":{\"n\":4}}").await;
    drop(writer);
    for n in [2, 3, 4] {
        let event = reader.next().await;
        assert_eq!((&event["offset"], &event["data"]["n"]), (&json!(n), &json!(n)), "{event}");
    }
    // A position that is no longer there is a gap, as everywhere.
    let from = "{\"epoch\":\"0000000000000000\",\"offset\":7}";
    reader.say(&format!("{{\"type\":\"subscribe\",\"channels\":\"a\",\"from\":{from}}}\n")).await;
    assert_eq!(reader.next().await["type"], "subscription_response");
    let gap = reader.next().await;
    assert_eq!((&gap["type"], &gap["reason"]), (&json!("gap"), &json!("epoch_change")), "{gap}");
}

#[tokio::test]
async fn a_bad_line_is_named_and_the_others_are_published() {
    let daemon = world().await;
    let mut socket = Socket::open(&daemon).await;
    socket.say("{\"channel\":\"a\",\"type\":\"t\"}\n{\"channel\":\"a b\",\"type\":\"t\"}\nnonsense\n").await;
    for (code, word) in [("VALIDATION_ERROR", "line 2"), ("INVALID_JSON", "line 3")] {
        let error = socket.next().await;
        assert_eq!((&error["type"], &error["error_code"]), (&json!("error"), &json!(code)), "{error}");
        assert!(error["message"].as_str().unwrap().contains(word), "{error}");
    }
    socket.say("{\"type\":\"command\",\"command\":\"x\",\"request_id\":1}\n").await;
    assert!(socket.next().await["message"].as_str().unwrap().contains("/v1/stream"));
    let long = format!("{{\"channel\":\"a\",\"type\":\"t\",\"data\":\"{}\"}}", "x".repeat(70_000));
    socket.say(&long).await;
    let error = socket.next().await;
    assert!(error["message"].as_str().unwrap().contains("max_message_bytes"), "{error}");
    assert!(socket.lines.next_line().await.unwrap().is_none(), "it is closed");
    let channels = daemon.get("/v1/channels").await.json();
    let a = channels["channels"].as_array().unwrap().iter().find(|channel| channel["channel"] == "a").cloned();
    assert_eq!(a.unwrap()["head"], 1, "the good line is in, the bad ones are not");
}

#[tokio::test]
async fn the_file_goes_with_the_daemon_and_a_killed_daemons_file_is_taken_over() {
    let mut daemon = world().await;
    let path = daemon.path("bus.socket");
    daemon.signal("KILL").await;
    daemon.ended().await;
    assert!(path.exists(), "a killed daemon leaves it");
    let mut daemon = daemon.again().await;
    Socket::open(&daemon).await;
    daemon.signal("TERM").await;
    assert_eq!(daemon.ended().await, Some(0));
    assert!(!path.exists());
}

/// The few lines that a script needs.
const SCRIPT: &str = r#"
import socket, sys
with socket.socket(socket.AF_UNIX) as bus:
    bus.connect(sys.argv[1])
    for n in range(1000):
        bus.sendall(b'{"channel":"script","type":"step","data":%d}\n' % n)
"#;

#[tokio::test]
async fn a_script_needs_no_library() {
    let daemon = world().await;
    let mut client = daemon.client().await;
    client.subscribe(&["script"]).await;
    let mut script = Command::new(python())
        .args(["-c", SCRIPT])
        .arg(daemon.path("bus.socket"))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    for n in 0..1000 {
        assert_eq!(client.next().await["data"], n);
    }
    assert!(script.wait().await.unwrap().success());
}
