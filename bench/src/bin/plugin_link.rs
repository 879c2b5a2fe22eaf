//! The way of an event from a plugin to the router, in nanoseconds, for a plugin in a process of its own and for one on
//! a thread of the daemon. A daemon is started with one source that emits as fast as its events are taken; how far the
//! channel's head moves in a span, and how much CPU time that took, is read from outside.

use clap::Parser;
use headwater_bench::{
    http::get,
    payload::SIZE,
    process::cpu,
    programs::{Places, Programs},
    report::{Runs, print_table},
    server::Server,
};
use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

/// A source whose events do not come by then has failed.
const START: Duration = Duration::from_secs(15);

/// Where the plugin publishes.
const CHANNEL: &str = "bench";

/// From plugin to router: nanoseconds per event, for both isolations.
#[derive(Parser)]
struct Options {
    /// A quick look: few and short turns
    #[arg(long)]
    short: bool,
    #[command(flatten)]
    places: Places,
    /// The plugin that floods [default: examples/libflood.so beside this program]
    #[arg(long, value_name = "PATH")]
    plugin: Option<PathBuf>,
    /// Turns of each isolation [default: 5]
    #[arg(long, value_name = "N")]
    turns: Option<usize>,
    /// Seconds of each turn [default: 2]
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
}

/// The figures of one isolation.
#[derive(Default)]
struct Figures {
    wall: Runs,
    daemon: Runs,
    child: Runs,
}

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("plugin-link: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> io::Result<()> {
    let here = std::env::current_exe()?;
    let programs = Programs::find(&options.places)?;
    let plugin = options.plugin.unwrap_or_else(|| here.with_file_name("examples").join("libflood.so"));
    let plugin = plugin.canonicalize().map_err(|error| {
        let path = plugin.display();
        io::Error::other(format!("{path}: {error}; cargo build --release -p headwater-bench --examples makes it"))
    })?;
    let (turns, seconds) = if options.short { (1, 0.5) } else { (5, 2.0) };
    let turns = options.turns.unwrap_or(turns);
    let span = Duration::from_secs_f64(options.seconds.unwrap_or(seconds));
    let isolations = ["process", "thread"];
    let mut figures = isolations.map(|_| Figures::default());
    for _ in 0..turns {
        for (isolation, figures) in isolations.iter().zip(&mut figures) {
            measure(&programs, &plugin, isolation, span, figures)
                .map_err(|error| io::Error::other(format!("isolation {isolation}: {error}")))?;
        }
    }
    let mut rows = vec![
        ["isolation", "ns per event", "daemon CPU ns per event", "child CPU ns per event"].map(str::to_owned).to_vec(),
    ];
    for (isolation, figures) in isolations.iter().zip(&figures) {
        rows.push(vec![
            (*isolation).to_owned(),
            figures.wall.to_string(),
            figures.daemon.to_string(),
            figures.child.to_string(),
        ]);
    }
    print_table(
        &format!(
            "From plugin to router: {SIZE}-byte events, emitted one by one as fast as taken; median of {turns} turns"
        ),
        &rows,
    );
    Ok(())
}

fn measure(
    programs: &Programs,
    plugin: &Path,
    isolation: &str,
    span: Duration,
    figures: &mut Figures,
) -> io::Result<()> {
    let directory = tempfile::tempdir()?;
    let config = directory.path().join("headwater.toml");
    let path = plugin.display();
    std::fs::write(
        &config,
        format!("[log]\nlevel = \"warn\"\n\n[source.flood]\nplugin = \"{path}\"\nisolation = \"{isolation}\"\n"),
    )?;
    let server = Server::daemon(programs, &config)?;
    let began = Instant::now();
    while head(&server)? == 0 {
        if began.elapsed() > START {
            let sources = get(server.address, "/v1/sources")?;
            return Err(io::Error::other(format!("no event came; {sources}\n{}", server.log())));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(span / 5);
    let child = child(&server)?;
    let now = || -> io::Result<(Instant, u64, Duration, Duration)> {
        let child = child.map_or(Ok(Duration::ZERO), cpu)?;
        Ok((Instant::now(), head(&server)?, server.cpu()?, child))
    };
    let before = now()?;
    std::thread::sleep(span);
    let after = now()?;
    let events = (after.1 - before.1) as f64;
    figures.wall.push((after.0 - before.0).as_nanos() as f64 / events);
    figures.daemon.push(after.2.saturating_sub(before.2).as_nanos() as f64 / events);
    if child.is_some() {
        figures.child.push(after.3.saturating_sub(before.3).as_nanos() as f64 / events);
    }
    Ok(())
}

/// The channel's last offset; 0 before it exists.
fn head(server: &Server) -> io::Result<u64> {
    let answer = get(server.address, "/v1/channels")?;
    let channels = answer["channels"].as_array().map_or(&[][..], |channels| channels);
    let ours = channels.iter().find(|channel| channel["channel"] == CHANNEL);
    Ok(ours.and_then(|channel| channel["head"].as_u64()).unwrap_or(0))
}

/// The process of the source, when that is not the daemon itself.
fn child(server: &Server) -> io::Result<Option<u32>> {
    let answer = get(server.address, "/v1/sources")?;
    let pid = answer["sources"].as_array().and_then(|sources| sources.first()?["pid"].as_u64());
    Ok(pid.map(|pid| pid as u32).filter(|pid| *pid != server.id()))
}
