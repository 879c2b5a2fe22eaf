//! What the metrics source costs: its process alone, looking every second, by itself and with the processes of many panes.
//! Resident memory counts the pages that it shares with the daemon, whose program it is too; `of its own` leaves them out.

use clap::Parser;
use headwater_bench::{
    http::{Poster, get},
    process,
    programs::{Places, Programs},
    report::print_table,
    server::Server,
};
use serde_json::json;
use std::{
    fs, io,
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

/// A source that is not at work by then has failed.
const START: Duration = Duration::from_secs(15);
/// The goals: part of a core, and bytes of memory that nobody else uses.
const CORE: f64 = 0.003;
const MEMORY: u64 = 8 << 20;
/// Panes of the second part, each a shell with a child.
const PANES: usize = 50;

/// CPU and memory of the metrics source, looking every second.
#[derive(Parser)]
struct Options {
    /// A quick look: short spans
    #[arg(long)]
    short: bool,
    #[command(flatten)]
    places: Places,
    /// Seconds of each span
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
}

/// Processes that end with this program.
struct Panes(Vec<Child>);

impl Panes {
    fn start() -> io::Result<Self> {
        // The shell waits for its child, which ends when its input does.
        let pane = || Command::new("sh").args(["-c", "cat; :"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        Ok(Self((0..PANES).map(|_| pane()).collect::<io::Result<_>>()?))
    }
}

impl Drop for Panes {
    fn drop(&mut self) {
        for pane in &mut self.0 {
            drop(pane.stdin.take());
            // It ends by itself now.
            let _ = pane.wait();
        }
    }
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("metrics: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    let programs = Programs::find(&options.places)?;
    fs::create_dir_all(&programs.scratch)?;
    let directory = tempfile::tempdir_in(&programs.scratch)?;
    let config = directory.path().join("headwater.toml");
    fs::write(&config, "[source.metrics]\ninterval = \"1s\"\n")?;
    let server = Server::daemon(&programs, &config)?;
    let source = wait("the metrics source is up", || source(&server))?;
    let span = Duration::from_secs(options.seconds.unwrap_or(if options.short { 5 } else { 60 }));

    let mut rows = vec![["", "of a core", "resident", "of its own"].map(str::to_owned).to_vec()];
    let alone = measure(source, span)?;
    rows.push(row("by itself", &alone));
    let panes = Panes::start()?;
    tell(&server, &panes)?;
    let with_panes = measure(source, span)?;
    rows.push(row(&format!("with {PANES} panes"), &with_panes));
    print_table(&format!("The metrics source at 1 s, over {} s each", span.as_secs()), &rows);
    let word = |met: bool| if met { "met" } else { "NOT met" };
    for (name, cost) in [("by itself", &alone), ("with panes", &with_panes)] {
        println!("  goal {} of a core, {name}: {}, {}", percent(CORE), percent(cost.core), word(cost.core < CORE));
        println!(
            "  goal {} of its own, {name}: {}, {}",
            mebibytes(MEMORY),
            mebibytes(cost.own),
            word(cost.own < MEMORY)
        );
    }
    Ok(())
}

/// What a process took over a span of time.
struct Cost {
    core: f64,
    resident: u64,
    own: u64,
}

fn measure(source: u32, span: Duration) -> io::Result<Cost> {
    let (before, began) = (process::cpu(source)?, Instant::now());
    std::thread::sleep(span);
    let (used, took) = (process::cpu(source)?.saturating_sub(before), began.elapsed());
    let core = used.as_secs_f64() / took.as_secs_f64();
    Ok(Cost { core, resident: process::resident(source)?, own: own(source)? })
}

fn row(name: &str, cost: &Cost) -> Vec<String> {
    vec![name.to_owned(), percent(cost.core), mebibytes(cost.resident), mebibytes(cost.own)]
}

/// Memory that would be free if the process were not there: what it shares with nobody.
fn own(id: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
    let private = text.lines().filter(|line| line.starts_with("Private_"));
    let kilobytes = private.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    Ok(kilobytes.sum::<u64>() * 1024)
}

/// Tells of the panes as the tmux source does.
fn tell(server: &Server, panes: &Panes) -> io::Result<()> {
    let pane = |(number, pane): (usize, &Child)| {
        json!({
            "channel": "tmux", "type": "pane.state",
            "data": {
                "server": { "pid": 1 }, "session": format!("s{}", number / 5), "window": number % 5,
                "pane_id": format!("%{number}"), "pid": pane.id(),
            },
        })
    };
    let events: Vec<_> = panes.0.iter().enumerate().map(pane).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut poster = Poster::connect(server.address).await?;
        poster.post("/v1/events", "application/json", serde_json::Value::from(events).to_string().as_bytes()).await
    })?;
    wait("the panes are told as groups", || {
        let snapshot = get(server.address, "/v1/snapshot?channel=process_groups")?;
        let data = &snapshot["events"][0]["data"];
        let told = data["groups"].as_array().map_or(0, Vec::len) as u64 + data["further"].as_u64().unwrap_or(0);
        Ok((told > PANES as u64).then_some(()))
    })
}

fn source(server: &Server) -> io::Result<Option<u32>> {
    let answer = get(server.address, "/v1/sources")?;
    let metrics = answer["sources"].as_array().and_then(|all| all.iter().find(|source| source["name"] == "metrics"));
    let up = metrics.filter(|source| source["state"] == "up" && source["events"].as_u64() > Some(3));
    Ok(up.and_then(|source| source["pid"].as_u64()).and_then(|pid| u32::try_from(pid).ok()))
}

fn wait<T>(what: &str, mut look: impl FnMut() -> io::Result<Option<T>>) -> io::Result<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if began.elapsed() > START {
            return Err(io::Error::other(format!("gave up waiting: {what}; are the plugins built in release?")));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

fn percent(part: f64) -> String {
    format!("{:.3} %", part * 100.0)
}
