//! A source that does what it is told, by commands; its settings say how it begins.
#![allow(clippy::unwrap_used)] // it is a test, though it stands in no test function

use headwater_plugin::prelude::*;
use std::{future::pending, time::UNIX_EPOCH};
use tokio::task::JoinSet;

/// How the actor begins.
#[config]
pub(crate) struct Config {
    /// What it does before it takes commands.
    #[default = "nothing"]
    begin: Begin,
    /// How many events.
    #[default = 0]
    count: u64,
    /// Refused when it is read.
    #[serde(default, deserialize_with = "explode")]
    fuse: bool,
    /// Not read at all.
    hint: Option<String>,
}

#[config]
#[derive(Debug, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Begin {
    Nothing,
    /// Emits `count` events and returns.
    EmitAndReturn,
    /// Emits without end.
    Flood,
    /// Fails at once.
    Fail,
    Panic,
}

fn explode<'de, D: headwater_plugin::serde::Deserializer<'de>>(_: D) -> Result<bool, D::Error> {
    panic!("the fuse was lit")
}

/// Parameters of `pause`.
#[config]
struct Pause {
    steps: u64,
}

#[payload]
struct Number {
    n: u64,
    of: Option<u64>,
}

pub(crate) struct Actor;

impl Source for Actor {
    type Config = Config;

