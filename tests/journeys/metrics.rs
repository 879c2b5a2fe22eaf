//! What the machine does, as people read it: figures beside an independent count of the same time, the daemon's own
//! answers, panes and what they use, alerts that outlive a restart.

mod counted;

use counted::{Counters, Load};
use headwater_tests::{Client, Daemon, Tmux, World, built, eventually};
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};

fn world(settings: &str) -> World {
    World::new().plugin("metrics", &built("libheadwater_plugin_metrics.so"), settings)
}

async fn listener(daemon: &Daemon, channels: &[&str]) -> Client {
    daemon.source_is("metrics", "up").await;
    let mut client = daemon.client().await;
    client.subscribe(channels).await;
    client
}

/// What a command is answered with in the end.
async fn asked(client: &mut Client, command: &str, parameters: Value) -> Value {
    let request = json!({"type": "command", "command": command, "parameters": parameters, "request_id": command});
    client.send(&request).await;
    let ends = |answer: &Value| matches!(answer["type"].as_str(), Some("command_completed" | "command_error"));
    client.next_that(|answer| ends(answer) && answer["request_id"] == command).await
}

/// A process that keeps a core busy; it ends with the test.
struct Spinner(Child);

impl Spinner {
    fn start() -> Self {
        let mut command = Command::new("sh");
        // The kernel ends it where the test cannot, because it was killed.
        command.args(["-c", "ulimit -t 60; while :; do :; done"]).stdin(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The counters are read all the time by somebody else, from other files where there are any; what they say at the bounds
/// of an event's own window is what the event must say.
#[tokio::test]
async fn figures_are_those_of_an_independent_count_of_the_same_time() {
    let daemon = world("interval = \"2s\"\nshipped_alerts = false").start().await;
    let mut client = listener(&daemon, &["performance_metrics"]).await;
    let counters = Counters::start();
    let spinners = [Spinner::start(), Spinner::start()];
    let load = Load::start(&daemon.path("load"));
    // The load is on for all of the window of the second event from now, and the count too.
    client.next_of("performance_metrics_update").await;
    let mut compared = 0;
    while compared < 2 {
        let event = client.next_of("performance_metrics_update").await;
        let system = &event["data"]["metrics"]["system_performance"];
        let Some(counted) = counters.between(&event) else { continue };
        counted.compare(system);
        compared += 1;
    }
    drop((spinners, load));
}

#[tokio::test]
async fn what_the_daemon_answers_is_told_with_what_it_took() {
    let daemon = world("interval = \"1s\"").start().await;
    let mut client = listener(&daemon, &["performance_metrics"]).await;
    // Asked again and again: what was answered before somebody read the daemon's figures is not told.
    let event = loop {
        assert_eq!(daemon.get("/v1/info").await.status, 200);
        let event = client.next_of("performance_metrics_update").await;
        let metrics = &event["data"]["metrics"];
        // The bus is known from the second word of the daemon on.
        let answered = metrics["application_performance"]["p99_response_time_ms"].as_f64() > Some(0.0);
        if answered && metrics["bus_performance"].is_object() {
            break event;
        }
    };
    let metrics = &event["data"]["metrics"];
    let application = &metrics["application_performance"];
    assert!(application["requests_per_second"].as_f64() > Some(0.0) && application["error_rate"] == 0.0, "{event}");
    assert!(application["p95_response_time_ms"].as_f64() <= application["p99_response_time_ms"].as_f64());
    assert!(metrics["bus_performance"]["events_per_second"].as_f64() > Some(0.0), "{event}");
    assert!(metrics["bus_performance"]["subscriptions"].as_u64() >= Some(4), "its own among them: {event}");
    drop(client);

    // The daemon's figures are of the moment: in its next life they are gone. Those of the source are on disk.
    let mut daemon = daemon;
    for (channel, kept) in [("daemon_metrics", false), ("performance_metrics", true)] {
        assert_eq!(oldest(&daemon, channel).await, 1, "{channel} is there from its first event on");
        daemon.signal("TERM").await;
        assert_eq!(daemon.ended().await, Some(0));
        daemon = daemon.again().await;
        assert_eq!(oldest(&daemon, channel).await == 1, kept, "{channel}");
    }
}

/// The offset of the oldest event of a channel, when there is one.
async fn oldest(daemon: &Daemon, channel: &str) -> u64 {
    let path = format!("/v1/history?channel={channel}&order=asc&limit=1");
    eventually(channel, async || daemon.get(&path).await.json()["events"][0]["offset"].as_u64()).await
}

#[tokio::test]
async fn a_pane_is_told_with_all_that_runs_in_it() {
    let tmux = Tmux::start().await;
    let world = world("interval = \"500ms\"\n[source.metrics.groups]\ninterval = \"1s\"\npanes = \"{session}\"");
    let daemon = world.tmux(&tmux, "").start().await;
    daemon.source_is("tmux", "up").await;
    let mut client = listener(&daemon, &["process_groups"]).await;
    let spin = "ulimit -t 60; sh -c 'while :; do :; done' & while :; do :; done";
    tmux.run(&["new-session", "-d", "-s", "busy", spin]).await;
    let busy = |event: &Value| {
        let groups = event["data"]["groups"].as_array().cloned().unwrap_or_default();
        groups.into_iter().find(|group| group["name"] == "busy" && group["processes"].as_u64() >= Some(2))
    };
    let uses = |event: &Value| busy(event).is_some_and(|group| group["cpu_usage_percent"].as_f64() > Some(0.5));
    let event = client.next_that(uses).await;
    let group = busy(&event).unwrap();
    assert_eq!(group["kind"], "pane");
    assert!(group["memory_usage_mb"].as_f64() > Some(0.0), "{group}");
    // The daemon tells its number a second after somebody reads its figures. Its sources count with it.
    let daemon_with_sources = |event: &Value| {
        let groups = event["data"]["groups"].as_array().cloned().unwrap_or_default();
        groups.iter().any(|group| group["kind"] == "daemon" && group["processes"].as_u64() >= Some(3))
    };
    client.next_that(daemon_with_sources).await;
    tmux.run(&["kill-session", "-t", "busy"]).await;
    client.next_that(|event| event["type"] == "process_groups_update" && busy(event).is_none()).await;
}

/// An alert that fires is told once, however often its source is started anew, and so is its end.
#[tokio::test]
async fn an_alert_outlives_its_source_and_is_not_told_twice() {
    let alert = "interval = \"200ms\"\nshipped_alerts = false\n[[source.metrics.alerts]]\nname = \"here\"\n\
                 metric = \"memory_usage_mb\"\nabove = 1.0\nfor = \"500ms\"\n";
    let daemon = world(alert).start().await;
    let mut client = listener(&daemon, &["performance_metrics", "metrics_alerts"]).await;
    let firing = async || {
        let snapshot = daemon.get("/v1/snapshot?channel=metrics_alerts").await.json();
        let state = snapshot["events"].as_array()?.first()?["data"].clone();
        (state["state"] == "firing").then_some(state)
    };
    let state = eventually("the alert fires", firing).await;
    let listed = asked(&mut client, "list_alerts", json!({})).await;
    assert_eq!(listed["result"]["active"][0]["alert_id"], state["alert_id"]);
    asked(&mut client, "silence_alert", json!({"alert": "here", "duration": "1h"})).await;

    let before = daemon.source_is("metrics", "up").await;
    daemon.post("/v1/sources/metrics/restart", "application/json", "").await;
    eventually("another instance runs", async || {
        let now = daemon.source_is("metrics", "up").await;
        (now["generation"].as_u64() > before["generation"].as_u64()).then_some(())
    })
    .await;
    let mark = |event: &Value| event["type"] == "alerts.opened";
    client.next_that(mark).await;
    let listed = asked(&mut client, "list_alerts", json!({})).await;
    assert_eq!(listed["type"], "command_completed");
    // The past is read when the next figures but one have come.
    let restored = async || {
        let mut asking = daemon.client().await;
        let listed = asked(&mut asking, "list_alerts", json!({})).await;
        (listed["result"]["active"][0]["alert_id"] == state["alert_id"]).then_some(listed)
    };
    let listed = eventually("what fired before fires still", restored).await;
    assert!(listed["result"]["active"][0]["silenced_until"].is_string(), "and is silenced still: {listed}");
    let told = daemon.get("/v1/history?channel=performance_metrics&since=1h&type=performance_alert").await.json();
    assert_eq!(told["events"].as_array().map(Vec::len), Some(1), "{told}");
}

/// Harm prevented: what fires for longer than the history reaches back is told anew after a restart, under another name, and
/// nobody ever says that the first one is over.
#[tokio::test]
async fn an_alert_outlives_its_source_though_its_event_is_kept_no_more() {
    let settings = "interval = \"200ms\"\nshipped_alerts = false\n[[source.metrics.alerts]]\nname = \"here\"\n\
                    metric = \"memory_usage_mb\"\nabove = 1.0\nfor = \"300ms\"\n\
                    [[history.channel]]\npattern = \"metrics_alerts\"\nage = \"1s\"\n[router]\nchannel_age = \"1s\"\n";
    let daemon = world(settings).start().await;
    let mut client = listener(&daemon, &["performance_metrics"]).await;
    let fired = client.next_that(|event| event["type"] == "performance_alert").await;
    eventually("the history has let the event go", async || {
        let told = daemon.get("/v1/history?channel=metrics_alerts&since=1h").await.json();
        told["events"].as_array().filter(|events| events.is_empty()).map(|_| ())
    })
    .await;
    let before = daemon.source_is("metrics", "up").await;
    daemon.post("/v1/sources/metrics/restart", "application/json", "").await;
    eventually("another instance runs", async || {
        let now = daemon.source_is("metrics", "up").await;
        (now["generation"].as_u64() > before["generation"].as_u64()).then_some(())
    })
    .await;
    let listed = asked(&mut client, "list_alerts", json!({})).await;
    assert_eq!(listed["result"]["active"][0]["alert_id"], fired["data"]["alert_id"], "{listed}");
    let told = daemon.get("/v1/history?channel=performance_metrics&since=1h&type=performance_alert").await.json();
    assert_eq!(told["events"].as_array().map(Vec::len), Some(1), "{told}");
}
