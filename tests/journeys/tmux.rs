//! People's tmux: what happens in a real server is told to a client of a real daemon, and nothing that is in the server can
//! do more than be told.

mod flood;
mod hostile;
mod killed;
mod lifecycle;
mod output;
mod servers;
mod wedged;

use crate::delivery::unlimited;
use headwater_tests::{Client, Daemon, Tmux, World, eventually};
use serde_json::{Value, json};

/// A tmux server that is watched, and a client that hears everything.
struct Scene {
    client: Client,
    daemon: Daemon,
    tmux: Tmux,
}

impl Scene {
    /// A server with one session, and all of it known.
    async fn of(settings: &str) -> Self {
        Self::with(Tmux::start().await, settings).await
    }

    /// This server, as soon as it is watched.
    async fn with(tmux: Tmux, settings: &str) -> Self {
        let daemon = World::new().config(&unlimited("30s")).tmux(&tmux, settings).start().await;
        is_watched(&daemon).await;
        let client = listener(&daemon).await;
        Self { client, daemon, tmux }
    }

    /// Runs a command of tmux.
    async fn run(&self, arguments: &[&str]) -> String {
        self.tmux.run(arguments).await
    }

    /// The next event of this type.
    async fn next(&mut self, kind: &str) -> Value {
        self.client.next_of(kind).await
    }

    /// The next event of this type with this in its data.
    async fn next_with(&mut self, kind: &str, key: &str, value: impl Into<Value>) -> Value {
        let value = value.into();
        self.client.next_that(|event| event["type"] == kind && event["data"][key] == value).await
    }
}

/// A client that hears what the source says from now on.
async fn listener(daemon: &Daemon) -> Client {
    let mut client = daemon.client().await;
    client.subscribe(&["tmux", "tmux_output"]).await;
    client
}

/// Waits until all that is in the server is known, and how it is watched: what happens then is told.
async fn is_watched(daemon: &Daemon) {
    daemon.source_is("tmux", "up").await;
    let mut client = daemon.client().await;
    let watched = async || {
        let status = &asked(&mut client, "status", json!({})).await["result"];
        (status["mode"] != "waiting" && status["panes"].as_u64() > Some(0)).then_some(())
    };
    eventually("the server is watched", watched).await;
}

/// What a command is answered with in the end.
async fn asked(client: &mut Client, command: &str, parameters: Value) -> Value {
    let request = json!({"type": "command", "command": command, "parameters": parameters, "request_id": command});
    client.send(&request).await;
    let ends = |answer: &Value| matches!(answer["type"].as_str(), Some("command_completed" | "command_error"));
    client.next_that(|answer| ends(answer) && answer["request_id"] == command).await
}

/// The ids of where something happened, such as `$0 @1 %1`; the attributes, by which clients filter, are the same.
fn ids(event: &Value) -> String {
    let id = |name: &str| {
        let id = event["data"][format!("{name}_id")].as_str();
        assert_eq!(event["attributes"][name].as_str(), id, "{event}");
        id.map(str::to_owned)
    };
    ["session", "window", "pane"].into_iter().filter_map(id).collect::<Vec<_>>().join(" ")
}
