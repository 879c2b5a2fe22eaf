//! The tmux source beside what people do without it, which is to list and capture twice a second: how long it takes until a
//! change is known, what many idle panes cost, and what a pane that prints as fast as it can loses. Each in one run, on a
//! tmux server of its own.

mod flood;
mod idle;
mod latency;

use clap::{Parser, Subcommand};
use headwater_bench::{
    programs::{Places, Programs},
    tmux::Tmux,
};
use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The tmux source: latency, CPU, and what a flooding pane keeps of its throughput.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Options {
    /// A quick look: few changes and short spans
    #[arg(long)]
    short: bool,
    /// Only these [default: all]
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    #[command(flatten)]
    places: Places,
    /// The source's library [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    plugin: Option<PathBuf>,
    #[command(subcommand)]
    own: Option<Own>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Latency,
    Idle,
    Flood,
}

/// What this program does in a pane of its own.
#[derive(Subcommand)]
enum Own {
    /// Prints as fast as it can, and writes down how much that was
    #[command(hide = true)]
    Print(flood::Print),
}

/// What is measured, and how thoroughly.
struct Bench {
    programs: Programs,
    plugin: PathBuf,
    short: bool,
}

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tmux-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> io::Result<()> {
    if let Some(Own::Print(print)) = &options.own {
        return print.run();
    }
    if !Tmux::is_here() {
        println!("tmux is not here; `cargo xtask bench` installs it where it can");
        return Ok(());
    }
    let here = std::env::current_exe()?;
    let plugin = options.plugin.unwrap_or_else(|| here.with_file_name("libheadwater_plugin_tmux.so"));
    let plugin = canonical(&plugin)?;
    let bench = Bench { programs: Programs::find(&options.places)?, plugin, short: options.short };
    let wanted = |part: Part| options.only.is_empty() || options.only.contains(&part);
    if wanted(Part::Latency) {
        latency::measure(&bench)?;
    }
    if wanted(Part::Idle) {
        idle::measure(&bench)?;
    }
    if wanted(Part::Flood) {
        flood::measure(&bench)?;
    }
    Ok(())
}

fn canonical(plugin: &Path) -> io::Result<PathBuf> {
    plugin.canonicalize().map_err(|error| {
        let path = plugin.display();
        io::Error::other(format!("{path}: {error}; cargo build --release -p headwater-plugin-tmux makes it"))
    })
}

/// What is printed behind a goal.
fn word(met: bool) -> &'static str {
    if met { "met" } else { "NOT met" }
}
