//! What the bus does: the group `bus_performance`, from `daemon.stats`.

use crate::{
    application::{Answers, Application},
    metric::rounded,
};
use headwater_plugin::payload;
use serde::Deserialize;
use std::time::{Duration, Instant};

/// The group of the event. What the daemon does not say is absent.
#[payload]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BusPerformance {
    /// Events published.
    pub events_per_second: Option<f64>,
    /// Events written to clients.
    pub deliveries_per_second: Option<f64>,
    /// Bytes written to clients.
    pub bytes_out_per_second: Option<f64>,
    /// Events that could not be taken, of sources and of clients.
    pub dropped_events_per_second: Option<f64>,
    /// Connections held, HTTP and WebSocket together.
    pub connections: Option<u64>,
    /// Subscriptions held, those of sources and webhooks among them.
    pub subscriptions: Option<u64>,
    /// Channels that exist.
    pub channels: Option<u64>,
    /// Sources that run.
    pub sources_up: Option<u64>,
    /// Sources that have failed.
    pub sources_failing: Option<u64>,
}

/// The data of `daemon.stats`. What a later daemon adds is passed over.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Stats {
    pub(crate) pid: Option<u32>,
    /// Since the daemon began: totals rise in the time between two of these.
    uptime_ms: Option<u64>,
    window_ms: u64,
    events: Option<u64>,
    client_events_rejected: Option<u64>,
    deliveries: Option<u64>,
    bytes_out: Option<u64>,
    connections: Option<Connections>,
    subscriptions: Option<u64>,
    channels: Option<u64>,
    sources: Option<Sources>,
    requests: Answers,
    commands: Answers,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Connections {
    http: u64,
    websocket: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Sources {
    up: u64,
    failing: Vec<String>,
    dropped: u64,
}

/// How long the last figures stand for what is now.
const FRESH: Duration = Duration::from_millis(2_500);

/// What the daemon tells.
#[derive(Debug, Default)]
pub(crate) struct Bus {
    pub(crate) application: Application,
    /// The last figures of the event before, and what has come since.
    before: Option<Stats>,
    now: Option<Stats>,
    last: Option<(Instant, BusPerformance)>,
}

impl Bus {
    /// A second's figures.
    pub(crate) fn hear(&mut self, stats: Stats) {
        self.application.hear(stats.window_ms, &[&stats.requests, &stats.commands]);
        if self.before.is_none() {
            self.before = Some(stats);
            return;
        }
        self.now = Some(stats);
    }

    /// The sources that have failed.
    pub(crate) fn failing(&self) -> &[String] {
        let stats = self.now.as_ref().or(self.before.as_ref());
        stats.and_then(|stats| stats.sources.as_ref()).map_or(&[], |sources| &sources.failing)
    }

    /// What has been heard since the last time; where that is nothing, the last figures for a while.
    pub(crate) fn take(&mut self, at: Instant) -> Option<BusPerformance> {
        if let (Some(before), Some(now)) = (&self.before, self.now.take()) {
            self.last = Some((at, between(before, &now)));
            self.before = Some(now);
        }
        self.last.filter(|(then, _)| at.duration_since(*then) < FRESH).map(|(_, performance)| performance)
    }
}

fn between(before: &Stats, now: &Stats) -> BusPerformance {
    // A total that has fallen is that of another daemon. Not all that it tells is heard: the time is its own.
    let rise = |before: Option<u64>, now: Option<u64>| now?.checked_sub(before?);
    let passed_ms = rise(before.uptime_ms, now.uptime_ms).filter(|ms| *ms > 0);
    let rate =
        |before: Option<u64>, now: Option<u64>| Some(rounded(rise(before, now)? as f64 * 1_000.0 / passed_ms? as f64));
    // What the bus refused to a source, that source counts.
    let dropped = |stats: &Stats| Some(stats.client_events_rejected? + stats.sources.as_ref()?.dropped);
    let sources = now.sources.as_ref();
    BusPerformance {
        events_per_second: rate(before.events, now.events),
        deliveries_per_second: rate(before.deliveries, now.deliveries),
        bytes_out_per_second: rate(before.bytes_out, now.bytes_out),
        dropped_events_per_second: rate(dropped(before), dropped(now)),
        connections: now.connections.as_ref().map(|held| held.http + held.websocket),
        subscriptions: now.subscriptions,
        channels: now.channels,
        sources_up: sources.map(|sources| sources.up),
        sources_failing: sources.map(|sources| sources.failing.len() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_plugin::serde_json::{from_value, json};

    fn stats(events: u64, uptime_ms: u64) -> Stats {
        from_value(json!({
            "pid": 7, "uptime_ms": uptime_ms, "window_ms": 1_000, "events": events, "deliveries": 3 * events, "bytes_out": 100 * events,
            "events_rejected": events, "client_events_rejected": events / 20, "connections": { "http": 1, "websocket": 4 }, "subscriptions": 9,
            "sources": { "up": 2, "failing": ["tmux"], "dropped": events / 10 }, "new": { "in": "later" },
            "requests": { "count": 2, "errors": 0, "sum_ms": 3.0, "buckets": [[1.5, 2]] },
        }))
        .unwrap()
    }

    #[test]
    fn rates_are_of_the_time_that_the_daemon_tells_of() {
        let (mut bus, now) = (Bus::default(), Instant::now());
        bus.hear(stats(1_000, 50_000));
        assert_eq!(bus.take(now), None, "a total is no rate");
        bus.hear(stats(1_100, 51_000));
        bus.hear(stats(1_400, 52_000));
        let expected = BusPerformance {
            events_per_second: Some(200.0),
            deliveries_per_second: Some(600.0),
            bytes_out_per_second: Some(20_000.0),
            dropped_events_per_second: Some(30.0),
            connections: Some(5),
            subscriptions: Some(9),
            channels: None,
            sources_up: Some(2),
            sources_failing: Some(1),
        };
        assert_eq!(bus.take(now), Some(expected));
        assert_eq!(bus.failing(), ["tmux"]);
        assert!((bus.application.take(now).unwrap().requests_per_second - 2.0).abs() < 1e-9);
        assert_eq!(bus.take(now + FRESH), None);
        // Harm prevented: what rose in seconds that nobody heard of counts as if it had risen in one.
        bus.hear(stats(2_400, 57_000));
        assert_eq!(bus.take(now).unwrap().events_per_second, Some(200.0), "four of five words were lost");
        bus.hear(stats(0, 1_000));
        assert_eq!(bus.take(now).unwrap().events_per_second, None, "another daemon");
    }
}
