//! The fan-out scenarios, and one turn of one of them against one server. Their names are those of the design.

use crate::{
    crowd::{Crowd, Reads},
    pacer::Pacer,
    programs::Programs,
    publisher::{Content, Publisher},
    server::{Kind, Server, Settings},
    tongue::channels,
};
use std::{
    io,
    time::{Duration, Instant},
};

/// A part of the turn that goes by before the measuring begins: buffers grow, caches fill.
const WARM_UP: u32 = 5;

/// Who reads what, and how it is published.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// On the command line and in reports.
    pub name: &'static str,
    /// In words.
    pub title: &'static str,
    /// Connections that read.
    pub subscribers: usize,
    /// Channels that there are; events go round them.
    pub channels: usize,
    /// How many of them each connection reads.
    pub each: usize,
    /// How events are published.
    pub pace: Pace,
    /// The daemon's `flush_interval`.
    pub flush_interval: Duration,
    /// Servers that can keep up.
    pub servers: &'static [Kind],
    /// What Headwater is held to.
    pub goals: &'static [Goal],
}

/// How events are published.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// As fast as all can take them: so many in one write, and so many published and not yet received by all. Less than
    /// sockets' buffers hold, and enough to keep a server busy.
    Full {
        /// In one write.
        batch: usize,
        /// On the way.
        window: u64,
    },
    /// The next one when all have the last one.
    OneInFlight,
    /// So many a second, each in a message of its own.
    Steady(u32),
}

/// What Headwater is held to.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// CPU per delivery is so many times less than this server's.
    TimesLess(Kind, f64),
    /// CPU per delivery is at most this part of that server's.
    Part(Kind, f64),
    /// 99 of 100 events are received within so many milliseconds.
    P99(f64),
    /// The server takes at most so much of a core.
    Cores(f64),
}

const AT_ONCE: Duration = Duration::ZERO;
const ALL: &[Kind] = &[Kind::Headwater, Kind::Nats, Kind::Feed, Kind::Plain, Kind::Node];
/// A million deliveries a second are more than the others do.
const FAST: &[Kind] = &[Kind::Headwater, Kind::Nats, Kind::Feed];

/// All scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "S1",
        title: "100 subscribers at full rate",
        subscribers: 100,
        channels: 1,
        each: 1,
        pace: Pace::Full { batch: 64, window: 512 },
        flush_interval: AT_ONCE,
        servers: ALL,
        goals: &[Goal::TimesLess(Kind::Nats, 3.0)],
    },
    Scenario {
        name: "S1k",
        title: "1,000 subscribers at full rate",
        subscribers: 1_000,
        channels: 1,
        each: 1,
        pace: Pace::Full { batch: 64, window: 512 },
        flush_interval: AT_ONCE,
        servers: ALL,
        goals: &[Goal::TimesLess(Kind::Nats, 4.0)],
    },
    Scenario {
        name: "W1",
        title: "100 subscribers, one event in flight",
        subscribers: 100,
        channels: 1,
        each: 1,
        pace: Pace::OneInFlight,
        flush_interval: AT_ONCE,
        servers: ALL,
        goals: &[Goal::Part(Kind::Nats, 0.7)],
    },
    Scenario {
        name: "S2",
        title: "1,000 events/s to 100 subscribers",
        subscribers: 100,
        channels: 1,
        each: 1,
        pace: Pace::Steady(1_000),
        flush_interval: AT_ONCE,
        servers: ALL,
        goals: &[Goal::P99(1.0)],
    },
    Scenario {
        name: "S4",
        title: "1,000 channels with one subscriber each",
        subscribers: 1_000,
        channels: 1_000,
        each: 1,
        pace: Pace::Full { batch: 100, window: 2_000 },
        flush_interval: AT_ONCE,
        servers: ALL,
        goals: &[Goal::Part(Kind::Nats, 0.7)],
    },
    Scenario {
        name: "S7",
        title: "100 connections, each on 10 of 100 channels",
        subscribers: 100,
        channels: 100,
        each: 10,
        pace: Pace::Full { batch: 100, window: 1_000 },
        flush_interval: AT_ONCE,
        servers: ALL,
        goals: &[Goal::TimesLess(Kind::Nats, 2.5)],
    },
    Scenario {
        name: "P10k",
        title: "10,000 events/s to 100 subscribers; headwater with flush_interval = \"1ms\"",
        subscribers: 100,
        channels: 1,
        each: 1,
        pace: Pace::Steady(10_000),
        flush_interval: Duration::from_millis(1),
        servers: FAST,
        goals: &[Goal::Cores(0.6)],
    },
];

/// What one turn came to.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// Server CPU.
    pub nanoseconds_per_delivery: f64,
    /// Server CPU by time.
    pub cores: f64,
    /// By all subscribers together.
    pub deliveries_per_second: f64,
    /// With frames and what else the protocol adds.
    pub bytes_per_delivery: f64,
    /// From send to receipt in milliseconds, at a steady pace: half of them, and 99 of 100, took no longer.
    pub latency: Option<(f64, f64)>,
}

