//! What the gateway counts while it runs. Shards and HTTP handlers add to it; `GET /metrics` writes it out, with what
//! can be read at that moment besides (`http/scrape.rs`). No label ever carries a client's id: labels are kept for ever.

use crate::latency::{Latency, Took};
use headwater_event::{Gap, GapReason};
use headwater_protocol::{CloseCode, ErrorCode};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};
use std::{fmt, sync::Arc, time::Duration};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CloseLabel {
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: &'static str,
    status: u16,
}

/// The running counters. Each call is one atomic addition; those with a label also take a read lock.
pub(crate) struct Metrics {
    registry: Registry,
    deliveries: Counter,
    sent: Counter,
    messages: Counter,
    errors: Family<Code, Counter>,
    gaps: Family<Reason, Counter>,
    gapped: Counter,
    lagging: Gauge,
    closed: Family<CloseLabel, Counter>,
    accepted: Counter,
    refused: Family<Reason, Counter>,
    streams: Gauge,
    streamed: Counter,
    streamed_bytes: Counter,
    answered: Family<Answered, Counter>,
    took: Latency,
    commands: Latency,
}

impl Metrics {
    /// All at zero.
    pub(crate) fn new() -> Arc<Self> {
        let mut metrics = Self {
            registry: Registry::default(),
            deliveries: Counter::default(),
            sent: Counter::default(),
            messages: Counter::default(),
            errors: Family::default(),
            gaps: Family::default(),
            gapped: Counter::default(),
            lagging: Gauge::default(),
            closed: Family::default(),
            accepted: Counter::default(),
            refused: Family::default(),
            streams: Gauge::default(),
            streamed: Counter::default(),
            streamed_bytes: Counter::default(),
            answered: Family::default(),
            took: Latency::new(),
            commands: Latency::new(),
        };
        let registry = metrics.registry.sub_registry_with_prefix("headwater");
        registry.register("deliveries", "Events written to WebSocket connections", metrics.deliveries.clone());
        registry.register_with_unit(
            "sent",
            "Written to WebSocket connections, replies and frame headers included",
            Unit::Bytes,
            metrics.sent.clone(),
        );
        registry.register("received_messages", "Messages read from WebSocket clients", metrics.messages.clone());
        registry.register("errors", "Errors that clients were told, by code", metrics.errors.clone());
        registry.register("gaps", "Gap notices sent, by reason", metrics.gaps.clone());
        registry.register("gapped_events", "Events that gap notices stood for", metrics.gapped.clone());
        registry.register(
            "lagging_connections",
            "WebSocket connections that read from the log because they are behind",
            metrics.lagging.clone(),
        );
        registry.register(
            "closed_connections",
            "WebSocket connections that ended, by close code; 1006 without one",
            metrics.closed.clone(),
        );
        registry.register("accepted_connections", "Connections accepted by the listener", metrics.accepted.clone());
        registry.register("refused_connections", "Connections turned away, by reason", metrics.refused.clone());
        registry.register("open_streams", "Responses of `GET /v1/events` that go on", metrics.streams.clone());
        registry.register("streamed_events", "Events written to HTTP streams", metrics.streamed.clone());
        registry.register_with_unit(
            "streamed",
            "Written to HTTP streams, before compression",
            Unit::Bytes,
            metrics.streamed_bytes.clone(),
        );
        registry.register("http_requests", "Requests answered, by route and status", metrics.answered.clone());
        for (name, help, latency) in [
            (
                "http_request_duration",
                "From a request, or a call of a tool, to the beginning of its answer",
                &metrics.took,
            ),
            ("command_duration", "From a command to its last answer", &metrics.commands),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, latency.clone());
        }
        Arc::new(metrics)
    }

    /// Event frames that were written to sockets, and all bytes of the same writes. Once per shard and turn.
    pub(crate) fn delivered(&self, frames: u64, bytes: u64) {
        self.deliveries.inc_by(frames);
        self.sent.inc_by(bytes);
    }

    /// Messages that WebSocket clients sent.
    pub(crate) fn received(&self, messages: u64) {
        self.messages.inc_by(messages);
    }

    /// A client was told an error.
    pub(crate) fn error(&self, code: ErrorCode) {
        self.error_word(code.as_str());
    }

    /// The same for a code that only HTTP has.
    pub(crate) fn error_word(&self, code: &'static str) {
        self.errors.get_or_create(&Code { code }).inc();
    }

    /// A client was told that it does not get some events.
    pub(crate) fn gap(&self, reason: GapReason, events: u64) {
        self.gaps.get_or_create(&Reason { reason: reason.as_str() }).inc();
        self.gapped.inc_by(events);
    }

    /// Connections that fell behind (positive) or caught up or ended (negative).
    pub(crate) fn lagging(&self, change: i64) {
        self.lagging.inc_by(change);
    }

    /// A WebSocket connection ended; `None` when it broke without a close.
    pub(crate) fn closed(&self, code: Option<CloseCode>) {
        self.closed.get_or_create(&CloseLabel { code: code.map_or(1006, CloseCode::number) }).inc();
    }

    /// The listener has a new connection.
    pub(crate) fn accepted(&self) {
        self.accepted.inc();
    }

    /// The listener or the shards turned one away.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason }).inc();
    }

    /// An HTTP request was answered. The route is the table's path, never the request's: that one a client makes up. `took`
    /// is there where the answer had to be made until then.
    pub(crate) fn answered(&self, route: &'static str, status: u16, took: Option<Duration>) {
        self.answered.get_or_create(&Answered { route, status }).inc();
        if let Some(took) = took {
            self.took.add(took, status >= 500);
        }
    }

    /// A tool has answered; `fault` is the code of a call that came to nothing, `took` is there where it did not wait.
    pub(crate) fn called(&self, took: Option<Duration>, fault: Option<&str>) {
        if let Some(took) = took {
            self.took.add(took, fault.is_some_and(is_fault));
        }
    }

    /// A command has its last answer; an error is one that tells of a fault of the daemon or of its source.
    pub(crate) fn commanded(&self, took: Duration, error: bool) {
        self.commands.add(took, error);
    }

    /// How long the answers to requests, and to commands, took until now.
    pub(crate) fn took(&self) -> (Took, Took) {
        (self.took.look(), self.commands.look())
    }

    /// Events and bytes written to clients until now, over WebSocket and HTTP together.
    pub(crate) fn written(&self) -> (u64, u64) {
        (self.deliveries.get() + self.streamed.get(), self.sent.get() + self.streamed_bytes.get())
    }

    /// Messages that WebSocket clients have sent until now.
    pub(crate) fn messages(&self) -> u64 {
        self.messages.get()
    }

    /// An HTTP stream begins; it is counted until this is dropped.
    pub(crate) fn stream(metrics: &Arc<Self>) -> OpenStream {
        metrics.streams.inc();
        OpenStream(metrics.clone())
    }

    /// Everything above as `OpenMetrics` text, without the mark of its end.
    pub(crate) fn write(&self, out: &mut String) -> fmt::Result {
        prometheus_client::encoding::text::encode_registry(out, &self.registry)
    }
}

