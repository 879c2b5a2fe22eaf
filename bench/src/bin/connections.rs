//! Thousands of clients who come at once, subscribe and then are quiet: what each costs a server in CPU while it comes, and
//! in memory while it stays.

use clap::Parser;
use headwater_bench::{
    crowd::{Crowd, Reads},
    payload::SIZE,
    process::raise_open_files,
    programs::{Places, Programs},
    publisher::{Content, Publisher},
    report::{Runs, print_table, ratio, short},
    server::{Kind, Server, Settings},
    tongue::channels,
};
use std::{
    collections::BTreeMap,
    io,
    process::ExitCode,
    time::{Duration, Instant},
};
use tokio::task::LocalSet;

/// File descriptors that are no client's.
const OTHER_FILES: u64 = 100;
/// What is done for a connection after it has been answered gets this time to be done.
const QUIET: Duration = Duration::from_millis(500);

/// What Headwater is held to: memory of each, and CPU of each in coming.
const GOAL_BYTES: f64 = 3.0 * 1024.0;
const GOAL_MICROSECONDS: f64 = 1.5 * 35.0;

/// Connections side by side: CPU for each that comes, memory for each that stays.
#[derive(Parser)]
struct Options {
    /// A quick look: two turns of 2,000 connections
    #[arg(long)]
    short: bool,
    #[command(flatten)]
    places: Places,
    /// Only these servers
    #[arg(long, value_enum, value_delimiter = ',')]
    servers: Option<Vec<Kind>>,
    /// Turns of each server [default: 3]
    #[arg(long, value_name = "N")]
    turns: Option<usize>,
    /// Connections [default: 10000]
    #[arg(long, value_name = "N")]
    count: Option<usize>,
}

/// The figures of one server.
#[derive(Default)]
struct Figures {
    microseconds: Runs,
    bytes: Runs,
    seconds: Runs,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| runtime.block_on(LocalSet::new().run_until(run(&options))));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("connections: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> io::Result<()> {
    let programs = Programs::find(&options.places)?;
    let (turns, count) = if options.short { (2, 2_000) } else { (3, 10_000) };
    let (turns, count) = (options.turns.unwrap_or(turns), options.count.unwrap_or(count));
    let files = raise_open_files();
    if files < count as u64 + OTHER_FILES {
        return Err(io::Error::other(format!(
            "{count} connections need as many open files, and {files} are allowed; raise `ulimit -Hn` or ask for fewer \
             with --count"
        )));
    }
    let all = [Kind::Headwater, Kind::Nats, Kind::Feed, Kind::Node];
    let servers = programs.present(options.servers.as_deref().unwrap_or(&all));
    let mut figures: BTreeMap<Kind, Figures> = BTreeMap::new();
    for _ in 0..turns {
        for kind in &servers {
            let of_kind = figures.entry(*kind).or_default();
            turn(*kind, &programs, count, of_kind)
                .await
                .map_err(|error| io::Error::other(format!("{kind}: {error}")))?;
        }
    }
    let head = ["server", "CPU µs each", "to headwater", "bytes each", "to headwater", "seconds for all"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let own = figures.get(&Kind::Headwater);
    for (kind, of_kind) in &figures {
        let own = own.filter(|_| *kind != Kind::Headwater);
        rows.push(vec![
            kind.to_string(),
            of_kind.microseconds.to_string(),
            own.map(|own| ratio(&of_kind.microseconds, &own.microseconds)).unwrap_or_default(),
            of_kind.bytes.to_string(),
            own.map(|own| ratio(&of_kind.bytes, &own.bytes)).unwrap_or_default(),
            of_kind.seconds.median().map_or_else(String::new, short),
        ]);
    }
    print_table(
        &format!(
            "{count} connections: accepted and subscribed (server CPU), then idle (resident memory); median of {turns} turns"
        ),
        &rows,
    );
    for (what, figure, goal) in own.iter().flat_map(|own| {
        [
            ("bytes of memory each", own.bytes.median(), GOAL_BYTES),
            ("µs of CPU each in coming", own.microseconds.median(), GOAL_MICROSECONDS),
        ]
    }) {
        if let Some(figure) = figure {
            let word = if figure <= goal { "met" } else { "NOT met" };
            println!("  goal: at most {goal} {what}; it is {}: {word}", short(figure));
        }
    }
    Ok(())
}

async fn turn(kind: Kind, programs: &Programs, count: usize, figures: &mut Figures) -> io::Result<()> {
    let server = Server::start(kind, programs, &Settings::default())?;
    let content = Content { tongue: kind.tongue(), channels: channels(1), size: SIZE, ask: false };
    let reads = Reads { channels: content.channels.clone(), each: 1 };
    // One connection and one event before, so that what is made once does not count.
    let first = Crowd::connect(server.address, kind.tongue(), 1, &reads).await?;
    Publisher::connect(server.address, content).await?.publish(1).await?;
    first.reach(1).await?;
    let (memory, cpu, began) = (server.resident()?, server.cpu()?, Instant::now());
    let crowd = Crowd::connect(server.address, kind.tongue(), count, &reads).await?;
    figures.seconds.push(began.elapsed().as_secs_f64());
    tokio::time::sleep(QUIET).await;
    let used = server.cpu()?.saturating_sub(cpu);
    figures.microseconds.push(used.as_nanos() as f64 / 1e3 / count as f64);
    figures.bytes.push(server.resident()?.saturating_sub(memory) as f64 / count as f64);
    drop(crowd);
    Ok(())
}
