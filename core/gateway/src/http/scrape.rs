//! `GET /metrics`: the running counters, and what is read at the moment of asking: router, sources, config, process.

use super::{answer, app::App, process::Process};
use crate::{Info, SourceInfo, SourceState, WebhookInfo};
use axum::{body::Body, extract::State, http::StatusCode, response::Response};
use headwater_router::Counters;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
    },
    registry::{Registry, Unit},
};
use std::{fmt, sync::Arc};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let moment = Moment {
        requests: app.requests() as u64,
        websockets: app.websockets() as u64,
        uptime_seconds: app.uptime().as_secs_f64(),
        counters: app.router.counters(),
        sources: app.ports.sources(),
        webhooks: app.ports.webhooks(),
        info: app.ports.info(),
        process: Process::look(),
    };
    let mut out = String::new();
    app.metrics
        .write(&mut out)
        .and_then(|()| moment.write(&mut out))
        .and_then(|()| text::encode_eof(&mut out))
        .expect("invariant: writing into memory does not fail");
    answer::of(StatusCode::OK, OPEN_METRICS, Body::from(out))
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Protocol {
    protocol: &'static str,
}

/// Sources are named by the config, so that there are only so many.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Source {
    source: String,
}

/// Webhooks too.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Webhook {
    webhook: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: String,
}

/// What is true while it is asked.
struct Moment {
    requests: u64,
    websockets: u64,
    uptime_seconds: f64,
    counters: Counters,
    sources: Vec<SourceInfo>,
    webhooks: Vec<WebhookInfo>,
    info: Info,
    process: Process,
}

impl Moment {
    fn write(&self, out: &mut String) -> fmt::Result {
        let mut registry = Registry::default();
        let headwater = registry.sub_registry_with_prefix("headwater");
        self.gateway(headwater);
        self.router(headwater);
        self.sources(headwater);
        self.webhooks(headwater);
        self.process(&mut registry);
        text::encode_registry(out, &registry)
    }

    fn gateway(&self, registry: &mut Registry) {
        let connections = Family::<Protocol, Gauge>::default();
        for (protocol, count) in [("http", self.requests), ("websocket", self.websockets)] {
            connections.get_or_create(&Protocol { protocol }).set(count as i64);
        }
        registry.register("connections", "Connections held now", connections);
        registry.register_with_unit(
            "uptime",
            "Since the gateway started",
            Unit::Seconds,
            ConstGauge::new(self.uptime_seconds),
        );
        let build = Family::<Build, Gauge>::default();
        build.get_or_create(&Build { version: self.info.version.clone() }).set(1);
        registry.register("build_info", "What runs here", build);
        registry.register(
            "config_last_reload_successful",
            "Whether the config was taken the last time it was read",
            ConstGauge::new(i64::from(self.info.last_reload_successful)),
        );
        registry.register("config_reloads", "Reloads applied", ConstCounter::new(self.info.reloads));
    }

    fn router(&self, registry: &mut Registry) {
        let Counters {
            published,
            rejected,
            bytes,
            trimmed,
            snapshots_evicted,
            overflows,
            held_bytes,
            channels,
            snapshots,
        } = self.counters;
        for (name, help, count) in [
            ("published_events", "Events that got a position", published),
            ("rejected_events", "Events of batches that were refused when they were published", rejected),
            ("trimmed_events", "Events that left a log by its bounds", trimmed),
            ("evicted_snapshots", "Retained events that had to make room for others", snapshots_evicted),
            ("shard_overflows", "Times that a shard's queue ran over, so that it read from the logs", overflows),
        ] {
            registry.register(name, help, ConstCounter::new(count));
        }
        registry.register_with_unit("published", "Payload of the events", Unit::Bytes, ConstCounter::new(bytes));
        registry.register_with_unit(
            "logs",
            "Held by all channel logs",
            Unit::Bytes,
            ConstGauge::new(held_bytes as i64),
        );
        registry.register("channels", "Channels that exist", ConstGauge::new(channels as i64));
        registry.register("snapshots", "Retained events held", ConstGauge::new(snapshots as i64));
    }

    fn sources(&self, registry: &mut Registry) {
        let up = Family::<Source, Gauge>::default();
        let (events, dropped, restarts) =
            (Family::<Source, Counter>::default(), Family::<Source, Counter>::default(), Family::default());
        for info in &self.sources {
            let source = Source { source: info.name.clone() };
            up.get_or_create(&source).set(i64::from(info.state == SourceState::Up));
            events.get_or_create(&source).inc_by(info.events);
            dropped.get_or_create(&source).inc_by(info.dropped);
            Family::<Source, Counter>::get_or_create(&restarts, &source).inc_by(info.restarts);
        }
        registry.register("source_up", "Whether the source runs", up);
        registry.register("source_events", "Events that the source published", events);
        registry.register("source_dropped_events", "Events of the source that could not be taken", dropped);
        registry.register("source_restarts", "New instances because one failed", restarts);
    }

