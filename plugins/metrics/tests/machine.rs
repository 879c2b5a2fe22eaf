//! The source on this machine, and on made-up machines: directories that look like `/proc`.
#![allow(clippy::unwrap_used)] // all of it is a test

use headwater_plugin_metrics::Metrics;
use headwater_testkit::prelude::*;
use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    time::{Duration, Instant},
};

/// A directory with a `proc` of four files, and perhaps a `sys`; gone when the test is through.
struct Machine(PathBuf);

impl Machine {
    fn new(test: &str) -> Self {
        let machine = Self(std::env::temp_dir().join(format!("metrics-{test}-{}", std::process::id())));
        fs::create_dir_all(machine.proc().join("net")).unwrap();
        machine.write("stat", "cpu 100 0 100 800 0 0 0 0 0 0\n");
        machine.write("meminfo", "MemTotal: 4096 kB\nMemAvailable: 1024 kB\n");
        machine.write("diskstats", "8 0 sda 10 0 0 0 5 0 0 0 0 0 0\n");
        machine.write("net/dev", "a\nb\neth0: 1000 1 0 0 0 0 0 0 1000 1 0 0 0 0 0 0\n");
        machine
    }

    fn proc(&self) -> PathBuf {
        self.0.join("proc")
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.proc().join(name), text).unwrap();
    }

    /// Writes over the text that is there, in one step: the source must not see an empty file in between. The new text is
    /// at least as long as the old one.
    fn change(&self, name: &str, text: &str) {
        let mut file = fs::OpenOptions::new().write(true).open(self.proc().join(name)).unwrap();
        assert!(text.len() as u64 >= file.metadata().unwrap().len());
        file.write_all(text.as_bytes()).unwrap();
    }

    fn settings(&self) -> Value {
        json!({ "interval": "100ms", "proc": self.proc(), "groups": { "interval": "1h" } })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The next event with figures.
async fn update(run: &mut Run) -> TestEvent {
    run.next_event_where("figures", |event| event.kind == "performance_metrics_update").await
}

/// The next event with figures for which this holds.
async fn update_where(run: &mut Run, what: &str, wanted: impl Fn(&TestEvent) -> bool) -> TestEvent {
    run.next_event_where(what, |event| event.kind == "performance_metrics_update" && wanted(event)).await
}

fn system(event: &TestEvent) -> &Value {
    &event.data["metrics"]["system_performance"]
}

/// Figures that the schema does not name.
const MORE: [&str; 7] = [
    "window_ms",
    "memory_usage_percent",
    "swap_usage_percent",
    "loopback_throughput_mbps",
    "cpu_pressure_percent",
    "memory_pressure_percent",
    "io_pressure_percent",
];

/// Checks what the schema says of the keys that are there, and that no other key is but those that are known. `required` is left out: a group
/// that this source does not know is absent, never invented.
fn fits(schema: &Value, value: &Value, place: &str) {
    match schema["type"].as_str().unwrap() {
        "object" => {
            for (key, value) in value.as_object().unwrap_or_else(|| panic!("{place} is no object")) {
                match schema["properties"].get(key) {
                    Some(known) => fits(known, value, &format!("{place}.{key}")),
                    // The shape lets more be said than it names; what more is said here is known.
                    None => assert!(MORE.contains(&key.as_str()), "{place}.{key} is not in the schema"),
                }
            }
        }
        "number" => {
            let number = value.as_f64().unwrap_or_else(|| panic!("{place} is no number: {value}"));
            assert!(schema["minimum"].as_f64().is_none_or(|minimum| number >= minimum), "{place}: {number}");
            assert!(schema["maximum"].as_f64().is_none_or(|maximum| number <= maximum), "{place}: {number}");
        }
        "string" => assert!(value.is_string(), "{place} is no string: {value}"),
        other => panic!("{place}: the check knows no {other}"),
    }
}

#[tokio::test]
async fn this_machines_figures_come_within_a_second_in_the_agreed_shape() {
    let started = Instant::now();
    let mut run = Testkit::start::<Metrics>(json!({}));
    let first = update(&mut run).await;
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!((first.channel.as_str(), first.kind.as_str()), ("performance_metrics", "performance_metrics_update"));
    assert_eq!(first.evidence, Some(Evidence::Polled));
    assert_eq!(first.data["interval"], "1s");
    assert_eq!(run.snapshot("performance_metrics", "system"), Some(first.clone()));

    let schema: Value = serde_json::from_str(include_str!("performance_metrics_update.schema.json")).unwrap();
    let mut agreed = first.data.clone();
    let window = agreed.as_object_mut().unwrap().remove("window_ms").and_then(|ms| ms.as_u64()).unwrap();
    assert!((150..1_000).contains(&window), "the first window is short: {window}");
    fits(&schema, &agreed, "data");
    assert_eq!(agreed.as_object().unwrap().keys().collect::<Vec<_>>(), ["interval", "metrics"], "no trend yet");
    assert_eq!(agreed["metrics"].as_object().unwrap().keys().collect::<Vec<_>>(), ["system_performance"]);

    // A machine that runs this test has a CPU and memory; disks and interfaces it may lack.
    assert!(system(&first)["cpu_usage_percent"].is_number(), "{}", first.data);
    assert!(system(&first)["memory_usage_mb"].as_f64().unwrap() > 1.0, "{}", first.data);
    assert_eq!(run.stop().await, Outcome::Stopped);
}

#[tokio::test]
async fn later_events_follow_the_interval() {
    let mut run = Testkit::start::<Metrics>(json!({ "interval": "400ms" }));
    update(&mut run).await;
    let second = update(&mut run).await;
    let window = second.data["window_ms"].as_u64().unwrap();
    assert!((390..2_000).contains(&window), "{window}");
    assert_eq!(second.data["interval"], "400ms");
}

#[tokio::test]
async fn figures_follow_the_counters() {
    let machine = Machine::new("figures");
    let mut run = Testkit::start::<Metrics>(machine.settings());
    let idle = update(&mut run).await;
    let expected = json!({
        "memory_usage_mb": 3.0, "memory_usage_percent": 75.0, "disk_io_ops_per_sec": 0.0, "network_throughput_mbps": 0.0,
    });
    assert_eq!(system(&idle), &expected, "no tick has passed, so the share of the CPU is not known");

    machine.change("stat", "cpu 130 0 100 890 0 0 0 0 0 0\n");
    let busy = |event: &TestEvent| system(event)["cpu_usage_percent"] == 25.0;
    update_where(&mut run, "30 of 120 ticks", busy).await;
    machine.change("diskstats", "8 0 sda 1010 0 0 0 5 0 0 0 0 0 0\n");
    update_where(&mut run, "disk operations", |event| system(event)["disk_io_ops_per_sec"].as_f64() > Some(0.0)).await;
    machine.change("net/dev", "a\nb\neth0: 901000 1 0 0 0 0 0 0 101000 1 0 0 0 0 0 0\n");
    let moved = |event: &TestEvent| system(event)["network_throughput_mbps"].as_f64() > Some(0.0);
    let event = update_where(&mut run, "network traffic", moved).await;
    let megabits = system(&event)["network_throughput_mbps"].as_f64().unwrap();
    let seconds = event.data["window_ms"].as_f64().unwrap() / 1_000.0;
    assert!((megabits * seconds - 8.0).abs() < 0.5, "1,000,000 bytes are 8 megabits: {megabits} for {seconds} s");
}

#[tokio::test]
async fn where_sys_knows_the_devices_only_they_count() {
    let machine = Machine::new("devices");
    fs::create_dir_all(machine.0.join("sys/class/net/eth0/device")).unwrap();
    let text = |port: u64, office: u64| {
        let line = |name, bytes| format!("{name}: {bytes} 1 0 0 0 0 0 0 0 1 0 0 0 0 0 0\n");
        format!("a\nb\n{}{}", line("eth0", port), line("office", office))
    };
    machine.write("net/dev", &text(1_000, 1_000));
    let mut run = Testkit::start::<Metrics>(machine.settings());
    update(&mut run).await;
    machine.change("net/dev", &text(501_000, 501_000));
    let moved = |event: &TestEvent| system(event)["network_throughput_mbps"].as_f64() > Some(0.0);
    let event = update_where(&mut run, "network traffic", moved).await;
    let megabits = system(&event)["network_throughput_mbps"].as_f64().unwrap();
    let seconds = event.data["window_ms"].as_f64().unwrap() / 1_000.0;
    assert!((megabits * seconds - 4.0).abs() < 0.25, "500,000 bytes are 4 megabits: {megabits} for {seconds} s");
}

#[tokio::test]
async fn a_counter_that_cannot_be_read_leaves_its_field_out_and_is_told_once() {
    let machine = Machine::new("missing");
    fs::remove_file(machine.proc().join("diskstats")).unwrap();
    machine.write("meminfo", "nonsense\n");
    let mut run = Testkit::start::<Metrics>(machine.settings());
    let mut modules = Vec::new();
    let mut figures = 0;
    while figures < 3 {
        let event = run.next_event().await;
        match event.kind.as_str() {
            "performance_metrics_update" => {
                assert_eq!(system(&event), &json!({ "network_throughput_mbps": 0.0 }));
                figures += 1;
            }
            "module_status_changed" => modules.push(event),
            _ => {}
        }
    }
    let about = |name: &str| {
        let of_it: Vec<&TestEvent> = modules.iter().filter(|event| event.data["module"] == name).collect();
        let [event] = of_it.as_slice() else { panic!("{name}: {of_it:?}") };
        (event.channel.clone(), event.data.clone())
    };
    let (channel, disks) = about("metrics.disks");
    assert_eq!((channel.as_str(), &disks["old_status"]), ("module", &json!("starting")));
    assert_eq!(
        (&disks["new_status"], &disks["affected_functions"]),
        (&json!("degraded"), &json!(["disk_io_ops_per_sec"]))
    );
    assert!(disks["reason"].as_str().unwrap().contains("diskstats") && disks["timestamp"].is_string(), "{disks}");
    about("metrics.memory");
    let told = |name: &str| run.log().iter().filter(|record| record.message.contains(name)).count();
    assert_eq!((told("diskstats cannot be used"), told("meminfo cannot be used")), (1, 1));

    machine.write("diskstats", "8 0 sda 10 0 0 0 5 0 0 0 0 0 0\n");
    let back = |event: &TestEvent| event.kind == "module_status_changed";
    let event = run.next_event_where("that it can be read again", back).await;
    assert_eq!((&event.data["module"], &event.data["new_status"]), (&json!("metrics.disks"), &json!("healthy")));
    update_where(&mut run, "the disks", |event| system(event)["disk_io_ops_per_sec"] == 0.0).await;
    run.logged("diskstats can be read again").await;
}

/// Harm prevented: a counter that could not be read before a restart, and can be since, stays degraded for ever.
#[tokio::test]
async fn what_was_mended_while_the_source_was_away_is_told() {
    let machine = Machine::new("mended");
    let mut run = Testkit::start::<Metrics>(machine.settings());
    let mark = run.next_event_where("the mark", |event| event.kind == "alerts.opened").await;
    let status = |module: &str| json!({ "module": module, "old_status": "starting", "new_status": "degraded" });
    let left = |module: &str, source: &str| {
        BusEvent::new("module", "module_status_changed", &status(module)).source(source).key(module)
    };
    run.deliver(left("metrics.memory", "metrics-of-another")).await;
    run.deliver(left("metrics.disks", "metrics")).await;
    run.deliver(BusEvent::new("metrics_alerts", &mark.kind, &mark.data).source("metrics")).await;
    let about = |event: &TestEvent| ["metrics.disks", "metrics.memory"].iter().any(|it| event.data["module"] == *it);
    let event = run.next_event_where("that it can be read again", about).await;
    assert_eq!((&event.data["module"], &event.data["new_status"]), (&json!("metrics.disks"), &json!("healthy")));
    assert_eq!(event.retained.as_deref(), Some("metrics.disks"), "and the next life knows it");
}

/// In a container the host's `/proc` shows other numbers than programs there have, and `net` is the container's.
#[tokio::test]
async fn of_another_machines_proc_the_network_is_the_machines_and_no_processes_are_counted() {
    let machine = Machine::new("container");
    std::os::unix::fs::symlink("1", machine.proc().join("self")).unwrap();
    fs::create_dir_all(machine.proc().join("1/net")).unwrap();
    machine.write("1/net/dev", "a\nb\neth0: 1000 1 0 0 0 0 0 0 1000 1 0 0 0 0 0 0\n");
    let mut run = Testkit::start::<Metrics>(machine.settings());
    let about = |event: &TestEvent| event.data["module"] == "metrics.process_groups";
    let event = run.next_event_where("that there are no groups", about).await;
    assert_eq!(event.data["new_status"], "degraded");
    assert!(event.data["reason"].as_str().unwrap().contains("are not those"), "{}", event.data);
    update(&mut run).await;
    machine.change("1/net/dev", "a\nb\neth0: 901000 1 0 0 0 0 0 0 101000 1 0 0 0 0 0 0\n");
    update_where(&mut run, "traffic", |event| system(event)["network_throughput_mbps"].as_f64() > Some(0.0)).await;
}

/// Where the kernel does not watch over saturation, and with a file that is none of its own it does not, the looks do.
#[tokio::test]
async fn where_the_kernel_does_not_watch_the_looks_fire_the_alert() {
    let machine = Machine::new("pressure");
    fs::create_dir_all(machine.proc().join("pressure")).unwrap();
    let began = Instant::now();
    // A machine on which something always waits; padded, so that one text covers the other.
    let waited = || {
        let micros = began.elapsed().as_micros();
        format!("some avg10=99.00 avg60=99.00 avg300=99.00 total={micros:020}\n")
    };
    machine.write("pressure/cpu", &waited());
    let mut settings = machine.settings();
    settings["alerts"] =
        json!([{ "name": "waiting", "metric": "cpu_pressure_percent", "above": 50.0, "for": "300ms" }]);
    let mut run = Testkit::start::<Metrics>(settings);
    let mark = run.next_event_where("the mark", |event| event.kind == "alerts.opened").await;
    run.deliver(BusEvent::new("metrics_alerts", &mark.kind, &mark.data).source("metrics")).await;
    let mut trigger = None;
    let alert = loop {
        machine.change("pressure/cpu", &waited());
        let event = run.next_event().await;
        if event.data["module"] == "metrics.cpu_pressure_trigger" {
            trigger = Some(event);
        } else if event.kind == "resource_alert" {
            break event;
        }
    };
    assert_eq!((&alert.data["state"], alert.evidence), (&json!("firing"), Some(Evidence::Polled)));
    let trigger = trigger.expect("that the kernel does not watch is told");
    assert_eq!(trigger.data["new_status"], "degraded");
    assert_eq!(trigger.data["affected_functions"], json!(["alerts_between_looks"]));
}

#[tokio::test]
async fn an_interval_below_the_kernels_resolution_is_raised() {
    let mut run = Testkit::start::<Metrics>(json!({ "interval": "1ms" }));
    assert_eq!(update(&mut run).await.data["interval"], "100ms");
    run.logged("too short").await;
}
