//! `[gateway]` and `[gateway.limits]`: the listener and what one client may do.

use crate::{Period, Size, period, size};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// The one port that everything is served on, and its limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Gateway {
    /// Address and port of HTTP and WebSocket. Only loopback addresses are accepted.
    #[schemars(extend("format" = "socket-address"))]
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// A unix socket for programs of this machine that would rather name a file than a port: one JSON object a line in
    /// both directions, events in, subscriptions out. Only its owner may open it (mode 0600). None by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1), example = &"/run/headwater/headwater.sock")]
    pub socket: Option<PathBuf>,
    /// Threads that deliver events to clients. 0 takes half of the machine's cores, at least one and at most 32.
    #[schemars(range(min = 0, max = 32))]
    pub shards: usize,
    /// Host names that a request may name besides localhost and the listening address. Anything else is refused: a web
    /// page whose name was rebound to this machine would otherwise reach it.
    pub allowed_hosts: Vec<String>,
    /// Web origins (`https://example.org`) whose pages may connect, besides pages from the gateway itself. Without
    /// this check every page in a browser on this machine could read events and send commands.
    pub allowed_origins: Vec<String>,
    /// Connections held at once; further ones are refused. Each costs a file descriptor.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: usize,
    /// The largest message a WebSocket client may send. A larger one closes the connection with 1009.
    #[serde(with = "size::plain")]
    #[schemars(with = "Size", extend("minimum" = 1024, "maximum" = 67_108_864))]
    pub max_message_bytes: u64,
    /// The largest body of an HTTP request that brings events in. A larger one is answered with 413.
    #[serde(with = "size::plain")]
    #[schemars(with = "Size", extend("minimum" = 1024, "maximum" = 268_435_456))]
    pub max_ingest_bytes: u64,
    /// Time to send a complete request head. A slower connection is closed: half-open ones would pile up otherwise.
    #[serde(with = "period::plain")]
    #[schemars(with = "Period", extend("x-minimum" = "10ms", "x-maximum" = "5m"))]
    pub handshake_timeout: Duration,
    /// How often a quiet WebSocket connection is pinged.
    #[serde(with = "period::plain")]
    #[schemars(with = "Period", extend("x-minimum" = "10ms", "x-maximum" = "1h"))]
    pub ping_interval: Duration,
    /// Time to answer a ping. Without an answer the connection counts as dead and is closed.
    #[serde(with = "period::plain")]
    #[schemars(with = "Period", extend("x-minimum" = "10ms", "x-maximum" = "1h"))]
    pub pong_timeout: Duration,
    /// How long a client may take no byte while bytes wait for it, before it is closed with 4410 and its position.
    #[serde(with = "period::plain")]
    #[schemars(with = "Period", extend("x-minimum" = "10ms", "x-maximum" = "1h"))]
    pub stall_timeout: Duration,
    /// Deliver to each client at most once per this interval, many events in one write. "0s" delivers at once; "5ms"
    /// spends less CPU under load for 5 ms of delay.
    #[serde(with = "period::plain")]
    #[schemars(with = "Period", extend("x-minimum" = "0s", "x-maximum" = "1s"))]
    pub flush_interval: Duration,
    /// Time that a stopping daemon gives its clients to take what is already theirs.
    #[serde(with = "period::plain")]
    #[schemars(with = "Period", extend("x-minimum" = "0s", "x-maximum" = "5m"))]
    pub drain: Duration,
    /// What one client may ask for.
    pub limits: Limits,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8765)),
            socket: None,
            shards: 0,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            max_connections: 10_000,
            max_message_bytes: 64 << 10,
            max_ingest_bytes: 4 << 20,
            handshake_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(25),
            pong_timeout: Duration::from_secs(8),
            stall_timeout: Duration::from_secs(10),
            flush_interval: Duration::ZERO,
            drain: Duration::from_secs(10),
            limits: Limits::default(),
        }
    }
}

impl Gateway {
    /// Every key with some value.
    pub(super) fn full() -> Self {
        Self { socket: Some(PathBuf::new()), ..Self::default() }
    }
}

/// What one client may ask for. A client that goes beyond is told so, or closed with 4429; the others do not notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Messages a connection may send per second, on average.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub messages_per_second: u32,
    /// Messages a connection may send at once, after a quiet time.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub message_burst: u32,
    /// WebSocket frames of any kind a connection may send per second. Empty fragments and pings are no messages, and
    /// could otherwise be sent by the million.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub frames_per_second: u32,
    /// Channels and patterns a connection may be subscribed to.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_subscriptions: usize,
    /// Patterns (`workflow:*`) among them. Each is compared with every channel.
    #[schemars(range(min = 0, max = 10_000))]
    pub max_patterns: usize,
    /// Events a connection may publish per second. 0 sets no limit.
    #[schemars(range(min = 0, max = 10_000_000))]
    pub publish_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages_per_second: 100,
            message_burst: 150,
            frames_per_second: 1_000,
            max_subscriptions: 128,
            max_patterns: 16,
            publish_per_second: 0,
        }
    }
}

/// Why the daemon does not listen on this address (E0301), or `None` when it may. For `--listen` as for the file.
pub fn listen_refusal(listen: SocketAddr) -> Option<String> {
    if listen.ip().to_canonical().is_loopback() {
        return None;
    }
    Some(format!("listening on {} without tokens and TLS is refused", listen.ip()))
}
