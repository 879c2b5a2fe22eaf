//! What the daemon does, as an event once a second: `daemon.stats` on the channel `daemon_metrics`, while anybody reads it
//! by its name and no longer. The binary keeps that channel out of the history.
//!
//! Counters are totals since the start; `requests` and `commands` tell of the time since the event before, `window_ms`.

use crate::{SourceState, http::App, latency::Took};
use headwater_event::{ChannelName, Draft, Evidence, Payload};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// The channel.
const CHANNEL: &str = "daemon_metrics";

/// What the daemon's own events name as their source.
const DAEMON: &str = "headwater";

/// How often it tells.
const EVERY: Duration = Duration::from_secs(1);

/// What of it stays in memory: about a minute, for a reader that is slow.
const KEPT: usize = 64 * 1024;

/// One look at what took time.
struct Look {
    at: Instant,
    requests: Took,
    commands: Took,
}

/// Tells until `closing`. Where nobody reads it costs a look at the list of readers a second.
pub(crate) async fn tell(app: Arc<App>, closing: CancellationToken) {
    let channel = ChannelName::new(CHANNEL).expect("invariant: the name is well formed");
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Of the last second in which somebody read; what came before would be told as if it were of now.
    let mut before: Option<Look> = None;
    loop {
        tokio::select! {
            () = closing.cancelled() => return,
            _ = clock.tick() => {}
        }
        if !app.router.is_asked_for(&channel) {
            before = None;
            continue;
        }
        let (requests, commands) = app.metrics.took();
        let now = Look { at: Instant::now(), requests, commands };
        if let Some(before) = &before {
            let data = Payload::new(data(&app, before, &now).to_string().into());
            let mut draft = Draft::new(channel.clone(), "daemon.stats", DAEMON, data.expect("a value is valid JSON"));
            draft.evidence = Some(Evidence::Observed);
            if let Err(error) = app.router.publish(vec![draft]) {
                // The next word tells of this time too.
                tracing::debug!(%error, "the daemon's figures are not told");
                continue;
            }
            app.router.cut(&channel, KEPT);
        }
        before = Some(now);
    }
}

fn data(app: &App, before: &Look, now: &Look) -> Value {
    let counters = app.router.counters();
    let (deliveries, bytes_out) = app.metrics.written();
    let sources = app.ports().sources();
    let is = |state| sources.iter().filter(|source| source.state == state).count();
    let failing = sources
        .iter()
        .filter(|source| matches!(source.state, SourceState::Backoff | SourceState::Quarantined | SourceState::Down));
    json!({
        "pid": std::process::id(),
        "uptime_ms": app.uptime().as_millis() as u64,
        "window_ms": now.at.duration_since(before.at).as_millis() as u64,
        "events": counters.published,
        "events_rejected": counters.rejected,
        "client_events_rejected": app.publisher.refused(),
        "payload_bytes": counters.bytes,
        "messages": app.metrics.messages(),
        "deliveries": deliveries,
        "bytes_out": bytes_out,
        "connections": { "http": app.requests(), "websocket": app.websockets() },
        "subscriptions": app.router.subscriptions(),
        "channels": counters.channels,
        "held_bytes": counters.held_bytes,
        "sources": {
            "up": is(SourceState::Up),
            "failing": failing.map(|source| &source.name).collect::<Vec<_>>(),
            "events": sources.iter().map(|source| source.events).sum::<u64>(),
            "dropped": sources.iter().map(|source| source.dropped).sum::<u64>(),
            "restarts": sources.iter().map(|source| source.restarts).sum::<u64>(),
        },
        "requests": took(&now.requests.since(&before.requests)),
        "commands": took(&now.commands.since(&before.commands)),
    })
}

/// Counts, milliseconds where there were any, and the buckets from which a reader gets those of a longer time.
fn took(took: &Took) -> Value {
    let count = took.count();
    let mut told = json!({ "count": count, "errors": took.errors });
    if count > 0 {
        told["sum_ms"] = ms(took.sum_us());
        for (name, part) in [("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)] {
            if let Some(us) = took.within_us(part) {
                told[name] = ms(us);
            }
        }
        told["buckets"] = took.held().map(|(us, count)| json!([ms(us), count])).collect();
    }
    told
}

fn ms(us: u64) -> Value {
    (us as f64 / 1_000.0).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_happen_has_no_duration() {
        let latency = crate::latency::Latency::new();
        let before = latency.look();
        assert_eq!(took(&latency.look().since(&before)), json!({ "count": 0, "errors": 0 }));
        latency.add(Duration::from_micros(7), false);
        latency.add(Duration::from_micros(9), true);
        let expected = json!({
            "count": 2, "errors": 1, "sum_ms": 0.016, "p50_ms": 0.007, "p95_ms": 0.009, "p99_ms": 0.009,
            "buckets": [[0.007, 1], [0.009, 1]],
        });
        assert_eq!(took(&latency.look().since(&before)), expected);
    }
}