    fn webhooks(&self, registry: &mut Registry) {
        let up = Family::<Webhook, Gauge>::default();
        let count = |of: fn(&WebhookInfo) -> u64| {
            let counts = Family::<Webhook, Counter>::default();
            for info in &self.webhooks {
                counts.get_or_create(&Webhook { webhook: info.name.clone() }).inc_by(of(info));
            }
            counts
        };
        for info in &self.webhooks {
            let webhook = Webhook { webhook: info.name.clone() };
            up.get_or_create(&webhook).set(i64::from(info.state == "sending"));
        }
        registry.register("webhook_up", "Whether the endpoint took what it got last", up);
        registry.register("webhook_delivered_events", "Events that the endpoint took", count(|info| info.delivered));
        registry.register("webhook_gaps", "Gaps that the endpoint was told of", count(|info| info.gaps));
        registry.register(
            "webhook_failed_attempts",
            "Posts that the endpoint did not take",
            count(|info| info.failures),
        );
        registry.register(
            "webhook_dead_letters",
            "Events that the endpoint did not take in time",
            count(|info| info.dead_letters),
        );
    }

    /// The names that every exporter uses, without our prefix.
    fn process(&self, registry: &mut Registry) {
        let process = registry.sub_registry_with_prefix("process");
        if let Some(bytes) = self.process.resident_bytes {
            let memory = ConstGauge::new(bytes as i64);
            process.register_with_unit("resident_memory", "Memory in use by the daemon alone", Unit::Bytes, memory);
        }
        if let Some(seconds) = self.process.cpu_seconds {
            let cpu = ConstCounter::new(seconds);
            process.register_with_unit("cpu", "User and system time of the daemon alone", Unit::Seconds, cpu);
        }
        if let Some(fds) = self.process.open_fds {
            process.register("open_fds", "Open file descriptors", ConstGauge::new(fds as i64));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_their_units_and_sources_their_names() {
        let source = |name: &str, state| SourceInfo {
            name: name.into(),
            state,
            plugin: None,
            exec: None,
            version: None,
            isolation: "process",
            pid: None,
            generation: 1,
            restarts: 2,
            events: 30,
            dropped: 4,
            channels: Vec::new(),
            commands: Vec::new(),
            reason: None,
            since: "2026-01-01T00:00:00Z".into(),
        };
        let moment = Moment {
            requests: 1,
            websockets: 7,
            uptime_seconds: 1.5,
            counters: Counters { published: 9, rejected: 2, bytes: 800, held_bytes: 4000, ..Counters::default() },
            sources: vec![source("cpu", SourceState::Up), source("a\"b", SourceState::Backoff)],
            webhooks: vec![WebhookInfo {
                name: "x".into(),
                state: "retrying",
                delivered: 5,
                gaps: 1,
                failures: 3,
                dead_letters: 2,
                ..WebhookInfo::default()
            }],
            info: Info { version: "1.2.3".into(), last_reload_successful: true, reloads: 3, ..Info::default() },
            process: Process { resident_bytes: Some(5000), cpu_seconds: Some(0.25), open_fds: Some(11) },
        };
        let mut text = String::new();
        moment.write(&mut text).unwrap();
        for line in [
            "headwater_connections{protocol=\"websocket\"} 7",
            "headwater_uptime_seconds 1.5",
            "headwater_build_info{version=\"1.2.3\"} 1",
            "headwater_config_last_reload_successful 1",
            "headwater_config_reloads_total 3",
            "headwater_published_events_total 9",
            "headwater_rejected_events_total 2",
            "headwater_published_bytes_total 800",
            "headwater_logs_bytes 4000",
            "headwater_source_up{source=\"cpu\"} 1",
            "headwater_source_up{source=\"a\\\"b\"} 0",
            "headwater_source_events_total{source=\"cpu\"} 30",
            "headwater_source_dropped_events_total{source=\"cpu\"} 4",
            "headwater_source_restarts_total{source=\"cpu\"} 2",
            "headwater_webhook_up{webhook=\"x\"} 0",
            "headwater_webhook_delivered_events_total{webhook=\"x\"} 5",
            "headwater_webhook_gaps_total{webhook=\"x\"} 1",
            "headwater_webhook_failed_attempts_total{webhook=\"x\"} 3",
            "headwater_webhook_dead_letters_total{webhook=\"x\"} 2",
            "process_resident_memory_bytes 5000",
            "process_cpu_seconds_total 0.25",
            "process_open_fds 11",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
    }
}
