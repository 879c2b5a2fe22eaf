//! What the gateway is told once, at its start. Taken from `[gateway]` of the config; tests make their own.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// The router has room for 64 readers, of which streams, webhooks and reading sources need some; and beyond this number of
/// threads nothing is faster.
const MAX_SHARDS: usize = 32;

/// Addresses, limits and times of the gateway. The config's own docs say what breaks without each.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Threads that deliver events, at least 1.
    pub shards: usize,
    /// Names that `Host` may carry besides localhost and the listening address; with a port, only with that one.
    pub allowed_hosts: Vec<String>,
    /// Web origins that may connect besides the gateway's own.
    pub allowed_origins: Vec<String>,
    /// HTTP and WebSocket connections together.
    pub max_connections: usize,
    /// The largest message of a WebSocket client.
    pub max_message_bytes: usize,
    /// The largest body of `POST /v1/events`.
    pub max_ingest_bytes: usize,
    /// From accept to a whole request head, and from one request to the next.
    pub handshake_timeout: Duration,
    /// How often a quiet WebSocket connection is pinged.
    pub ping_interval: Duration,
    /// How long an answer to a ping may take.
    pub pong_timeout: Duration,
    /// How long a client may take no byte while bytes wait for it.
    pub stall_timeout: Duration,
    /// The least time between two writes to one client; zero writes at once.
    pub flush_interval: Duration,
    /// How long the end of the gateway may take.
    pub drain: Duration,
    /// Where sessions wait for the next life of the daemon; `None`: they end with this one.
    pub sessions: Option<PathBuf>,
    /// What one client may ask for.
    pub limits: Limits,
}

/// What one client may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Messages of a WebSocket connection, on average.
    pub messages_per_second: u32,
    /// Messages at once.
    pub message_burst: u32,
    /// WebSocket frames of any kind.
    pub frames_per_second: u32,
    /// Channels and patterns of a connection.
    pub max_subscriptions: usize,
    /// Patterns among them.
    pub max_patterns: usize,
    /// Events that a connection, or over HTTP an address, may publish. 0 sets no limit.
    pub publish_per_second: u32,
}

impl Default for Options {
    /// The config's defaults, on a port that the system picks.
    fn default() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { listen, ..Self::from(&headwater_config::Gateway::default()) }
    }
}

impl From<&headwater_config::Gateway> for Options {
    fn from(config: &headwater_config::Gateway) -> Self {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let limits = &config.limits;
        Self {
            listen: config.listen,
            shards: if config.shards == 0 { (cores() / 2).clamp(1, MAX_SHARDS) } else { config.shards.min(MAX_SHARDS) },
            allowed_hosts: config.allowed_hosts.clone(),
            allowed_origins: config.allowed_origins.clone(),
            max_connections: config.max_connections,
            max_message_bytes: bytes(config.max_message_bytes),
            max_ingest_bytes: bytes(config.max_ingest_bytes),
            handshake_timeout: config.handshake_timeout,
            ping_interval: config.ping_interval,
            pong_timeout: config.pong_timeout,
            stall_timeout: config.stall_timeout,
            flush_interval: config.flush_interval,
            drain: config.drain,
            sessions: None,
            limits: Limits {
                messages_per_second: limits.messages_per_second,
                message_burst: limits.message_burst,
                frames_per_second: limits.frames_per_second,
                max_subscriptions: limits.max_subscriptions,
                max_patterns: limits.max_patterns,
                publish_per_second: limits.publish_per_second,
            },
        }
    }
}

fn bytes(config: u64) -> usize {
    usize::try_from(config).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_shards_in_the_config_means_half_of_the_cores_and_at_least_one() {
        let mut config = headwater_config::Gateway::default();
        assert!(Options::from(&config).shards >= 1);
        config.shards = 3;
        assert_eq!(Options::from(&config).shards, 3);
        // Harm prevented: a daemon that panics at its start on a large machine.
        config.shards = 64;
        assert_eq!(Options::from(&config).shards, MAX_SHARDS);
    }
}
