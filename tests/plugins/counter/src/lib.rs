//! A source that counts, for journeys: each life of it has a random name, numbers its events from 1, and says at its end
//! how many there were. So a test can prove over any number of reloads that no event is lost or doubled.

mod reading;

use headwater_plugin::prelude::*;
use std::hash::{BuildHasher, RandomState};
use tokio::{task::JoinSet, time::sleep};

#[config]
struct Config {
    /// The pause between two bursts.
    #[default = "10ms"]
    every: Period,
    /// How many events a burst has.
    #[default = 1]
    burst: u32,
    /// Stands in every event: to tell one config from the next.
    label: Option<String>,
    /// Bytes of filling in every event.
    #[default = 0]
    padding: usize,
    /// Channels to read instead of counting.
    reads: Option<String>,
}

/// Parameters of `slow`.
#[config]
struct Slow {
    /// How long each of its three steps takes.
    #[default = "10ms"]
    step: Period,
}

#[payload]
struct Count<'a> {
    generation: &'a str,
    n: u64,
    label: Option<&'a str>,
    padding: Option<&'a str>,
}

struct Counter;

impl Source for Counter {
    type Config = Config;

    async fn run(config: Config, mut ctx: Context) -> Result<()> {
        if let Some(channels) = &config.reads {
            return reading::read(channels, &mut ctx).await;
        }
        let generation = format!("{:016x}", RandomState::new().hash_one(std::process::id()));
        let padding = (config.padding > 0).then(|| "x".repeat(config.padding));
        let mut n = 0_u64;
        let mut slow = JoinSet::new();
        info!(generation, "counting");
        while let Some(turn) = ctx.every(config.every).await {
            while slow.try_join_next().is_some() {}
            let Some(command) = turn.command() else {
                for _ in 0..config.burst {
                    n += 1;
                    let (label, padding) = (config.label.as_deref(), padding.as_deref());
                    ctx.emit("counter", "counter.counted", &Count { generation: &generation, n, label, padding })
                        .await?;
                }
                continue;
            };
            match command.name.as_str() {
                "get" => command.complete(json!({ "generation": generation, "n": n, "label": config.label })),
                _ => match command.parse::<Slow>() {
                    Ok(Slow { step }) => drop(slow.spawn(take_time(command, step))),
                    Err(error) => command.invalid(error),
                },
            }
        }
        ctx.emit("counter", "counter.ended", &json!({ "generation": generation, "final": n })).await?;
        Ok(())
    }
}

async fn take_time(command: Command, step: Period) {
    command.accept_with("counting sheep", u64::try_from(step.as_millis() * 3).ok());
    for number in 1..=3 {
        command.progress(Progress::step(number, 3, "a sheep"));
        sleep(*step).await;
    }
    command.complete(json!({ "sheep": 3 }));
}

export_source!(Counter {
    emits: ["counter"],
    commands: [
        /// How far it has counted.
        get,
        /// Takes its time: accepted, three steps, done.
        slow: Slow,
    ],
});

#[cfg(test)]
mod tests;
