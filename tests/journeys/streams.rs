//! Events for tools that are not ours: curl and jq as the README says, server-sent events across restarts, slow readers.

use headwater_tests::{Daemon, World, eventually, resident_bytes};
use serde_json::{Value, json};
use std::{path::Path, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStdout, Command},
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A shell command that is read while it runs.
struct Shell {
    lines: Lines<BufReader<ChildStdout>>,
    child: Child,
}

impl Shell {
    fn run(command: &str) -> Self {
        let mut shell = Command::new("sh");
        // One process group of its own: what is piped ends with it.
        shell.args(["-c", command]).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).process_group(0);
        let mut child = shell.spawn().unwrap();
        Self { lines: BufReader::new(child.stdout.take().unwrap()).lines(), child }
    }

    /// One line; `None` at the end.
    async fn line(&mut self) -> Option<String> {
        timeout(PATIENCE, self.lines.next_line()).await.expect("a line comes in time").unwrap()
    }

    async fn json(&mut self) -> Value {
        let line = self.line().await.expect("it goes on");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// The next record of server-sent events that has data, and the last id so far.
    async fn record(&mut self, id: &mut String) -> Value {
        let mut data = None;
        loop {
            let line = self.line().await.expect("it goes on");
            match line.split_once(": ") {
                Some(("data", text)) => data = Some(serde_json::from_str(text).unwrap()),
                Some(("id", text)) => text.clone_into(id),
                _ if line.is_empty() => {
                    if let Some(data) = data {
                        return data;
                    }
                }
                _ => {}
            }
        }
    }

    /// Waits until its output has ended.
    async fn ended(&mut self) -> Vec<String> {
        let mut rest = Vec::new();
        while let Some(line) = self.line().await {
            rest.push(line);
        }
        rest
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        if let Some(pid) = self.child.id() {
            let _ = std::process::Command::new("kill").args(["-KILL", "--", &format!("-{pid}")]).status();
        }
    }
}

fn url(daemon: &Daemon, query: &str) -> String {
    format!("http://{}/v1/events?{query}", daemon.address())
}

async fn publish(daemon: &Daemon, channel: &str, from: u64, to: u64, padding: usize) {
    let padding = "x".repeat(padding);
    for chunk in (from..=to).collect::<Vec<_>>().chunks(100) {
        let item = |n: &u64| json!({"channel": channel, "type": "n", "data": {"n": n, "padding": padding}}).to_string();
        let body = chunk.iter().map(item).collect::<Vec<_>>().join("\n");
        let answer = daemon.post("/v1/events", "application/x-ndjson", &body).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
    }
}

async fn metric(daemon: &Daemon, name: &str) -> u64 {
    let text = daemon.get("/metrics").await.body;
    let line = text.lines().find(|line| line.split([' ', '{']).next() == Some(name));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_else(|| panic!("no {name} in\n{text}"))
}

/// No rate stands in the way of a test that publishes much.
const UNLIMITED: &str = "[gateway.limits]\npublish_per_second = 0\n";

/// The line stands in the README; here it is run.
#[tokio::test]
async fn the_curl_line_of_the_readme_works() {
    let daemon = World::new().start().await;
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let line = readme.lines().find(|line| line.starts_with("curl -sN")).expect("the README has the line");
    assert!(line.contains("follow=1&where=") && line.ends_with("| jq .data"), "{line}");
    let here = line.replace("127.0.0.1:8765", &daemon.address().to_string());
    // On a terminal jq writes each event at once, in a pipe when it is told to.
    let mut shell = Shell::run(&here.replace("jq .data", "jq --unbuffered -c .data"));
    eventually("curl is connected", async || (metric(&daemon, "headwater_open_streams").await == 1).then_some(()))
        .await;
    let mut client = daemon.client().await;
    for (channel, ok) in [("build:1", true), ("build:1", false), ("other", false), ("build:2", false)] {
        client.publish(channel, "build.done", json!({"ok": ok, "on": channel})).await;
    }
    assert_eq!(shell.json().await, json!({"ok": false, "on": "build:1"}));
    assert_eq!(shell.json().await, json!({"ok": false, "on": "build:2"}));
    // Who interrupts curl leaves nothing behind.
    drop(shell);
    eventually("the stream is gone", async || (metric(&daemon, "headwater_open_streams").await == 0).then_some(()))
        .await;
}

#[tokio::test]
async fn a_wrong_query_says_what_is_wrong() {
    let daemon = World::new().start().await;
    let mut shell = Shell::run(&format!("curl -sN '{}' | jq -r .detail", url(&daemon, "chanel=a")));
    assert_eq!(shell.line().await.unwrap(), "`chanel` is no key of this query; did you mean `channel`?");
    let mut shell = Shell::run(&format!("curl -sN '{}' | jq -r .detail", url(&daemon, "where=data.n+=+4")));
    assert_eq!(shell.line().await.unwrap(), "filter, column 8: `=` compares nothing; use `==`");
}

#[tokio::test]
async fn what_curl_takes_compressed_is_the_same_and_small() {
    let daemon = World::new().start().await;
    publish(&daemon, "load", 1, 500, 300).await;
    let url = url(&daemon, "channel=load");
    let script =
        format!("curl -sN '{url}' | jq -c .data.n > plain && curl -sN --compressed '{url}' | jq -c .data.n > zipped");
    let compare = format!("cd {} && {script} && cmp plain zipped && wc -l < zipped", daemon.path(".").display());
    assert_eq!(Shell::run(&compare).ended().await, ["500"]);
    let size = "-o /dev/null -w '%{size_download}\\n'";
    let mut sizes = Shell::run(&format!("curl -sN '{url}' {size} && curl -sN --compressed '{url}' {size}"));
    let (plain, zipped) = (sizes.json().await.as_u64().unwrap(), sizes.json().await.as_u64().unwrap());
    assert!(zipped * 5 < plain, "{zipped} of {plain} bytes");
}

