//! A source that misbehaves in the way that its settings name, for tests of the host.
//!
//! Every mode first emits `misbehave.started` with its process id, waits for `delay`, and then does what it is told.
//! After a mode that does no lasting harm it takes commands like any source: `ping`, and `act` with another mode.

mod act;
mod fault;
mod mode;
mod raw;

use headwater_plugin::prelude::*;
use mode::Mode;

#[config]
struct Config {
    /// What it does wrong.
    #[default = "ok"]
    #[serde(deserialize_with = "mode::read")]
    mode: Mode,
    /// How many, or how much: what it counts depends on the mode.
    #[default = 0]
    n: u64,
    /// How long it behaves before it does.
    #[default = "0s"]
    delay: Period,
}

/// Parameters of `act`.
#[config]
struct Act {
    mode: Mode,
    #[default = 0]
    n: u64,
}

struct Misbehave;

impl Source for Misbehave {
    type Config = Config;

    async fn run(config: Config, mut ctx: Context) -> Result<()> {
        if config.mode == Mode::SlowStart {
            tokio::time::sleep(*config.delay).await;
        }
        let started = json!({ "mode": config.mode.word(), "pid": std::process::id() });
        ctx.emit("misbehave", "misbehave.started", &started).await?;
        tokio::time::sleep(*config.delay).await;
        if !act::act(config.mode, config.n, &mut ctx).await? {
            return Ok(());
        }
        let mut ignored = Vec::new();
        while let Some(command) = ctx.command().await {
            match (config.mode, command.name.as_str()) {
                (Mode::IgnoreCommands, _) => {
                    ctx.emit("misbehave", "misbehave.ignored", &json!({ "command": command.name })).await?;
                    ignored.push(command);
                }
                (_, "ping") => command.complete(json!({ "pid": std::process::id() })),
                _ => match command.parse::<Act>() {
                    Ok(Act { mode, n }) => {
                        command.accept();
                        if !act::act(mode, n, &mut ctx).await? {
                            return Ok(());
                        }
                        command.complete(());
                    }
                    Err(error) => command.invalid(error),
                },
            }
        }
        if config.mode == Mode::HangOnStop {
            std::future::pending::<()>().await;
        }
        if config.mode == Mode::SlowStop {
            tokio::time::sleep(std::time::Duration::from_millis(config.n)).await;
            ctx.emit("misbehave", "misbehave.stopped", &json!({ "after_ms": config.n })).await?;
        }
        Ok(())
    }
}

export_source!(Misbehave {
    emits: ["misbehave", "misbehave:*"],
    commands: [
        /// Says that it is there.
        ping,
        /// Misbehaves now.
        act: Act,
    ],
});

#[cfg(test)]
mod tests;
