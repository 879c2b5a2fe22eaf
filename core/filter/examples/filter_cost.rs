//! What one filter costs per event, in nanoseconds of one thread: `cargo run --release -p headwater-filter --example
//! filter_cost`. A look for whoever changes this room; nothing depends on the figures.

use bytes::Bytes;
use headwater_event::{ChannelName, Draft, Epoch, Event, Payload, Position, Severity};
use headwater_filter::Filter;
use std::{hint::black_box, time::Instant};
use uuid::Uuid;

const EVENTS: usize = 640_000;
const ROUNDS: usize = 5;

fn main() {
    println!("ns per event, median of {ROUNDS}");
    let events = vec![event(); 64];
    for (text, filter) in filters() {
        let mut ns: Vec<f64> = (0..ROUNDS).map(|_| matching(&filter, &events)).collect();
        ns.sort_by(f64::total_cmp);
        println!("  {text:50} {:6.1}", ns[ROUNDS / 2]);
    }
}

fn filters() -> Vec<(&'static str, Filter)> {
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

fn event() -> std::sync::Arc<Event> {
    let data = Payload::new(Bytes::from_static(b"{}")).expect("JSON");
    let draft = Draft {
        severity: Some(Severity::Warning),
        attributes: Box::new([("session".into(), "api-17".into()), ("pane".into(), "%4".into())]),
        ..Draft::new(ChannelName::new("tmux").expect("a name"), "pane.created", "tmux", data)
    };
    Event::new(draft, Position { epoch: Epoch(1), offset: 1 }, Uuid::nil()).into()
}

fn matching(filter: &Filter, events: &[std::sync::Arc<Event>]) -> f64 {
    let began = Instant::now();
    let mut wanted = 0;
    for _ in 0..EVENTS / events.len() {
        wanted += events.iter().filter(|event| black_box(filter).matches(event)).count();
    }
    black_box(wanted);
    began.elapsed().as_nanos() as f64 / EVENTS as f64
}
