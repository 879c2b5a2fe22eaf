//! What it costs to watch many panes in which nothing happens: CPU time of whoever watches, with all that it starts, and
//! what the tmux server uses more than when nobody watches.

use super::{Bench, word};
use headwater_bench::{
    report::print_table,
    tmux::{Capture, Poller, Tmux, Watcher},
};
use std::{
    io,
    time::{Duration, Instant},
};

const SESSIONS: usize = 20;
const PANES: usize = 5;

/// The goal: this part of what a poll with a `tmux` for each pane costs.
const PART: f64 = 0.1;

/// One way of watching, in parts of a core.
struct Cost {
    name: String,
    watcher: f64,
    server: f64,
}

pub(crate) fn measure(bench: &Bench) -> io::Result<()> {
    let span = Duration::from_secs(if bench.short { 2 } else { 25 });
    let tmux = Tmux::start()?;
    // The first session is there already, with a pane. All in one go: each `tmux` by itself takes its time.
    let (mut question, names): (Vec<&str>, Vec<String>) =
        (Vec::new(), (0..SESSIONS).map(|n| format!("s{n}")).collect());
    question.extend(["rename-session", "-t", "$0", &names[0]]);
    for (session, name) in names.iter().enumerate() {
        if session > 0 {
            question.extend([";", "new-session", "-d", "-s", name, "-x", "80", "-y", "24", "cat"]);
        }
        for _ in 1..PANES {
            question.extend([";", "new-window", "-d", "-t", name, "cat"]);
        }
    }
    tmux.run(&question)?;
    let alone = over(span, || tmux.cpu())?;

    let mut costs = Vec::new();
    for (name, capture) in [("poll, a tmux for each pane", Capture::Each), ("poll, one tmux", Capture::Together)] {
        let poller = Poller::start(&tmux, capture)?;
        std::thread::sleep(span / 6);
        let [watcher, server] = both(span, || Ok([Poller::cpu()?, tmux.cpu()?]))?;
        drop(poller);
        costs.push(Cost { name: name.to_owned(), watcher, server: (server - alone).max(0.0) });
    }

    let mut watcher = Watcher::start(&bench.programs, &bench.plugin, &tmux)?;
    let mode = watcher.mode()?;
    // What the beginning costs is not what is asked for.
    watcher.all_until(Instant::now() + span / 3, |_| {})?;
    let before = watcher.daemon_cpu()?;
    let children = watcher.source_children()?;
    let began = Instant::now();
    let [source, server] = both(span, || Ok([watcher.source_cpu()?, tmux.cpu()?]))?;
    let daemon = watcher.daemon_cpu()?.saturating_sub(before).as_secs_f64() / began.elapsed().as_secs_f64();
    costs.push(Cost { name: format!("Headwater, mode `{mode}`"), watcher: source, server: (server - alone).max(0.0) });
    watcher.stop()?;

    let mut rows = vec![["", "watcher", "added to tmux", "of a core", "of the first"].map(str::to_owned).to_vec()];
    let first = costs[0].watcher + costs[0].server;
    let mut part = 1.0;
    for cost in &costs {
        let sum = cost.watcher + cost.server;
        part = sum / first;
        let figures = [cost.watcher, cost.server, sum].map(percent);
        rows.push([cost.name.clone()].into_iter().chain(figures).chain([percent(part)]).collect());
    }
    let panes = SESSIONS * PANES;
    print_table(&format!("{SESSIONS} sessions with {PANES} idle panes each, over {} s", span.as_secs()), &rows);
    println!("  {panes} panes, {children} processes below the source; the daemon itself {} of a core", percent(daemon));
    println!("  goal {} of the poll: {}, {}", percent(PART), percent(part), word(part <= PART));
    Ok(())
}

/// How much a figure grows in a span, by the second.
fn over(span: Duration, figure: impl Fn() -> io::Result<Duration>) -> io::Result<f64> {
    both(span, || Ok([figure()?, Duration::ZERO])).map(|[grown, _]| grown)
}

fn both(span: Duration, figures: impl Fn() -> io::Result<[Duration; 2]>) -> io::Result<[f64; 2]> {
    let (before, began) = (figures()?, Instant::now());
    std::thread::sleep(span);
    let (after, took) = (figures()?, began.elapsed().as_secs_f64());
    Ok([0, 1].map(|index| after[index].saturating_sub(before[index]).as_secs_f64() / took))
}

fn percent(part: f64) -> String {
    format!("{:.2} %", part * 100.0)
}