    async fn run(config: Config, mut ctx: Context) -> Result<()> {
        info!(begin = ?config.begin, "on stage");
        if config.fuse || config.hint.is_some() {
            return Err("these settings are only there to be read".into());
        }
        match config.begin {
            Begin::Nothing => {}
            Begin::EmitAndReturn => {
                for n in 1..=config.count {
                    ctx.emit("actor", "numbered", &Number { n, of: Some(config.count) }).await?;
                }
                return Ok(());
            }
            Begin::Flood => {
                let mut n = 0;
                while !ctx.is_stopping() {
                    n += 1;
                    ctx.emit("actor", "numbered", &Number { n, of: None }).await?;
                }
                return Ok(());
            }
            Begin::Fail => {
                let cause = std::fs::read("/no/such/file").unwrap_err();
                return Err(Box::new(Unreadable { cause }));
            }
            Begin::Panic => panic!("stage fright"),
        }
        let mut tasks = JoinSet::new();
        let mut held = Vec::new();
        while let Some(command) = ctx.command().await {
            match command.name.as_str() {
                "emit" => {
                    let kind = command.parameters["type"].as_str().unwrap_or("said").to_owned();
                    ctx.emit("actor", &kind, &command.parameters).await?;
                    command.complete(());
                }
                "full_event" => {
                    let event = ctx.event("actor:full", "full").severity(Severity::Debug).severity(Severity::Warning);
                    let event = event.evidence(Evidence::Inferred).attribute("pane", "%1").attribute("window", "@2");
                    let time = UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
                    event.time(time).key("k").emit(&json!([1, 2])).await?;
                    command.complete(());
                }
                "retain" => {
                    ctx.retain("actor", "kept", "key", &command.parameters).await?;
                    command.complete(());
                }
                "forget" => {
                    ctx.forget("actor", "gone", "key").await?;
                    command.complete(());
                }
                "raw" => {
                    ctx.event("actor", "raw").emit_json(b"{\"raw\": true}").await?;
                    command.complete(());
                }
                "try_emit" => {
                    let mut taken = 0;
                    for n in 1..=10 {
                        taken += u64::from(ctx.try_emit("actor", "tried", &Number { n, of: None })?);
                    }
                    command.complete(json!({ "taken": taken, "dropped": ctx.dropped() }));
                }
                "unencodable" => {
                    let map = std::collections::BTreeMap::from([((1, 2), 3)]);
                    let error = ctx.emit("actor", "map", &map).await.unwrap_err();
                    command.fail(error);
                }
                "undeclared" => {
                    ctx.emit("elsewhere", "stray", &1).await?;
                    command.complete(());
                }
                "pause" => match command.parse::<Pause>() {
                    Ok(Pause { steps }) => {
                        command.accept_with("pausing", Some(20));
                        for step in 1..=steps {
                            command.progress(Progress::step(step, steps, "resting"));
                        }
                        command.complete(json!({ "rested": steps }));
                    }
                    Err(error) => command.invalid(error),
                },
                "refuse" => command.fail(
                    Failure::new("RESOURCE_NOT_FOUND", "no such prop")
                        .details(json!({ "prop": "skull" }))
                        .suggest("ask Yorick"),
                ),
                "drop" => drop(command),
                "hold" => held.push(command),
                "whoami" => command.unknown(),
                "answer_error" => command.answer(Err::<(), _>(std::io::Error::other("disk on fire"))),
                "not_json" => command.complete(std::collections::BTreeMap::from([((1, 2), 3)])),
                "log" => {
                    debug!(cost = expensive(), "a whisper");
                    warn!(target: "stage", n = 3, who = "actor", "a line");
                    command.complete(());
                }
                "log_elsewhere" => {
                    tokio::task::spawn_blocking(|| info!("from a blocking thread")).await?;
                    command.complete(());
                }
                "panic" => panic!("forgot the text"),
                "panic_badly" => std::panic::panic_any(Vengeful),
                "panic_in_task" => {
                    tasks.spawn(async { panic!("the understudy fell") });
                    command.complete(());
                }
                "panic_in_blocking" => {
                    let _ = tokio::task::spawn_blocking(|| panic!("the stagehand fell")).await;
                    pending::<()>().await;
                }
                "subscribe" => {
                    let mut subscription = ctx.subscribe(&["agents", "workflow:*"], command.parameters.clone())?;
                    let mut emitter = ctx.emitter();
                    tasks.spawn(async move {
                        while let Some(delivery) = subscription.next().await {
                            match delivery {
                                Delivery::Event(event) => {
                                    let data = json!({
                                        "channel": event.channel, "kind": event.kind, "source": event.source,
                                        "data": event.data::<Value>().unwrap(), "id": event.id,
                                        "position": event.position, "pane": event.attribute("pane"),
                                        "severe": event.severity == Some(Severity::Error),
                                    });
                                    emitter.emit("actor", "read", &data).await.unwrap();
                                }
                                Delivery::Gap(gap) => {
                                    let lost = json!({ "lost": gap.to - gap.from + 1, "why": gap.reason });
                                    emitter.emit("actor", "lost", &lost).await.unwrap();
                                }
                                Delivery::Notice(notice) => emitter.emit("actor", "noticed", &notice).await.unwrap(),
                            }
                        }
                        emitter.emit("actor", "closed", &()).await.unwrap();
                    });
                    command.complete(());
                }
                "subscribe_briefly" => {
                    drop(ctx.subscribe(&["agents"], json!({}))?);
                    let refused = ctx.subscribe(&["agents"], json!(7)).unwrap_err();
                    command.complete(refused.to_string());
                }
                "subscribe_and_ignore" => {
                    let subscription = ctx.subscribe(&["agents"], json!({}))?;
                    tasks.spawn(async move {
                        let _held = subscription;
                        pending::<()>().await;
                    });
                    command.complete(());
                }
                "block" => loop {
                    std::thread::park();
                },
                "exit" => return Ok(()),
                other => unreachable!("the manifest declares no `{other}`"),
            }
        }
        while let Some(done) = tasks.join_next().await {
            done?;
        }
        ctx.emit("actor", "bowed", &json!({ "held": held.len() })).await?;
        Ok(())
    }
}

fn expensive() -> u32 {
    EXPENSIVE.fetch_add(1, std::sync::atomic::Ordering::SeqCst)
}

/// How often a value was computed for a log record.
pub(crate) static EXPENSIVE: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

#[derive(Debug)]
struct Unreadable {
    cause: std::io::Error,
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cannot read the script")
    }
}

impl std::error::Error for Unreadable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// A panic payload that panics again when it is dropped.
struct Vengeful;

impl Drop for Vengeful {
    fn drop(&mut self) {
        panic!("and again");
    }
}

export_source!(Actor {
    emits: ["actor", "actor:*"],
    reads: ["agents", "workflow:*"],
    commands: [
        emit, full_event, retain, forget, raw, try_emit, unencodable, undeclared,
        /// Rests in "steps".
        ///
        /// As long as it takes.
        pause(operate): Pause,
        refuse, drop, hold, whoami, answer_error, not_json, log, log_elsewhere, panic, panic_badly,
        panic_in_task, panic_in_blocking, subscribe, subscribe_briefly, subscribe_and_ignore, block, exit,
    ],
});
