//! Alerts and commands of the running source: a scripted load on a made-up machine, whose memory is what the script says.
#![allow(clippy::unwrap_used)] // all of it is a test

use headwater_plugin_metrics::Metrics;
use headwater_testkit::prelude::*;
use std::{fs, io::Write as _, path::Path};
use tempfile::TempDir;

/// A machine whose memory is taken to this percentage.
fn taken(machine: &Path, percent: u64) {
    let text = format!("MemTotal: 1000000 kB\nMemAvailable: {:>7} kB\n", (100 - percent) * 10_000);
    // Over the text that is there, which is as long, in one step: the source holds the file open and must not see half.
    let mut file =
        fs::OpenOptions::new().create(true).truncate(false).write(true).open(machine.join("meminfo")).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

struct Scene {
    machine: TempDir,
    run: Run,
    /// All alerts that came, in a few words.
    alerts: Vec<(String, TestEvent)>,
}

impl Scene {
    async fn start(settings: Value) -> Self {
        let machine = tempfile::tempdir().unwrap();
        taken(machine.path(), 50);
        let run = Self::run(&machine, settings);
        let mut scene = Self { machine, run, alerts: Vec::new() };
        scene.open().await;
        scene
    }

    fn run(machine: &TempDir, settings: Value) -> Run {
        let mut settings = settings;
        settings["proc"] = machine.path().to_string_lossy().into();
        settings["interval"] = "100ms".into();
        settings["shipped_alerts"] = false.into();
        Testkit::start::<Metrics>(settings)
    }

    /// Plays the bus as far as the source asks for its own past: the mark comes back behind `before`.
    async fn open(&mut self) {
        let mark = self.run.next_event_where("the mark", |event| event.kind == "alerts.opened").await;
        self.run.deliver(BusEvent::new("metrics_alerts", &mark.kind, &mark.data).source("metrics")).await;
    }

    /// Takes what came until an event with figures for which this holds.
    async fn until(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) {
        loop {
            let event = self.run.next_event_where(what, |_| true).await;
            if event.kind.ends_with("_alert") {
                let words = format!("{} {}", event.kind, event.data["state"].as_str().unwrap());
                self.alerts.push((words, event));
            } else if event.kind == "performance_metrics_update" && wanted(&event.data["metrics"]["system_performance"])
            {
                return;
            }
        }
    }

    /// The memory is taken so far, for so many looks.
    async fn memory(&mut self, percent: u64, looks: usize) {
        taken(self.machine.path(), percent);
        for _ in 0..looks {
            self.until("a look", |system| system["memory_usage_percent"] == percent as f64).await;
        }
    }

    fn words(&self) -> Vec<&str> {
        self.alerts.iter().map(|(words, _)| words.as_str()).collect()
    }
}

/// An alert that takes so long to fire and to be resolved.
fn full(time: &str) -> Value {
    json!({ "alerts": [{
        "name": "full", "metric": "memory_usage_percent", "above": 90.0, "clear": 80.0, "for": time,
        "clear_for": time, "severity": "error",
    }] })
}

#[tokio::test]
async fn a_scripted_load_is_one_firing_no_flapping_and_one_end() {
    // Long beside the looks: a machine that stands still for a second must not make a peak of two looks a long one.
    let mut scene = Scene::start(full("5s")).await;
    scene.memory(50, 3).await;
    // Peaks that are too short.
    for _ in 0..3 {
        scene.memory(95, 2).await;
        scene.memory(60, 1).await;
    }
    assert_eq!(scene.words(), [""; 0]);
    while scene.alerts.is_empty() {
        scene.memory(93, 1).await;
    }
    // Up and down around the threshold, and once below `clear`, too short.
    for percent in [88, 94, 85, 99, 81, 91, 75, 95] {
        scene.memory(percent, 2).await;
    }
    while scene.alerts.len() < 2 {
        scene.memory(40, 1).await;
    }
    scene.memory(40, 10).await;
    assert_eq!(scene.words(), ["resource_alert firing", "resource_alert resolved"]);

    let [(_, firing), (_, resolved)] = scene.alerts.as_slice() else { panic!() };
    assert_eq!((firing.channel.as_str(), firing.severity), ("system", Some(Severity::Error)));
    let data = &firing.data;
    assert_eq!((&data["resource"], &data["usage_percent"]), (&json!("memory"), &json!(93.0)));
    assert_eq!((&data["threshold_percent"], &data["alert"]), (&json!(90.0), &json!("full")));
    assert!(data["recommendations"].is_array() && data["timestamp"].is_string() && data["since"].is_string());
    assert_eq!(resolved.data["alert_id"], data["alert_id"]);
    assert_eq!((&resolved.data["usage_percent"], &resolved.data["reason"]), (&json!(40.0), &json!("cleared")));
    assert_eq!(resolved.severity, Some(Severity::Info));
}

#[tokio::test]
async fn what_fires_is_a_snapshot_until_it_does_so_no_more() {
    let mut scene = Scene::start(full("300ms")).await;
    scene.memory(95, 10).await;
    assert_eq!(scene.words(), ["resource_alert firing"]);
    let list = scene.run.command("list_alerts", json!({})).await.completed();
    assert_eq!(list["active"][0]["alert"], "full");
    assert_eq!((&list["active"][0]["state"], &list["alerts"][0]["current_value"]), (&json!("firing"), &json!(95.0)));
    let state = scene.run.snapshot("metrics_alerts", "full").unwrap();
    assert_eq!((&state.data["state"], &state.data["told"]), (&json!("firing"), &json!(true)));

    // The next life of the source finds the snapshot, and says nothing that was said.
    assert_eq!(scene.run.stop().await, Outcome::Stopped);
    scene.alerts.clear();
    scene.run = Scene::run(&scene.machine, full("300ms"));
    let mark = scene.run.next_event_where("the mark", |event| event.kind == "alerts.opened").await;
    scene.run.deliver(BusEvent::new("metrics_alerts", "alert_state", &state.data).source("metrics").key("full")).await;
    scene.run.deliver(BusEvent::new("metrics_alerts", &mark.kind, &mark.data).source("metrics")).await;
    scene.memory(95, 10).await;
    assert_eq!(scene.words(), [""; 0]);
    scene.memory(10, 10).await;
    assert_eq!(scene.words(), ["resource_alert resolved"]);
    assert_eq!(scene.alerts[0].1.data["alert_id"], state.data["alert_id"]);
    assert_eq!(scene.run.snapshot("metrics_alerts", "full"), None);
}

#[tokio::test]
async fn a_silence_holds_its_tongue_until_it_is_over() {
    let mut scene = Scene::start(full("300ms")).await;
    let answer = scene.run.command("silence_alert", json!({ "alert": "full", "duration": "1h" })).await.completed();
    assert_eq!(answer["alert"], "full");
    assert!(scene.run.snapshot("metrics_alerts", "full").unwrap().data["silenced_until"].is_string());
    scene.memory(95, 10).await;
    assert_eq!(scene.words(), [""; 0]);
    // Another interval is no other silence.
    scene.run.command("set_interval", json!({ "interval": "150ms" })).await.completed();
    scene.memory(96, 5).await;
    let list = scene.run.command("list_alerts", json!({})).await.completed();
    assert!(list["active"][0]["silenced_until"].is_string() && list["active"][0]["told"] == false, "{list}");
    scene.run.command("silence_alert", json!({ "alert": "full", "duration": "0s" })).await.completed();
    scene.memory(97, 3).await;
    assert_eq!(scene.words(), ["resource_alert firing"]);
}

/// As an earlier life has left it: it fires, was told, and is silenced.
fn left(alert: &str, id: &str) -> Value {
    json!({
        "alert": alert, "metric": "memory_usage_percent", "above": 90.0, "severity": "error", "told_as": "resource_alert",
        "state": "firing", "alert_id": id, "since": "2026-01-31T12:00:00Z", "told": true,
        "silenced_until": "2200-01-01T00:00:00Z",
    })
}

/// Harm prevented: who ends a silence in the moment of a restart finds it there again, and the list says that all is quiet.
#[tokio::test]
async fn what_is_asked_before_the_past_is_known_is_answered_out_of_it() {
    let machine = tempfile::tempdir().unwrap();
    taken(machine.path(), 95);
    let mut run = Scene::run(&machine, full("300ms"));
    let mark = run.next_event_where("the mark", |event| event.kind == "alerts.opened").await;
    let unsilence = run.send_command("silence_alert", &json!({ "alert": "full", "duration": "0s" }));
    let list = run.send_command("list_alerts", &json!({}));
    // Commands come in their order: those before this one are with the source.
    run.command("set_interval", json!({ "interval": "150ms" })).await.completed();
    let state = |alert: &str, source: &str| {
        BusEvent::new("metrics_alerts", "alert_state", &left(alert, &format!("{alert}@1"))).source(source).key(alert)
    };
    run.deliver(state("full", "metrics")).await;
    // Another instance has alerts of its own, which are none of ours.
    run.deliver(state("theirs", "metrics-of-another")).await;
    run.deliver(BusEvent::new("metrics_alerts", &mark.kind, &mark.data).source("metrics")).await;
    run.answers(unsilence).await.completed();
    let list = run.answers(list).await.completed();
    assert_eq!(list["active"][0]["alert_id"], "full@1");
    assert_eq!(list["active"][0].get("silenced_until"), None, "{list}");

    let mut scene = Scene { machine, run, alerts: Vec::new() };
    scene.memory(96, 5).await;
    scene.memory(10, 10).await;
    let told: Vec<_> = scene.alerts.iter().map(|(words, event)| (words.as_str(), &event.data["alert_id"])).collect();
    assert_eq!(told, [("resource_alert resolved", &json!("full@1"))]);
}

/// Alerts do not wait for ever for what was before; and when it comes, what was left open is closed.
#[tokio::test]
async fn a_past_that_is_read_too_late_is_settled_all_the_same() {
    let machine = tempfile::tempdir().unwrap();
    taken(machine.path(), 95);
    let mut run = Scene::run(&machine, full("100ms"));
    let mark = run.next_event_where("the mark", |event| event.kind == "alerts.opened").await;
    let mut scene = Scene { machine, run, alerts: Vec::new() };
    while scene.alerts.is_empty() {
        scene.memory(95, 1).await;
    }
    scene.run.logged("was not read within").await;
    let state = BusEvent::new("metrics_alerts", "alert_state", &left("full", "full@1")).source("metrics").key("full");
    scene.run.deliver(state).await;
    scene.run.deliver(BusEvent::new("metrics_alerts", &mark.kind, &mark.data).source("metrics")).await;
    while scene.alerts.len() < 2 {
        scene.memory(95, 1).await;
    }
    assert_eq!(scene.words(), ["resource_alert firing", "resource_alert resolved"]);
    let data = &scene.alerts[1].1.data;
    assert_eq!((&data["alert_id"], &data["reason"]), (&json!("full@1"), &json!("replaced")));
    let kept = scene.run.snapshot("metrics_alerts", "full").unwrap().data;
    assert_eq!(kept["alert_id"], scene.alerts[0].1.data["alert_id"], "the one that fires now");
}

/// Harm prevented: what others told of longer ago than the history reaches is unknown after a restart.
#[tokio::test]
async fn what_stands_is_asked_for_as_snapshots_and_sessions_from_their_beginning() {
    let machine = tempfile::tempdir().unwrap();
    // The fourth is that of the past, which stays for as long as nobody plays the bus.
    let asked = Scene::run(&machine, json!({})).subscribed(4).await;
    let of = |channel: &str, what: &str, value: Value| {
        asked.iter().any(|it| it["channels"].as_array().unwrap().contains(&json!(channel)) && it[what] == value)
    };
    for channel in ["tmux", "agent", "mcp_servers"] {
        assert!(of(channel, "snapshots", json!(true)), "{channel}: {asked:?}");
    }
    assert!(of("mcp_traffic", "from", json!("earliest")), "{asked:?}");
}

#[tokio::test]
async fn commands_say_what_is_wrong_with_them() {
    let mut scene = Scene::start(full("300ms")).await;
    for (command, parameters, code) in [
        ("silence_alert", json!({ "alert": "none" }), "RESOURCE_NOT_FOUND"),
        ("silence_alert", json!({ "alert": "full", "duration": "8d" }), "VALIDATION_ERROR"),
        ("silence_alert", json!({}), "VALIDATION_ERROR"),
        ("set_interval", json!({ "interval": "50ms" }), "VALIDATION_ERROR"),
        ("set_interval", json!({ "interval": "often" }), "VALIDATION_ERROR"),
        ("set_interval", json!({ "interval": "61m" }), "VALIDATION_ERROR"),
    ] {
        let (told, message) = scene.run.command(command, parameters).await.error();
        assert_eq!(told, code, "{message}");
    }
    let answer = scene.run.command("set_interval", json!({ "interval": "200ms" })).await.completed();
    assert_eq!(answer, json!({ "interval": "200ms", "previous": "100ms" }));
    let event = scene.run.next_event_where("the new interval", |event| event.data["interval"] == "200ms").await;
    assert_eq!(event.kind, "performance_metrics_update");
}

/// The daemon's figures become those of the events; others who speak on its channel are not heard.
#[tokio::test]
async fn what_the_daemon_tells_is_told_on() {
    let mut scene = Scene::start(json!({ "groups": { "interval": "100ms" }, "alerts": [{
        "name": "down", "metric": "sources_failing", "above": 0.0, "for": "0s",
    }] }))
    .await;
    scene.run.subscribed(3).await;
    let stats = |events: u64, failing: Value| {
        json!({
            "uptime_ms": 1_000 * events / 50, "window_ms": 1_000, "events": events, "deliveries": 10 * events, "connections": { "http": 1, "websocket": 2 },
            "sources": { "up": 3, "failing": failing },
            "requests": { "count": 4, "errors": 1, "sum_ms": 10.0, "buckets": [[1.0, 3], [7.0, 1]] },
        })
    };
    let told = |data: &Value| BusEvent::new("daemon_metrics", "daemon.stats", data);
    scene.run.deliver(told(&stats(5_000_000, json!(["x"]))).source("client")).await;
    scene.run.deliver(told(&stats(100, json!([]))).source("headwater")).await;
    scene.run.deliver(told(&stats(150, json!(["tmux"]))).source("headwater")).await;
    let event =
        scene.run.next_event_where("the bus", |event| event.data["metrics"]["bus_performance"].is_object()).await;
    let metrics = &event.data["metrics"];
    assert_eq!(metrics["bus_performance"]["events_per_second"], 50.0);
    assert_eq!(metrics["bus_performance"]["connections"], 3);
    let application = json!({
        "requests_per_second": 4.0, "avg_response_time_ms": 2.5, "p95_response_time_ms": 7.0,
        "p99_response_time_ms": 7.0, "error_rate": 0.25,
    });
    assert_eq!(metrics["application_performance"], application);
    assert!(metrics.get("mcp_performance").is_none() && metrics.get("vsm_performance").is_none());
    let alert = scene.run.next_event_where("the alert", |event| event.kind == "system_alert").await;
    assert_eq!((alert.channel.as_str(), &alert.data["level"]), ("system", &json!("warning")));
    assert_eq!(alert.data["details"]["affected_components"], json!(["tmux"]));
    assert!(alert.data["title"].is_string() && alert.data["message"].is_string());
}

/// Harm prevented: one slip in one alert, and nothing is told of this machine any more.
#[tokio::test]
async fn an_alert_that_cannot_be_is_left_out_and_said_so() {
    let right = full("300ms")["alerts"][0].clone();
    let alerts = json!([
        { "name": "unbound", "metric": "cpu_usage_percent" },
        { "name": "whose", "metric": "processes", "above": 5.0 },
        right,
    ]);
    let mut scene = Scene::start(json!({ "alerts": alerts })).await;
    let of_alerts = |event: &TestEvent| event.data["module"] == "metrics.alerts";
    let said = scene.run.next_event_where("what is left out", of_alerts).await;
    assert_eq!((said.kind.as_str(), &said.data["new_status"]), ("module_status_changed", &json!("degraded")));
    let reason = said.data["reason"].as_str().unwrap();
    assert!(reason.contains("`unbound`") && reason.contains("`whose`") && !reason.contains("`full`"), "{reason}");
    scene.run.logged("an alert is left out: alert `unbound`").await;
    while scene.alerts.is_empty() {
        scene.memory(95, 1).await;
    }
    assert_eq!(scene.words(), ["resource_alert firing"], "the right one counts");
}