/// What the server had used and the crowd received at one moment.
struct Reading {
    at: Instant,
    cpu: Duration,
    deliveries: u64,
    bytes: u64,
}

impl Reading {
    fn take(server: &Server, crowd: &Crowd) -> io::Result<Self> {
        let (deliveries, bytes) = (crowd.deliveries(), crowd.bytes());
        Ok(Self { at: Instant::now(), cpu: server.cpu()?, deliveries, bytes })
    }
}

impl Scenario {
    /// Changes how much is published at once and how much is on its way, where that is a choice.
    pub fn load(&mut self, wanted_batch: Option<usize>, wanted_window: Option<u64>) {
        if let Pace::Full { batch, window } = &mut self.pace {
            *batch = wanted_batch.unwrap_or(*batch).max(1);
            // A round that is not published cannot be waited for.
            *window = wanted_window.unwrap_or(*window).max((*batch + self.channels) as u64);
        }
    }

    /// Runs one turn: a fresh server, `span` of measuring, and a check that everything arrived once.
    pub async fn turn(&self, kind: Kind, programs: &Programs, size: usize, span: Duration) -> io::Result<Turn> {
        let settings = Settings { flush_interval: self.flush_interval, history: None };
        let server = Server::start(kind, programs, &settings)?;
        let content = Content { tongue: kind.tongue(), channels: channels(self.channels), size, ask: false };
        let reads = Reads { channels: content.channels.clone(), each: self.each };
        let crowd = Crowd::connect(server.address, kind.tongue(), self.subscribers, &reads).await?;
        let (before, after) = match self.pace {
            Pace::Steady(rate) => self.steady(&server, &crowd, content, rate, span).await?,
            Pace::Full { .. } | Pace::OneInFlight => {
                let mut publisher = Publisher::connect(server.address, content).await?;
                self.flood(&crowd, &mut publisher, span / WARM_UP).await?;
                let before = Reading::take(&server, &crowd)?;
                self.flood(&crowd, &mut publisher, span).await?;
                (before, Reading::take(&server, &crowd)?)
            }
        };
        let deliveries = (after.deliveries - before.deliveries) as f64;
        let (cpu, wall) = (
            after.cpu.saturating_sub(before.cpu).as_nanos() as f64,
            after.at.duration_since(before.at).as_nanos() as f64,
        );
        let latency = crowd.ages().map(|ages| {
            let quantile = |q| ages.value_at_quantile(q) as f64 / 1e6;
            (quantile(0.5), quantile(0.99))
        });
        Ok(Turn {
            nanoseconds_per_delivery: cpu / deliveries,
            cores: cpu / wall,
            deliveries_per_second: deliveries * 1e9 / wall,
            bytes_per_delivery: (after.bytes - before.bytes) as f64 / deliveries,
            latency,
        })
    }

    /// How many events each subscriber has received when so many have been published and all rounds of them came.
    fn share(&self, published: u64) -> u64 {
        published / self.channels as u64 * self.each as u64
    }

    /// Publishes as fast as all can take it, then waits until all have all of it.
    async fn flood(&self, crowd: &Crowd, publisher: &mut Publisher, span: Duration) -> io::Result<()> {
        let (batch, window) = match self.pace {
            Pace::Full { batch, window } => (batch, window),
            Pace::OneInFlight | Pace::Steady(_) => (1, 1),
        };
        let began = Instant::now();
        // Whole rounds, or some would have more than others.
        while began.elapsed() < span || !publisher.published().is_multiple_of(self.channels as u64) {
            crowd.reach(self.share((publisher.published() + batch as u64).saturating_sub(window))).await?;
            publisher.publish(batch).await?;
        }
        crowd.reach_exactly(self.share(publisher.published())).await
    }

    async fn steady(
        &self,
        server: &Server,
        crowd: &Crowd,
        content: Content,
        rate: u32,
        span: Duration,
    ) -> io::Result<(Reading, Reading)> {
        let pacer = Pacer::start(server.address, content, rate);
        tokio::time::sleep(span / WARM_UP).await;
        crowd.record_ages();
        let before = Reading::take(server, crowd)?;
        tokio::time::sleep(span).await;
        let after = Reading::take(server, crowd)?;
        crowd.reach_exactly(pacer.stop()?).await?;
        Ok((before, after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_can_be_counted_and_fit_their_goals() {
        for scenario in SCENARIOS {
            let Scenario { name, channels, subscribers, each, .. } = scenario;
            assert!((subscribers * each).is_multiple_of(*channels), "{name}: channels differ in readers");
            if let Pace::Full { batch, window } = scenario.pace {
                assert!(batch.is_multiple_of(*channels) || channels.is_multiple_of(batch), "{name}: no whole rounds");
                assert!(window >= (batch + channels) as u64, "{name}: waits for a round that is not published");
            }
            for goal in scenario.goals {
                if let Goal::TimesLess(kind, _) | Goal::Part(kind, _) = goal {
                    assert!(scenario.servers.contains(kind), "{name}");
                }
            }
        }
    }
}
