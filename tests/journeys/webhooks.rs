//! Endpoints in other languages get events: signed, in order, over restarts and reloads, as docs/webhooks.md says.

use headwater_tests::{Daemon, Endpoint, World, eventually, fixture, python, resident_bytes};
use serde_json::{Value, json};
use std::path::Path;
use tokio::process::Command;

const PAGE: &str = include_str!("../../docs/webhooks.md");

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD4YB2KcCF5rE=";

/// A server around `take`. While the file of its argument exists, it refuses everything.
const PYTHON: &str = r#"
import json, os.path, ssl, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Endpoint(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        refused = os.path.exists(sys.argv[1])
        post = {"id": headers["webhook-id"], "body": json.loads(body), "refused": refused, "good": take(headers, body)}
        post["forged"] = take({**headers, "webhook-id": "another"}, body)
        self.send_response(503 if refused else 204 if post["good"] else 401)
        self.send_header("content-length", "0")
        self.end_headers()
        print(json.dumps(post), flush=True)

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
"#;

const NODE: &str = r#"
const { existsSync } = require("node:fs");
const server = require("node:http").createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part)).on("end", () => {
    const body = Buffer.concat(parts), headers = request.headers, refused = existsSync(process.argv[1]);
    const good = take(headers, body), forged = take({ ...headers, "webhook-id": "another" }, body);
    response.writeHead(refused ? 503 : good ? 204 : 401).end();
    console.log(JSON.stringify({ id: headers["webhook-id"], body: JSON.parse(body), refused, good, forged }));
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
"#;

/// The block of this language on the page.
fn block(language: &str) -> &'static str {
    let start = PAGE.split_once(&format!("```{language}\n")).expect("the page has such a block").1;
    start.split_once("```").expect("the block ends").0
}

async fn in_python(refuse: &Path, tls: Option<&Path>) -> Endpoint {
    let mut command = Command::new(python());
    command.args(["-c", &format!("{}\n{PYTHON}", block("python"))]).arg(refuse).args(tls);
    Endpoint::start(command.env("FAILED_BUILDS_SECRET", SECRET)).await
}

async fn in_node(refuse: &Path) -> Endpoint {
    let mut command = Command::new("node");
    command.args(["-e", &format!("{}\n{NODE}", block("js"))]).arg(refuse);
    Endpoint::start(command.env("FAILED_BUILDS_SECRET", SECRET)).await
}

fn hook(name: &str, url: &str, more: &str) -> String {
    format!(
        "[[webhook]]\nname = \"{name}\"\nurl = \"{url}\"\nchannels = [\"build:*\"]\nsecret = {{ env = \"HOOK_SECRET\" }}\n\
         backoff_min = \"10ms\"\nbackoff_max = \"100ms\"\n{more}\n"
    )
}

fn at(endpoint: &Endpoint) -> String {
    format!("http://127.0.0.1:{}/hook", endpoint.port())
}

async fn build(daemon: &Daemon, code: u64) -> Value {
    let event = json!({"channel": "build:7", "type": "build.finished", "data": {"exit_code": code}});
    let answer = daemon.post("/v1/events", "application/json", &event.to_string()).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    answer.json()
}

/// Our own verifier would agree with our own mistakes.
#[tokio::test]
async fn other_peoples_verifiers_find_the_signature_good() {
    let world = World::new().env("HOOK_SECRET", SECRET);
    let refuse = world.path("refuse");
    let (mut python, mut node) = (in_python(&refuse, None).await, in_node(&refuse).await);
    let daemon = world
        .config(&hook("python", &at(&python), "filter = { where = \"data.exit_code != 0\" }"))
        .config(&hook("node", &at(&node), ""))
        .start()
        .await;
    build(&daemon, 0).await;
    build(&daemon, 2).await;
    assert_eq!(node.next().await["body"]["data"]["exit_code"], 0);
    for post in [python.next().await, node.next().await] {
        assert_eq!((&post["good"], &post["forged"]), (&true.into(), &false.into()), "{post}");
        assert_eq!(post["body"]["data"]["exit_code"], 2, "{post}");
        assert_eq!((&post["id"], &post["body"]["channel"]), (&post["body"]["message_id"], &"build:7".into()));
    }
}

#[tokio::test]
async fn an_endpoint_is_reached_over_tls_when_its_certificate_is_good() {
    let certificate = fixture("tls/localhost.pem");
    let world = World::new().env("HOOK_SECRET", SECRET);
    let refuse = world.path("refuse");
    let mut endpoint = in_python(&refuse, Some(&certificate)).await;
    let url = format!("https://localhost:{}/hook", endpoint.port());
    let trusting =
        world.env("SSL_CERT_FILE", certificate.to_str().unwrap()).config(&hook("tls", &url, "")).start().await;
    build(&trusting, 1).await;
    assert_eq!(endpoint.next().await["good"], true);

    let doubting = World::new().env("HOOK_SECRET", SECRET).config(&hook("tls", &url, "max_attempts = 1")).start().await;
    let mut client = doubting.client().await;
    client.subscribe(&["webhooks.dead_letter"]).await;
    build(&doubting, 1).await;
    let letter = client.next_of("webhook.dead_letter").await;
    assert!(letter["data"]["error"].as_str().unwrap().contains("certificate"), "{letter}");
}

#[tokio::test]
async fn a_reload_adds_changes_and_removes_webhooks_and_disconnects_nobody() {
    let world = World::new().env("HOOK_SECRET", SECRET);
    let refuse = world.path("refuse");
    let (mut one, mut two) = (in_python(&refuse, None).await, in_node(&refuse).await);
    let daemon = world.start().await;
    let mut client = daemon.client().await;
    client.subscribe(&["system_events"]).await;

    daemon.write("headwater.toml", &hook("x", &at(&one), ""));
    let reloaded = client.next_of("config.reloaded").await;
    assert_eq!(reloaded["data"]["changes"], json!(["+ webhook.x"]));
    assert_eq!(reloaded["data"]["webhooks"]["started"], json!(["x"]));
    build(&daemon, 1).await;
    assert_eq!(one.next().await["body"]["data"]["exit_code"], 1);

    let broken = hook("x", &at(&one), "filter = { where = \"data.exit_code = 2\" }");
    daemon.write("headwater.toml", &broken);
    let refused = client.next_of("config.refused").await;
    let error = &refused["data"]["errors"][0];
    assert_eq!((&error["code"], &error["line"]), (&"E0401".into(), &8.into()), "{refused}");
    let checked = daemon.headwater(&["check", "--config", "headwater.toml"]).await;
    assert_eq!(checked.status.code(), Some(78));
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(said.contains("headwater.toml:8:36"), "{said}");

    daemon.write("headwater.toml", &hook("x", &at(&two), ""));
    let reloaded = client.next_of("config.reloaded").await;
    assert_eq!(reloaded["data"]["webhooks"]["restarted"], json!(["x"]));
    build(&daemon, 2).await;
    assert_eq!(two.next().await["body"]["data"]["exit_code"], 2, "it goes on where it was");

    daemon.write("headwater.toml", "");
    let reloaded = client.next_of("config.reloaded").await;
    assert_eq!(reloaded["data"]["changes"], json!(["- webhook.x"]));
    assert!(!daemon.log().contains("whsec_"), "{}", daemon.log());
}

/// A daemon that did not start without one secret would take everything else with it.
#[tokio::test]
async fn a_webhook_without_its_secret_is_told_and_nothing_else_waits_for_it() {
    let world = World::new();
    let refuse = world.path("refuse");
    let mut endpoint = in_python(&refuse, None).await;
    let hook = hook("x", &at(&endpoint), "").replace("env = \"HOOK_SECRET\"", "file = \"hook.secret\"");
    let daemon = world.config(&hook).start().await;
    let webhook = daemon.get("/v1/webhooks").await.json()["webhooks"][0].clone();
    assert_eq!(webhook["state"], "failed");
    assert!(webhook["reason"].as_str().unwrap().contains("hook.secret cannot be read: there is none"), "{webhook}");
    let answer = daemon.post("/v1/reload", "application/json", "").await.json();
    assert_eq!(answer["failed_webhooks"][0]["webhook"], "x", "{answer}");
    daemon.write("hook.secret", SECRET);
    let answer = daemon.post("/v1/reload", "application/json", "").await.json();
    assert_eq!(answer["failed_webhooks"], json!([]), "{answer}");
    build(&daemon, 1).await;
    assert_eq!(endpoint.next().await["good"], true);
}

#[tokio::test]
async fn after_a_restart_a_webhook_goes_on_with_what_was_not_taken() {
    let world = World::new().env("HOOK_SECRET", SECRET);
    let refuse = world.path("refuse");
    let mut endpoint = in_python(&refuse, None).await;
    let mut daemon = world.config(&hook("x", &at(&endpoint), "max_attempts = 1000")).start().await;
    build(&daemon, 1).await;
    assert_eq!(endpoint.next().await["body"]["data"]["exit_code"], 1);
    std::fs::write(&refuse, "").unwrap();
    build(&daemon, 2).await;
    let refused = endpoint.next().await;
    assert_eq!((&refused["refused"], &refused["body"]["data"]["exit_code"]), (&true.into(), &2.into()));
    daemon.signal("TERM").await;
    daemon.ended().await;
    std::fs::remove_file(&refuse).unwrap();
    let daemon = daemon.again().await;
    build(&daemon, 3).await;
    let taken = loop {
        let post = endpoint.next().await;
        if post["refused"] == false {
            break post;
        }
    };
    assert_eq!(taken["id"], refused["id"], "the one that was refused, and not the first once more: {taken}");
    assert_eq!(endpoint.next().await["body"]["data"]["exit_code"], 3);
}

/// The log and the history are the queue: what an endpoint misses costs disk, not memory.
#[tokio::test]
async fn an_outage_longer_than_memory_holds_costs_no_memory_and_loses_nothing() {
    const EVENTS: u64 = 2_000;
    let world = World::new().env("HOOK_SECRET", SECRET).config("[router]\nmemory = \"1MiB\"\nchannel_bytes = \"1MiB\"");
    let refuse = world.path("refuse");
    let mut endpoint = in_node(&refuse).await;
    let daemon = world.config(&hook("x", &at(&endpoint), "max_attempts = 1000")).start().await;
    std::fs::write(&refuse, "").unwrap();
    build(&daemon, 0).await;
    assert_eq!(endpoint.next().await["refused"], true);

    let padding = "x".repeat(10_000);
    let publish = async |numbers: std::ops::Range<u64>| {
        for first in numbers.step_by(20) {
            let event = |n| json!({"channel": "build:7", "type": "t", "data": {"exit_code": n, "padding": padding}});
            let batch: Vec<Value> = (first..first + 20).map(event).collect();
            let answer = daemon.post("/v1/events", "application/json", &Value::from(batch).to_string()).await;
            assert_eq!(answer.status, 202, "{}", answer.body);
        }
    };
    // Until every buffer has its size.
    publish(1..501).await;
    let before = resident_bytes(daemon.pid());
    publish(501..EVENTS + 1).await;
    let grown = resident_bytes(daemon.pid()).saturating_sub(before);
    println!("{} KiB more after {} KiB", grown >> 10, (EVENTS - 500) * 10_000 / 1024);
    assert!(grown < 4 << 20, "{grown} bytes more");

    std::fs::remove_file(&refuse).unwrap();
    let mut expected = 0;
    while expected <= EVENTS {
        let post = endpoint.next().await;
        if post["refused"] == false {
            assert_eq!(post["body"]["data"]["exit_code"], expected, "{}", post["body"]["type"]);
            expected += 1;
        }
    }
}

#[tokio::test]
async fn what_a_dead_endpoint_does_not_take_is_in_the_dead_letter_channel() {
    let world = World::new().env("HOOK_SECRET", SECRET);
    let daemon = world.config(&hook("dead", "http://127.0.0.1:9/hook?token=hunter2", "max_attempts = 3")).start().await;
    let mut client = daemon.client().await;
    client.subscribe(&["webhooks.dead_letter"]).await;
    build(&daemon, 7).await;
    let letter = client.next_of("webhook.dead_letter").await;
    let data = &letter["data"];
    assert_eq!((&data["webhook"], &data["attempts"]), (&"dead".into(), &3.into()), "{letter}");
    assert_eq!(data["url"], "http://127.0.0.1:9/hook");
    assert_eq!((&data["event"]["type"], &data["event"]["data"]["exit_code"]), (&"build.finished".into(), &7.into()));
    eventually("the log says so", async || daemon.log().contains("dead-letter").then_some(())).await;
    let shown = daemon.get("/v1/webhooks").await.json();
    let webhook = &shown["webhooks"][0];
    assert_eq!(
        (&webhook["name"], &webhook["dead_letters"], &webhook["failures"]),
        (&"dead".into(), &1.into(), &3.into())
    );
    assert_eq!(
        (&webhook["positions"][0]["channel"], &webhook["positions"][0]["offset"]),
        (&"build:7".into(), &1.into())
    );
    assert!(!shown.to_string().contains("hunter2"), "{shown}");
    let metrics = daemon.get("/metrics").await.body;
    assert!(metrics.contains("headwater_webhook_dead_letters_total{webhook=\"dead\"} 1"), "{metrics}");
    assert!(!daemon.log().contains("hunter2"), "{}", daemon.log());
}
