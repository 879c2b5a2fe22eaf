//! The source: waits for the next look and for what others tell, and has the desk do the rest.

use crate::{
    commands::{self, Changed, SHORTEST},
    config::Config,
    desk::Desk,
    groups,
    past::{Past, Word},
};
use headwater_plugin::prelude::*;

/// The first event comes after this time, however long the interval is.
const FIRST_WINDOW: Period = Period::from_millis(200);

/// Commands about alerts that wait until it is known how these stood before; one more is refused.
const HELD: usize = 64;

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
        let mut desk = Desk::new(&config);
        let mut past = Some(Past::open(&mut ctx).await?);
        desk.watch_pressure(&config);
        // What happens while it happens; and what stands, which others have told long ago: so long perhaps that only the
        // snapshots are left of it.
        let mut now = ctx.subscribe(
            &["daemon_metrics", "mcp_traffic"],
            json!({ "filter": { "types": ["daemon.stats", "mcp.calls"] } }),
        )?;
        let mut standing = ctx.subscribe(
            &["tmux", "agent", "mcp_servers"],
            json!({ "snapshots": true, "filter": { "types": groups::TYPES } }),
        )?;
        // Sessions that began while the source was away run on.
        let sessions = json!({ "from": "earliest", "filter": { "types": ["mcp.session"] } });
        let mut sessions = ctx.subscribe(&["mcp_traffic"], sessions)?;
        let mut held: Vec<Command> = Vec::new();
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
                    Some(Turn::Command(command)) if !desk.begun && commands::is_of_alerts(&command) => {
                        if held.len() < HELD {
                            held.push(command);
                        } else {
                            commands::refuse(command);
                        }
                    }
                    Some(Turn::Command(command)) => {
                        if let Some(asked) = obey(&mut desk, &mut ctx, command, interval).await? {
                            info!("looking every {asked}");
                            interval = asked;
                            pause = asked;
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
                delivery = sessions.next() => match delivery {
                    Some(delivery) => desk.hear(delivery),
                    None => break,
                },
                word = read(&mut past) => {
                    match word {
                        Word::Late => desk.begun = true,
                        Word::Left(left) => {
                            past = None;
                            desk.restore(left);
                        }
                    }
                    for command in held.drain(..) {
                        obey(&mut desk, &mut ctx, command, interval).await?;
                    }
                }
                saturated = desk.saturated() => desk.push(&mut ctx, saturated).await?,
            }
        }
        Ok(())
    }
}

/// Does what a command asks. The answer is another interval, where it has asked for that.
async fn obey(desk: &mut Desk, ctx: &mut Context, command: Command, interval: Period) -> Result<Option<Period>> {
    let at = desk.now();
    match commands::run(command, &mut desk.alerts, interval, at) {
        Changed::Nothing => Ok(None),
        Changed::Interval(asked) => Ok(Some(asked)),
        Changed::Silence(command, answer) => {
            desk.tell_states(ctx).await?;
            command.complete(answer);
            Ok(None)
        }
    }
}

/// Waits for a word of the past; for ever once it has been read.
async fn read(past: &mut Option<Past>) -> Word {
    match past {
        Some(past) => past.read().await,
        None => std::future::pending().await,
    }
}
