//! The source: waits for the next look and for what others tell, and has the desk do the rest.

use crate::{
    alerts::State,
    commands::{self, Changed, SHORTEST},
    config::Config,
    desk::Desk,
    groups,
    past::Past,
};
use headwater_plugin::prelude::*;

/// The first event comes after this time, however long the interval is.
const FIRST_WINDOW: Period = Period::from_millis(200);

/// The source.
#[derive(Debug)]
pub struct Metrics;

impl Source for Metrics {
    type Config = Config;

    async fn run(config: Config, mut ctx: Context) -> Result<()> {
        let mut interval = config.interval.max(SHORTEST);
        if interval != config.interval {
            warn!(
                "an interval of {} is too short for the kernel's counters: looking every {interval}",
                config.interval
            );
        }
        let mut desk = Desk::new(&config)?;
        let mut past = Some(Past::open(&mut ctx).await?);
        desk.watch_pressure(&mut ctx, &config).await?;
        // What happens while it happens; and what stands, which others have told long ago.
        let mut now = ctx.subscribe(
            &["daemon_metrics", "mcp_traffic"],
            json!({ "filter": { "types": ["daemon.stats", "mcp.calls", "mcp.session"] } }),
        )?;
        let mut standing = ctx.subscribe(
            &["tmux", "agent", "mcp_servers"],
            json!({ "from": "earliest", "filter": { "types": groups::TYPES } }),
        )?;
        // Rates need two looks: the first event comes after a short window, the others after the interval.
        let mut pause = interval.min(FIRST_WINDOW);
        loop {
            tokio::select! {
                turn = ctx.every(pause) => match turn {
                    Some(Turn::Tick) => {
                        if desk.look(&mut ctx, interval).await? {
                            pause = interval;
                        }
                    }
                    Some(Turn::Command(command)) => {
                        let at = desk.now();
                        match commands::run(command, &mut desk.alerts, interval, at) {
                            Changed::Nothing => {}
                            Changed::Silence(command, answer) => {
                                desk.tell_states(&mut ctx).await?;
                                command.complete(answer);
                            }
                            Changed::Interval(asked) => {
                                info!("looking every {asked}");
                                interval = asked;
                                pause = asked;
                            }
                        }
                    }
                    None => break,
                },
                delivery = now.next() => match delivery {
                    Some(delivery) => desk.hear(delivery),
                    None => break,
                },
                delivery = standing.next() => match delivery {
                    Some(delivery) => desk.hear(delivery),
                    None => break,
                },
                states = read(&mut past) => {
                    past = None;
                    desk.restore(states);
                }
                saturated = desk.saturated() => desk.push(&mut ctx, saturated).await?,
            }
        }
        Ok(())
    }
}

/// Waits until the past has been read; for ever once it has been.
async fn read(past: &mut Option<Past>) -> Vec<State> {
    match past {
        Some(past) => past.read().await,
        None => std::future::pending().await,
    }
}
