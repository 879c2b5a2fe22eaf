//! Doing it.

use crate::{fault, mode::Mode, raw};
use headwater_plugin::prelude::*;
use std::{
    hint::black_box,
    io::Write as _,
    process::{self, Command as Process, Stdio},
    sync::Mutex,
    thread,
};
use tokio::task::JoinSet;

/// Misbehaves. `false`: the source is to return at once.
pub(crate) async fn act(mode: Mode, n: u64, ctx: &mut Context) -> Result<bool> {
    let or = |otherwise: u64| if n == 0 { otherwise } else { n };
    match mode {
        Mode::Ok
        | Mode::PanicInCreate
        | Mode::Refuse
        | Mode::SlowCreate
        | Mode::SlowStart
        | Mode::HangOnStop
        | Mode::SlowStop
        | Mode::IgnoreCommands => {}
        Mode::Panic => panic!("misbehaved as told"),
        Mode::PanicInTask => {
            let mut tasks = JoinSet::new();
            tasks.spawn(async { panic!("misbehaved as told, in a task") });
            tasks.detach_all();
            ctx.stopped().await;
        }
        Mode::PanicInThread => drop(thread::spawn(|| panic!("misbehaved as told, in a thread")).join()),
        Mode::PanicWithBadDrop => std::panic::panic_any(raw::Vengeful),
        Mode::Error => return Err("misbehaved as told".into()),
        Mode::EarlyReturn => return Ok(false),
        Mode::Segfault => fault::segfault(),
        Mode::Abort => process::abort(),
        Mode::Exit => process::exit(i32::try_from(n).unwrap_or(1)),
        Mode::StackOverflow => drop(black_box(fault::overflow_the_stack(0))),
        Mode::EndlessLoop => loop {
            black_box(());
        },
        Mode::Block => loop {
            thread::park();
        },
        Mode::Flood | Mode::FloodAndDrop => flood(mode, n, ctx).await?,
        Mode::Leak => leak(n),
        Mode::HugeEvent => {
            let text = "x".repeat(usize::try_from(or(8))? << 20);
            ctx.emit("misbehave", "misbehave.huge", &json!({ "text": text })).await?;
            sound(ctx).await?;
        }
        Mode::BadJson => json(ctx, raw::BAD_JSON).await?,
        Mode::BadUtf8 => json(ctx, raw::BAD_UTF8).await?,
        Mode::DeepJson => json(ctx, &raw::nested(usize::try_from(or(100_000))?)).await?,
        Mode::UndeclaredChannel => stray(ctx, "undeclared").await?,
        Mode::BadChannel => stray(ctx, "no name\n").await?,
        Mode::SystemChannel => stray(ctx, "system_events").await?,
        Mode::ManyChannels => {
            for number in 0..or(20_000) {
                ctx.emit(&format!("misbehave:{number}"), "misbehave.once", &json!({ "n": number })).await?;
            }
        }
        Mode::ManyAttributes => {
            let names: Vec<String> = (0..or(10_000)).map(|number| format!("attribute-{number}")).collect();
            let event = ctx.event("misbehave", "misbehave.attributes");
            names.iter().fold(event, |event, name| event.attribute(name, "x")).emit(&()).await?;
            sound(ctx).await?;
        }
        Mode::LogFlood => (0..or(100_000)).for_each(|number| info!(number, "a record among too many")),
        Mode::PrintFlood => {
            for number in 0..or(10_000) {
                // A pipe that nobody reads any more is no reason to stop.
                let _ = writeln!(std::io::stdout(), "noise {number}");
                let _ = writeln!(std::io::stderr(), "noise {number}");
            }
        }
        Mode::CloseFiles => fault::close_files(),
        Mode::ManyThreads => (0..or(200)).for_each(|_| drop(thread::spawn(thread::park))),
        Mode::Orphan => {
            let seconds = or(60).to_string();
            let child = Process::new("sleep").arg(seconds).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
            ctx.emit("misbehave", "misbehave.orphaned", &json!({ "pid": child.id() })).await?;
        }
    }
    Ok(true)
}

async fn flood(mode: Mode, n: u64, ctx: &mut Context) -> Result<()> {
    #[payload]
    struct Drop {
        n: u64,
    }
    let mut number = 0;
    while (n == 0 || number < n) && !ctx.is_stopping() {
        number += 1;
        let data = Drop { n: number };
        if mode == Mode::FloodAndDrop {
            ctx.try_emit("misbehave", "misbehave.flood", &data)?;
            tokio::task::consume_budget().await; // it floods; it does not hang
        } else {
            ctx.emit("misbehave", "misbehave.flood", &data).await?;
        }
    }
    Ok(())
}

/// What was taken, so that it stays taken.
static KEPT: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

fn leak(mebibytes: u64) {
    let mut taken = 0;
    while mebibytes == 0 || taken < mebibytes {
        // Written to, or the kernel would only promise it.
        let block = vec![taken as u8 | 1; 1 << 20];
        if let Ok(mut kept) = KEPT.lock() {
            kept.push(black_box(block));
        }
        taken += 1;
    }
}

/// Broken data, and then sound data: the one must not take the other down.
async fn json(ctx: &mut Context, bytes: &[u8]) -> Result<()> {
    ctx.event("misbehave", "misbehave.broken").emit_json(bytes).await?;
    sound(ctx).await
}

/// An event where it does not belong, and then one where it does.
async fn stray(ctx: &mut Context, channel: &str) -> Result<()> {
    ctx.emit(channel, "misbehave.stray", &()).await?;
    sound(ctx).await
}

async fn sound(ctx: &mut Context) -> Result<()> {
    Ok(ctx.emit("misbehave", "misbehave.sound", &json!({ "still": "here" })).await?)
}
