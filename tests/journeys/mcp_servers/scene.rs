//! A scene: a daemon that reads a project's config files, and the story of what it tells of the servers in them.

use super::story::{Story, Word};
use expect_test::ExpectFile;
use headwater_tests::{Client, Daemon, World, built, eventually};
use serde_json::{Value, json};
use std::{
    fmt::Write,
    fs,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::process::Command;

/// How long a part of the story may take. Servers tell something all the time, so that waiting for events alone would not end.
const PART: Duration = Duration::from_mins(2);

/// A daemon whose only source is the one of MCP servers, and a reader of all that it tells.
pub(super) struct Scene {
    pub(super) daemon: Daemon,
    client: Client,
    story: Story,
    /// The events of this part.
    seen: Vec<Value>,
}

impl Scene {
    /// A project without any server, and the source with these settings, beside those that say what it reads.
    pub(super) async fn new(world: World, settings: &str) -> Self {
        let project = world.path("project");
        fs::create_dir_all(&project).unwrap();
        let settings =
            format!("{settings}\n[source.mcp.discovery]\nhome = \"\"\nprojects = [\"{}\"]\n", project.display());
        let daemon = world.plugin("mcp", &built("libheadwater_plugin_mcp.so"), &settings).start().await;
        let mut client = daemon.client().await;
        // Something comes each second, so that waiting has an end that is its own.
        client.subscribe(&["daemon_metrics"]).await;
        client.subscribe_with(json!({"channels": ["mcp_servers", "error_alerts"], "from": "earliest"})).await;
        client.next_of("mcp_source.opened").await;
        Self { daemon, client, story: Story::of_a_slow("filesystem"), seen: Vec::new() }
    }

    /// A path in the project.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.daemon.path("project").join(name)
    }

    /// Writes a file of the project as editors do.
    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        self.daemon.write(&format!("project/{name}"), text);
    }

    /// Writes `.mcp.json` with these servers.
    pub(super) fn servers(&self, servers: &Value) {
        self.write(".mcp.json", &json!({ "mcpServers": servers }).to_string());
    }

    /// What comes now is a new part of the story.
    pub(super) fn part(&mut self, heading: &str) {
        self.story.part(heading);
        self.seen.clear();
    }

    /// Listens until all of this has been told in this part.
    pub(super) async fn until(&mut self, wanted: &[(&str, Word<'_>)]) {
        let begun = Instant::now();
        let missing = |seen: &[Value]| {
            let is_told = |(server, word): &&(&str, Word<'_>)| !seen.iter().any(|event| word.is(server, event));
            wanted.iter().filter(is_told).copied().collect::<Vec<_>>()
        };
        while !missing(&self.seen).is_empty() {
            let event = self.client.next().await;
            self.story.tell(&event);
            if event["channel"] != "daemon_metrics" {
                self.seen.push(event);
            }
            let missing = missing(&self.seen);
            assert!(missing.is_empty() || begun.elapsed() < PART, "{missing:?} did not come:\n{}", self.story);
        }
    }

    /// What the command `list_mcp_servers` prints for a user.
    pub(super) async fn listed(&self) -> Vec<Value> {
        let output = self.daemon.headwater(&["command", "list_mcp_servers"]).await;
        assert!(output.status.success(), "{output:?}");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        answer["result"]["servers"].as_array().unwrap().clone()
    }

    /// Waits until a server's state is so.
    pub(super) async fn state(&self, server: &str, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        eventually(what, async || {
            let told = self.daemon.get("/v1/snapshot?channel=mcp_servers").await.json();
            let states = told["events"].as_array()?.iter().map(|event| &event["data"]);
            states.into_iter().find(|state| state["name"] == server && fits(state)).cloned()
        })
        .await
    }

    /// The process of a server, as it is told.
    pub(super) async fn pid(&self, server: &str) -> u64 {
        let state = self.state(server, "its process is told", |state| state["pid"].is_u64()).await;
        state["pid"].as_u64().unwrap()
    }

    /// Writes hashes into the settings, as a user does who has read them: of these servers, as they are told now.
    pub(super) async fn allow(&self, servers: &[&str]) {
        let settings = self.daemon.read("headwater.toml");
        let settings = settings.split("[source.mcp.spawn]").next().unwrap();
        let mut settings = format!("{}\n[source.mcp.spawn]\n", settings.trim_end());
        for state in self.listed().await.iter().filter(|state| servers.contains(&state["name"].as_str().unwrap())) {
            writeln!(settings, "{} = {}", state["id"], state["hash"]).unwrap();
        }
        self.daemon.write("headwater.toml", &settings);
    }

    /// Adds what each server is, as it is listed, to the story.
    pub(super) async fn list(&mut self) {
        for state in self.listed().await {
            let text = |key: &str| state[key].as_str().unwrap_or("–").to_owned();
            let info = &state["server_info"];
            let words = [
                format!("{:<14}{:<10}", text("name"), self.story.status(&text("name"), &text("status"))),
                format!("{:<9}", state["tools"].as_u64().map(|tools| format!("{tools} tools")).unwrap_or_default()),
                format!("{:<22}", format!("{} {}", text("era"), text("protocol_version"))),
                format!("{:<6}{:<7}", text("transport"), text("evidence_level")),
                format!("{} {}", info["name"].as_str().unwrap_or("–"), info["version"].as_str().unwrap_or("–")),
            ];
            self.story.add(words.join(" "));
        }
    }

    /// How many events of this part are so.
    pub(super) fn count(&self, fits: impl Fn(&Value) -> bool) -> usize {
        self.seen.iter().filter(|event| fits(event)).count()
    }

    /// Leaves out of the story what the journey has made for itself.
    pub(super) fn without(&mut self, begins: &str) {
        self.story.without(begins);
    }

    /// Compares the story with the golden one.
    pub(super) fn is(&self, golden: &ExpectFile) {
        golden.assert_eq(&self.story.to_string());
    }
}

/// Sends a signal to a process.
pub(super) async fn signal(pid: u64, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).stdin(Stdio::null()).status();
    assert!(status.await.unwrap().success(), "process {pid} runs");
}
