//! What one filter costs per event, in nanoseconds of one thread: `cargo run --release -p headwater-filter --example
//! filter_cost`. The last column is CEL's own interpreter on the same expression, with the payload read for it. A look for
//! whoever changes this room; nothing depends on the figures.

use bytes::Bytes;
use cel::{Context, Env, Program};
use headwater_event::{ChannelName, Draft, Epoch, Event, Payload, Position, Severity};
use headwater_filter::Filter;
use rustix::time::{ClockId, clock_gettime};
use std::{collections::HashMap, hint::black_box, sync::Arc};
use uuid::Uuid;

const EVENTS: usize = 640_000;
const ROUNDS: usize = 5;

/// 200 bytes.
const DATA: &str = r#"{"host":"api-17","cpu_usage":93.5,"cores":8,"load":[4.2,3.1,0.9],"memory":{"used":6442450944,"total":8589934592},"disks":[{"name":"sda","used":71},{"name":"sdb","used":12}],"note":"throttled since 9:30"}"#;

fn main() {
    let events = vec![event(); 64];
    println!("ns per event with a payload of {} bytes, median of {ROUNDS}", DATA.len());
    for (text, filter) in parts() {
        println!("  {text:82} {:8.1}", median(EVENTS, |events_left| matching(&filter, &events, events_left)));
    }
    for text in expressions() {
        let filter = Filter::default().with_expression(text).expect("an expression");
        let ours = median(EVENTS, |events_left| matching(&filter, &events, events_left));
        let judged = interpreted(text).map_or("-".into(), |ns| format!("{ns:.1}"));
        println!("  {text:82} {ours:8.1} {judged:>10}");
    }
    println!("µs to compile, median of {ROUNDS}");
    let longest = format!("data.cores in [{}]", (0..500).map(|n| n.to_string()).collect::<Vec<_>>().join(","));
    for text in expressions().into_iter().chain([longest.as_str()]) {
        let us = median(200, |rounds| {
            let began = spent();
            for _ in 0..rounds {
                black_box(Filter::default().with_expression(black_box(text)).expect("an expression"));
            }
            (spent() - began) / 1e3
        });
        println!("  {text:82.80} {us:8.1}");
    }
}

fn parts() -> Vec<(&'static str, Filter)> {
    let list = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect::<Vec<_>>();
    vec![
        ("none", Filter::default()),
        ("severity", Filter::new(&[], Some(Severity::Warning), &[], &[])),
        ("type, exact", Filter::new(&list(&["pane.created"]), None, &[], &[])),
        ("type, pane.*", Filter::new(&list(&["pane.*"]), None, &[], &[])),
        ("type, *.created", Filter::new(&list(&["*.created"]), None, &[], &[])),
        ("attribute, api*", Filter::new(&[], None, &pairs(&[("session", "api*")]), &[])),
        (
            "4 types, severity, 2 attributes, source",
            Filter::new(
                &list(&["session.*", "window.*", "client.attached", "pane.*"]),
                Some(Severity::Info),
                &pairs(&[("session", "api*"), ("pane", "%?")]),
                &list(&["tmux"]),
            ),
        ),
    ]
}

fn expressions() -> Vec<&'static str> {
    vec![
        "type == \"pane.created\"",
        "severity >= \"warning\" && type.startsWith(\"pane.\")",
        "severity >= \"warning\" && type == \"pane.created\" && attributes.session == \"api-17\"",
        "data.host == \"api-17\"",
        "severity >= \"warning\" && data.host == \"api-17\" && data.cpu_usage > 90",
        "type == \"pane.created\" && data.cpu_usage > 90 && data.memory.total > 1000",
        "data.note.contains(\"throttled\")",
        "data.missing == 1",
        "data.note.matches(\"throttled since [0-9]+\")",
        "data.disks.exists(d, d.name == \"sdb\" && d.used < 50)",
        "double(data.memory.used) / data.memory.total > 0.7",
        "size(data.load.filter(x, x > 1.0)) == 2 ? data.cores > 4 : data.cores > 8",
    ]
}

fn event() -> Arc<Event> {
    let draft = Draft {
        severity: Some(Severity::Warning),
        attributes: Box::new([("session".into(), "api-17".into()), ("pane".into(), "%4".into())]),
        ..Draft::new(
            ChannelName::new("tmux").expect("a name"),
            "pane.created",
            "tmux",
            Payload::new(Bytes::from_static(DATA.as_bytes())).expect("JSON"),
        )
    };
    Event::new(draft, Position { epoch: Epoch(1), offset: 1 }, Uuid::nil()).into()
}

/// Nanoseconds of this thread's processor time: other programs do not count.
fn spent() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Of the time that `run` gives for this many.
fn median(count: usize, run: impl Fn(usize) -> f64) -> f64 {
    let mut values: Vec<f64> = (0..ROUNDS).map(|_| run(count) / count as f64).collect();
    values.sort_by(f64::total_cmp);
    values[ROUNDS / 2]
}

fn matching(filter: &Filter, events: &[Arc<Event>], count: usize) -> f64 {
    let began = spent();
    let mut wanted = 0;
    for _ in 0..count / events.len() {
        wanted += events.iter().filter(|event| black_box(filter).matches(event)).count();
    }
    black_box(wanted);
    spent() - began
}

/// What the interpreter takes; `None` for what it does not know.
fn interpreted(text: &str) -> Option<f64> {
    let event = event();
    let program = Program::compile(text).ok()?;
    let env = Arc::new(Env::stdlib());
    let once = || {
        let mut context = Context::with_env(env.clone());
        let attributes: HashMap<String, cel::Value> =
            event.attributes.iter().map(|(name, value)| (name.to_string(), (&**value).into())).collect();
        context.add_variable_from_value("type", &*event.kind);
        context.add_variable_from_value("severity", event.effective_severity().as_str());
        context.add_variable_from_value("attributes", attributes);
        let json: serde_json::Value = serde_json::from_slice(event.data.as_bytes()).expect("JSON");
        context.add_variable_from_value("data", cel::to_value(json).expect("a value"));
        program.execute(&context)
    };
    matches!(once(), Ok(_) | Err(cel::ExecutionError::NoSuchKey(_))).then(|| {
        median(5_000, |count| {
            let began = spent();
            for _ in 0..count {
                black_box(once().is_ok());
            }
            spent() - began
        })
    })
}
