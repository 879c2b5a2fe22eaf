//! A pane that prints as fast as it can, with and without somebody who watches: how much it prints, what of it is dropped
//! and announced, and how long other things take meanwhile.

use super::{Bench, word};
use headwater_bench::{
    report::{Runs, print_table, short},
    tmux::{Tmux, Watcher},
};
use serde_json::Value;
use std::{
    io::{self, Write},
    path::PathBuf,
    time::{Duration, Instant},
};

/// The goal: this part of what it prints when nobody watches.
const PART: f64 = 0.95;

/// Between two windows that get another name meanwhile.
const RENAMES: Duration = Duration::from_millis(250);

/// Lines are written by so many bytes: as `cat` and compilers do, and not one by one.
const BLOCK: usize = 4096;

/// Prints as fast as it can.
#[derive(clap::Args)]
pub(crate) struct Print {
    #[arg(long)]
    milliseconds: u64,
    /// Where it is written down how many bytes that were
    #[arg(long)]
    report: PathBuf,
}

impl Print {
    pub(crate) fn run(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let (mut block, mut line, mut bytes) = (Vec::with_capacity(2 * BLOCK), 0_u64, 0_usize);
        let end = Instant::now() + Duration::from_millis(self.milliseconds);
        while Instant::now() < end {
            while block.len() < BLOCK {
                line += 1;
                writeln!(block, "line {line} of what a program prints that has much to say and is in a hurry")?;
            }
            out.write_all(&block)?;
            bytes += block.len();
            block.clear();
        }
        out.flush()?;
        let unfinished = self.report.with_extension("part");
        std::fs::write(&unfinished, bytes.to_string())?;
        std::fs::rename(unfinished, &self.report)
    }
}

/// What was seen while it printed.
#[derive(Default)]
struct Seen {
    output: usize,
    dropped: u64,
    paused: u64,
    announced: usize,
    renamed: Vec<Duration>,
}

pub(crate) fn measure(bench: &Bench) -> io::Result<()> {
    let (turns, span) = if bench.short { (1, Duration::from_millis(1_500)) } else { (3, Duration::from_secs(10)) };
    let tmux = Tmux::start()?;
    let (mut alone, mut watched) = (Runs::default(), Runs::default());
    let mut seen = Seen::default();
    let mut mode = String::new();
    for turn in 0..turns {
        alone.push(flood(&tmux, span, 2 * turn, None)? as f64 / span.as_secs_f64());
        let mut watcher = Watcher::start(&bench.programs, &bench.plugin, &tmux)?;
        mode = watcher.mode()?;
        watched.push(flood(&tmux, span, 2 * turn + 1, Some((&mut watcher, &mut seen)))? as f64 / span.as_secs_f64());
        // What came at the end is told when there is room.
        watcher.all_until(Instant::now() + Duration::from_secs(1), |heard| seen.note(&heard.text))?;
        watcher.stop()?;
    }
    let mut rows = vec![["", "MB/s"].map(str::to_owned).to_vec()];
    for (name, runs) in [("nobody watches", &alone), ("Headwater watches", &watched)] {
        rows.push(vec![name.to_owned(), runs.median().map_or_else(String::new, |bytes| short(bytes / 1e6))]);
    }
    let title = format!("A pane that prints as fast as it can for {span:?}, mode `{mode}`, {turns} turns");
    print_table(&title, &rows);
    seen.renamed.sort_unstable();
    let slowest = seen.renamed.last().copied().unwrap_or_default();
    println!(
        "  {} events of output; {} announcements of {} dropped bytes and {} ms of pauses",
        seen.output, seen.announced, seen.dropped, seen.paused
    );
    let renamed = seen.renamed.len();
    println!("  {renamed} windows renamed meanwhile, each told, the slowest after {} ms", slowest.as_millis());
    let part = watched.median().zip(alone.median()).map_or(0.0, |(watched, alone)| watched / alone);
    println!("  goal {:.0} % of the throughput: {:.1} %, {}", PART * 100.0, part * 100.0, word(part >= PART));
    Ok(())
}

/// Prints for a span in a window of its own, and renames another one meanwhile. How many bytes were printed.
fn flood(tmux: &Tmux, span: Duration, turn: usize, watching: Option<(&mut Watcher, &mut Seen)>) -> io::Result<u64> {
    let report = tmux.path(&format!("printed-{turn}"));
    let me = std::env::current_exe()?;
    let print =
        format!("exec '{}' print --milliseconds {} --report '{}'", me.display(), span.as_millis(), report.display());
    let mut hand = tmux.hand()?;
    tmux.run(&["new-window", "-d", "-t", "$0:", "-n", "flood", &print])?;
    let end = Instant::now() + span;
    let names = (0..).map(|number| format!("name-{turn}-{number}-end"));
    match watching {
        None => {
            for name in names.take_while(|_| Instant::now() < end) {
                hand.does(&format!("rename-window -t @0 {name}"))?;
                std::thread::sleep(RENAMES);
            }
        }
        Some((watcher, seen)) => {
            for name in names.take_while(|_| Instant::now() < end) {
                let began = Instant::now();
                hand.does(&format!("rename-window -t @0 {name}"))?;
                let mut told = None;
                let next = began + RENAMES;
                while told.is_none() || Instant::now() < next {
                    // Longer than until the next one only where this one has not been told yet.
                    let moment = next.max(Instant::now() + Duration::from_millis(5));
                    watcher.all_until(moment, |heard| {
                        if heard.text.contains(&name) && heard.text.contains("window.renamed") {
                            told = Some(heard.at - began);
                        } else {
                            seen.note(&heard.text);
                        }
                    })?;
                    if began.elapsed() > Duration::from_secs(20) {
                        return Err(io::Error::other("a window that was renamed while a pane floods is not told"));
                    }
                }
                seen.renamed.extend(told);
            }
        }
    }
    let began = Instant::now();
    while !report.exists() {
        if began.elapsed() > Duration::from_secs(20) {
            return Err(io::Error::other("the pane that prints does not come to its end"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let printed = std::fs::read_to_string(&report)?;
    printed.parse().map_err(|_| io::Error::other(format!("`{printed}` is no number of bytes")))
}

impl Seen {
    fn note(&mut self, text: &str) {
        if text.contains("\"tmux.output_dropped\"") {
            let event: Value = serde_json::from_str(text).unwrap_or_default();
            self.announced += 1;
            self.dropped += event["data"]["bytes"].as_u64().unwrap_or(0);
            self.paused += event["data"]["paused_ms"].as_u64().unwrap_or(0);
        } else if text.contains("\"pane.output\"") {
            self.output += 1;
        }
    }
}