/// Whether an error is the daemon's or a source's, and not that of who asked.
pub(crate) fn is_fault(code: &str) -> bool {
    [ErrorCode::Internal, ErrorCode::OutcomeUnknown, ErrorCode::Unavailable].iter().any(|fault| fault.as_str() == code)
}

/// One HTTP stream.
pub(crate) struct OpenStream(Arc<Metrics>);

impl OpenStream {
    /// It was given so many events, in so many bytes.
    pub(crate) fn sent(&self, events: u64, bytes: usize) {
        self.0.streamed.inc_by(events);
        self.0.streamed_bytes.inc_by(bytes as u64);
    }

    /// It was told a gap.
    pub(crate) fn gap(&self, gap: &Gap) {
        self.0.gap(gap.reason, (gap.to + 1).saturating_sub(gap.from.offset));
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.streams.dec();
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_written_with_its_unit() {
        let metrics = Metrics::new();
        metrics.delivered(3, 700);
        metrics.error(ErrorCode::Validation);
        metrics.gap(GapReason::Retention, 12);
        metrics.lagging(2);
        metrics.lagging(-1);
        metrics.closed(None);
        metrics.closed(Some(CloseCode::SlowConsumer));
        metrics.answered("/v1/info", 200, Some(Duration::from_micros(300)));
        metrics.answered("/mcp", 200, None);
        metrics.commanded(Duration::from_secs(3), true);
        let mut text = String::new();
        metrics.write(&mut text).unwrap();
        for line in [
            "headwater_deliveries_total 3",
            "headwater_sent_bytes_total 700",
            "headwater_errors_total{code=\"VALIDATION_ERROR\"} 1",
            "headwater_gaps_total{reason=\"retention\"} 1",
            "headwater_gapped_events_total 12",
            "headwater_lagging_connections 1",
            "headwater_closed_connections_total{code=\"1006\"} 1",
            "headwater_closed_connections_total{code=\"4410\"} 1",
            "headwater_http_requests_total{route=\"/v1/info\",status=\"200\"} 1",
            "headwater_http_request_duration_seconds_count 1",
            "headwater_command_duration_seconds_sum 3.0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
    }
}
