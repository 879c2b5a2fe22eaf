//! From a change in tmux until a client knows of it. Changes come at random moments, one after the other: a program prints a
//! line, a window gets another name, a window comes. The poll runs all the time and looks for the same changes, each of which
//! stays until it has seen it.

use super::{Bench, word};
use headwater_bench::{
    report::{print_table, short},
    tmux::{Capture, Poller, Tmux, Watcher},
};
use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// The goals: the latency that one change in a hundred may have, and how much sooner it is known at the median.
const P99: Duration = Duration::from_millis(20);
const SOONER: f64 = 50.0;

/// Between two changes at least: longer than output is gathered. And how much more that may be.
const PAUSE: Duration = Duration::from_millis(60);
const MORE: Duration = Duration::from_millis(80);

/// Windows that get other names, in turn. The poll has seen a name long before the window gets the next one.
const NAMED: usize = 8;

/// What changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Output,
    Renamed,
    Created,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Output, Self::Renamed, Self::Created];

    fn event(self) -> &'static str {
        match self {
            Self::Output => "pane.output",
            Self::Renamed => "window.renamed",
            Self::Created => "window.created",
        }
    }
}

/// A pane that prints what is written into a pipe, and windows to name.
struct Stage {
    tmux: Tmux,
    hand: headwater_bench::tmux::Hand,
    pipe: File,
}

impl Stage {
    fn set() -> io::Result<Self> {
        let tmux = Tmux::start()?;
        let path = tmux.path("pipe");
        make_fifo(&path)?;
        let reader = format!("exec cat '{}'", path.display());
        for turn in 1..=NAMED {
            let command = if turn == 1 { reader.as_str() } else { "cat" };
            tmux.run(&["new-window", "-d", "-t", "$0:", "-n", "named", command])?;
        }
        // For both ends: it is never at its end, and nobody waits for anybody.
        let pipe = OpenOptions::new().read(true).write(true).open(&path)?;
        Ok(Self { hand: tmux.hand()?, tmux, pipe })
    }

    /// Makes a change with this mark in it; when.
    fn change(&mut self, kind: Kind, number: usize, mark: &str) -> io::Result<Instant> {
        let began = Instant::now();
        match kind {
            Kind::Output => writeln!(self.pipe, "{mark}")?,
            Kind::Renamed => self.hand.does(&format!("rename-window -t @{} {mark}", 1 + number % NAMED))?,
            Kind::Created => self.hand.does(&format!("new-window -d -t $0: -n {mark} cat"))?,
        }
        Ok(began)
    }

    /// Takes away what a change has made, once both have seen it.
    fn clear(&self, kind: Kind, mark: &str) -> io::Result<()> {
        if kind == Kind::Created {
            self.tmux.run(&["kill-window", "-t", &format!("$0:={mark}")])?;
        }
        Ok(())
    }
}

pub(crate) fn measure(bench: &Bench) -> io::Result<()> {
    let changes = if bench.short { 15 } else { 250 };
    let mut stage = Stage::set()?;
    let mut watcher = Watcher::start(&bench.programs, &bench.plugin, &stage.tmux)?;
    let mode = watcher.mode()?;
    let poller = Poller::start(&stage.tmux, Capture::Together)?;
    let mut rows =
        vec![["change", "Headwater p50", "p99", "worst", "poll p50", "p99", "sooner"].map(str::to_owned).to_vec()];
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut slowest, mut least) = (Duration::ZERO, f64::INFINITY);
    for kind in Kind::ALL {
        if kind == Kind::Output && mode != "control" {
            println!("output is not told in the mode `{mode}` and is left out");
            continue;
        }
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        while theirs.len() < changes {
            if ours.len() < changes && poller.unseen() < NAMED {
                let mark = format!("{kind:?}-{:06}", ours.len());
                let began = stage.change(kind, ours.len(), &mark)?;
                poller.expects(&mark, began);
                let heard = watcher.until(|text| text.contains(&mark) && text.contains(kind.event()))?;
                ours.push(heard.at - began);
            }
            for seen in poller.seen()? {
                stage.clear(kind, &seen.mark)?;
                theirs.push(seen.after);
            }
            watcher.all_until(Instant::now() + PAUSE + MORE.mul_f64(dice.part()), |_| {})?;
        }
        ours.sort_unstable();
        theirs.sort_unstable();
        let sooner = at(&theirs, 50).as_secs_f64() / at(&ours, 50).as_secs_f64();
        (slowest, least) = (slowest.max(at(&ours, 99)), least.min(sooner));
        let figures = [at(&ours, 50), at(&ours, 99), at(&ours, 100), at(&theirs, 50), at(&theirs, 99)];
        let figures = figures.into_iter().map(milliseconds);
        let row = std::iter::once(kind.event().to_owned()).chain(figures).chain([format!("{}×", short(sooner))]);
        rows.push(row.collect());
    }
    print_table(
        &format!(
            "From a change to the client, mode `{mode}`, beside a poll each 500 ms ({changes} changes of each kind)"
        ),
        &rows,
    );
    println!("  goal p99 {}: {}, {}", milliseconds(P99), milliseconds(slowest), word(slowest < P99));
    println!("  goal {}× sooner at the median: {}×, {}", short(SOONER), short(least), word(least >= SOONER));
    drop(poller);
    watcher.stop()
}

/// The time that so many of a hundred do not exceed.
fn at(sorted: &[Duration], percent: usize) -> Duration {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}

fn milliseconds(time: Duration) -> String {
    format!("{} ms", short(time.as_secs_f64() * 1_000.0))
}

fn make_fifo(path: &Path) -> io::Result<()> {
    if Command::new("mkfifo").arg(path).status()?.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("{} cannot be made", path.display())))
}

/// Moments that keep step with nothing: xorshift.
struct Dice(u64);

impl Dice {
    /// 0 to 1.
    fn part(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundredth_is_the_slowest_of_a_hundred() {
        let times: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!([50, 99, 100].map(|percent| at(&times, percent).as_millis()), [50, 99, 100]);
        assert_eq!(at(&times[..1], 99), Duration::from_millis(1));
        assert_eq!(at(&[], 50), Duration::ZERO);
    }

    #[test]
    fn parts_are_spread_over_the_whole() {
        let mut dice = Dice(7);
        let parts: Vec<f64> = (0..1_000).map(|_| dice.part()).collect();
        let below = |limit: f64| parts.iter().filter(|part| **part < limit).count();
        assert_eq!((below(0.0), below(1.0)), (0, 1_000));
        assert!((400..600).contains(&below(0.5)) && (50..150).contains(&below(0.1)));
    }
}