/// Longer away than memory holds, and the daemon was restarted meanwhile.
#[tokio::test]
async fn server_sent_events_go_on_behind_the_last_id_with_nothing_missing() {
    let mut daemon = World::new().config("[router]\nchannel_events = 100\n").config(UNLIMITED).start().await;
    publish(&daemon, "load", 1, 1_000, 10).await;
    let query = "channel=load&from=earliest";
    let sse = "curl -sN -H 'accept: text/event-stream'";
    let mut id = String::new();
    let mut shell = Shell::run(&format!("{sse} '{}'", url(&daemon, query)));
    for n in 1..=10 {
        assert_eq!(shell.record(&mut id).await["data"]["n"], n);
    }
    drop(shell);
    publish(&daemon, "load", 1_001, 2_000, 10).await;
    daemon.signal("TERM").await;
    assert_eq!(daemon.ended().await, Some(0));
    let daemon = daemon.again().await;
    publish(&daemon, "load", 2_001, 2_500, 10).await;
    let mut shell = Shell::run(&format!("{sse} -H 'last-event-id: {id}' '{}'", url(&daemon, query)));
    for n in 11..=2_500 {
        let event = shell.record(&mut id).await;
        assert_eq!((&event["data"]["n"], &event["offset"]), (&json!(n), &json!(n)), "{event}");
    }
    // And on.
    publish(&daemon, "load", 2_501, 2_501, 10).await;
    assert_eq!(shell.record(&mut id).await["data"]["n"], 2_501);
}

#[tokio::test]
async fn a_stream_ends_whole_when_the_daemon_does() {
    let mut daemon = World::new().start().await;
    let url = url(&daemon, "channel=load&follow=1");
    // curl's own exit code: 18 for a transfer that was cut.
    let mut shell = Shell::run(&format!("curl -sN '{url}' | cat; curl -sN --max-time 20 '{url}'; echo $?"));
    eventually("curl is connected", async || (metric(&daemon, "headwater_open_streams").await == 1).then_some(()))
        .await;
    let mut other = Shell::run(&format!("curl -sN '{url}'; echo $?"));
    eventually("curl is connected", async || (metric(&daemon, "headwater_open_streams").await == 2).then_some(()))
        .await;
    daemon.signal("TERM").await;
    assert_eq!(daemon.ended().await, Some(0));
    assert_eq!(other.ended().await, ["0"]);
    // The first has ended too; the second one of that shell found nobody (7: it could not connect).
    assert_eq!(shell.ended().await, ["7"]);
}

#[tokio::test]
async fn without_history_what_is_missing_is_a_line() {
    let config = "[history]\nenabled = false\n[router]\nchannel_events = 100\n";
    let daemon = World::new().config(config).config(UNLIMITED).start().await;
    publish(&daemon, "load", 1, 350, 10).await;
    let epoch = {
        let mut shell = Shell::run(&format!("curl -sN '{}' | jq -c .", url(&daemon, "channel=load&limit=1")));
        let first = shell.json().await;
        assert_eq!(first["offset"], 251, "memory holds the last hundred");
        first["epoch"].as_str().unwrap().to_owned()
    };
    let from = format!("channel=load&from=load@{epoch}:40");
    let mut shell = Shell::run(&format!("curl -sN '{}'", url(&daemon, &from)));
    let mut gap = shell.json().await;
    assert!(gap.as_object_mut().unwrap().remove("timestamp").is_some_and(|time| time.is_string()));
    let expected =
        json!({"type": "gap", "channel": "load", "epoch": epoch, "from": 41, "to": 250, "reason": "retention"});
    assert_eq!(gap, expected);
    let rest = shell.ended().await;
    assert_eq!((rest.len(), rest[0].contains("\"offset\":251")), (100, true));
}

/// Readers that take nothing cost the daemon next to nothing, and those that read notice nothing of them.
#[tokio::test]
async fn stalled_streams_cost_no_memory_and_are_cut() {
    const STALLED: u64 = 20;
    let config = "[gateway]\nstall_timeout = \"3s\"\n";
    let daemon = World::new().config(config).config(UNLIMITED).start().await;
    publish(&daemon, "load", 1, 2_000, 10_000).await;
    let mut reader =
        Shell::run(&format!("curl -sN '{}' | jq --unbuffered -c .data.n", url(&daemon, "channel=load&follow=1")));
    eventually("curl is connected", async || (metric(&daemon, "headwater_open_streams").await == 1).then_some(()))
        .await;
    let before = resident_bytes(daemon.pid());
    let mut stalled = Vec::new();
    for _ in 0..STALLED {
        let mut stream = TcpStream::connect(daemon.address()).await.unwrap();
        stream.write_all(b"GET /v1/events?from=earliest&follow=1 HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        // The head has come: it is being served.
        stream.read_exact(&mut [0; 12]).await.unwrap();
        stalled.push(stream);
    }
    publish(&daemon, "load", 2_001, 2_300, 10_000).await;
    for n in 2_001..=2_300 {
        assert_eq!(reader.json().await, n);
    }
    let grown = resident_bytes(daemon.pid()).saturating_sub(before);
    eprintln!("{STALLED} stalled readers: {} KiB each", grown / 1024 / STALLED);
    assert!(grown < STALLED << 20, "{grown} bytes for {STALLED} readers that take nothing");
    eventually("they are cut", async || (metric(&daemon, "headwater_open_streams").await == 1).then_some(())).await;
}
