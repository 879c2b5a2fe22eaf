//! `headwater plugin dev`: builds the plugin of a directory, runs it in the daemon, shows its events, and builds it again
//! at each change. The daemon reloads the new file by itself; nobody is disconnected.
//!
//! Without a running daemon it starts one of its own and ends it again.

mod build;
mod daemon;
mod show;
mod watch;

use crate::{args::DevArgs, exit, say::say};
use build::{Built, build};
use daemon::Entry;
use std::{
    path::Path,
    pin::pin,
    process::ExitCode,
    time::{Duration, Instant},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};

/// A source of which nothing is heard for this long needs a look.
const SILENCE: Duration = Duration::from_secs(5);

pub(crate) fn run(args: &DevArgs, globals: &headwater_cli::Globals) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(dev(args, globals)),
        Err(error) => Err(format!("cannot start: {error}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => exit::fail(exit::FAILURE, reason),
    }
}

async fn dev(args: &DevArgs, globals: &headwater_cli::Globals) -> Result<(), String> {
    let directory = std::fs::canonicalize(&args.directory)
        .map_err(|error| format!("cannot open `{}`: {error}", args.directory.display()))?;
    if !directory.join("Cargo.toml").exists() {
        return Err(format!(
            "there is no Cargo.toml in {}; make a plugin with `headwater plugin new NAME`",
            directory.display()
        ));
    }
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    // A terminal that is closed.
    let mut hangup = signal(SignalKind::hangup()).map_err(|error| error.to_string())?;
    // Watched before the first build: an edit meanwhile is built next.
    let mut watcher = watch::Watch::new(&directory)?;
    tokio::select! {
        outcome = develop(args, globals, &directory, &mut watcher) => outcome,
        _ = tokio::signal::ctrl_c() => Ok(()),
        _ = terminate.recv() => Ok(()),
        _ = hangup.recv() => Ok(()),
    }
}

/// Runs until it is dropped; what it started and wrote goes with it.
async fn develop(
    args: &DevArgs,
    globals: &headwater_cli::Globals,
    directory: &Path,
    watcher: &mut watch::Watch,
) -> Result<(), String> {
    let built = loop {
        match build_and_say(directory, args.release, true).await? {
            Some(built) => break built,
            None => watcher.changed().await,
        }
    };
    let (sources, _own) = daemon::find_or_start(globals).await?;
    let mut show = show::Show::start(globals, &built.name)?;
    let _entry = Entry::write(&sources, &built, &args.settings)?;
    let mut silent = pin!(sleep(SILENCE));
    let mut waiting = true;
    loop {
        tokio::select! {
            () = watcher.changed() => {
                build_and_say(directory, args.release, false).await?;
            }
            line = show.next() => {
                waiting = false;
                say(line?);
            }
            () = &mut silent, if waiting => {
                waiting = false;
                say(format_args!("nothing heard of {} yet; `headwater source list` says how it is", built.name));
            }
        }
    }
}

/// `None`: it does not build; cargo has said why.
async fn build_and_say(directory: &Path, release: bool, first: bool) -> Result<Option<Built>, String> {
    let began = Instant::now();
    let built = build(directory, release, first).await?;
    match &built {
        Some(built) => say(format_args!("built {} in {:.1} s", built.name, began.elapsed().as_secs_f64())),
        None => say("not built; what runs goes on as it was"),
    }
    Ok(built)
}
