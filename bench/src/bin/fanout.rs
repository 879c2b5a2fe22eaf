//! Fan-out, side by side: server CPU per delivery, throughput and latency in the scenarios of [`headwater_bench::scenario`].
//!
//! Each server is a child process; one client in one thread counts what arrives. Servers take turns (A, B, C, A, B, C …),
//! so that a machine that grows slower does so for all of them; the median of the turns counts, and the ratios.

use clap::Parser;
use headwater_bench::{
    payload::SIZE,
    process::raise_open_files,
    programs::{Places, Programs},
    report::{Runs, print_table, ratio, short},
    scenario::{Goal, SCENARIOS, Scenario},
    server::Kind,
};
use std::{collections::BTreeMap, io, process::ExitCode, time::Duration};
use tokio::task::LocalSet;

/// File descriptors that are no subscriber's.
const OTHER_FILES: u64 = 100;

/// What a quick look leaves out: it takes long to say what its smaller sibling says too.
const LONG: &str = "S1k";
/// In a quick look only these are compared, beyond the first scenario.
const CLOSE: [Kind; 3] = [Kind::Headwater, Kind::Nats, Kind::Feed];

/// Fan-out side by side: Headwater, nats-server, broadcast servers on tokio-tungstenite and on Node's `ws`.
#[derive(Parser)]
struct Options {
    /// A quick look: two short turns, without the long scenario and the slow servers
    #[arg(long)]
    short: bool,
    #[command(flatten)]
    places: Places,
    /// Only these servers
    #[arg(long, value_enum, value_delimiter = ',')]
    servers: Option<Vec<Kind>>,
    /// Only these scenarios: S1, S1k, W1, S2, S4, S7, P10k
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    scenarios: Option<Vec<String>>,
    /// Turns of each server [default: 5]
    #[arg(long, value_name = "N")]
    turns: Option<usize>,
    /// Seconds of each turn [default: 2]
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// Bytes of each event as a client receives it [default: 200; at full rate to all also 400, of which about half is
    /// data in ours too]
    #[arg(long, value_delimiter = ',', value_name = "BYTES")]
    size: Option<Vec<usize>>,
    /// Events in one write, at full rate
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Events published and not yet received by all, at full rate
    #[arg(long, value_name = "N")]
    window: Option<u64>,
}

/// The figures of one server in one scenario.
#[derive(Default)]
struct Figures {
    cpu: Runs,
    cores: Runs,
    speed: Runs,
    bytes: Runs,
    p50: Runs,
    p99: Runs,
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
            eprintln!("fanout: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> io::Result<()> {
    let programs = Programs::find(&options.places)?;
    let mut scenarios = scenarios(options)?;
    for scenario in &mut scenarios {
        scenario.load(options.batch, options.window);
    }
    let files = raise_open_files();
    if let Some(scenario) = scenarios.iter().find(|scenario| files < scenario.subscribers as u64 + OTHER_FILES) {
        let Scenario { name, subscribers, .. } = scenario;
        return Err(io::Error::other(format!(
            "{name} needs {subscribers} open files, and {files} are allowed; raise `ulimit -Hn` or leave it out"
        )));
    }
    let (turns, seconds) = if options.short { (2, 0.5) } else { (5, 2.0) };
    let turns = options.turns.unwrap_or(turns);
    let span = Duration::from_secs_f64(options.seconds.unwrap_or(seconds));
    let present = programs.present(options.servers.as_deref().unwrap_or(SCENARIOS[0].servers));
    println!(
        "median of {turns} turns of {} s, the range in parentheses; CPU is user and kernel time of the server's process",
        span.as_secs_f64()
    );
    for (index, scenario) in scenarios.iter().enumerate() {
        let close = options.short && index > 0;
        let takes_part = |kind: &&Kind| scenario.servers.contains(kind) && (!close || CLOSE.contains(kind));
        let servers: Vec<Kind> = present.iter().filter(takes_part).copied().collect();
        for size in sizes(options, scenario) {
            let mut figures: BTreeMap<Kind, Figures> = BTreeMap::new();
            for _ in 0..turns {
                for kind in &servers {
                    let turn = scenario.turn(*kind, &programs, size, span).await;
                    let turn = turn.map_err(|error| io::Error::other(format!("{}, {kind}: {error}", scenario.name)))?;
                    let of_kind = figures.entry(*kind).or_default();
                    of_kind.cpu.push(turn.nanoseconds_per_delivery);
                    of_kind.cores.push(turn.cores);
                    of_kind.speed.push(turn.deliveries_per_second);
                    of_kind.bytes.push(turn.bytes_per_delivery);
                    if let Some((p50, p99)) = turn.latency {
                        of_kind.p50.push(p50);
                        of_kind.p99.push(p99);
                    }
                }
            }
            print(scenario, size, &figures);
        }
    }
    Ok(())
}

fn scenarios(options: &Options) -> io::Result<Vec<Scenario>> {
    let Some(names) = &options.scenarios else {
        return Ok(SCENARIOS.iter().filter(|scenario| !options.short || scenario.name != LONG).copied().collect());
    };
    let known = |name: &String| SCENARIOS.iter().find(|scenario| scenario.name.eq_ignore_ascii_case(name)).copied();
    names.iter().map(|name| known(name).ok_or_else(|| io::Error::other(format!("no scenario `{name}`")))).collect()
}

/// To all at full rate, sizes matter most.
fn sizes(options: &Options, scenario: &Scenario) -> Vec<usize> {
    match &options.size {
        Some(sizes) => sizes.clone(),
        None if !options.short && scenario.name.starts_with("S1") => vec![SIZE, 2 * SIZE],
        None => vec![SIZE],
    }
}

fn print(scenario: &Scenario, size: usize, figures: &BTreeMap<Kind, Figures>) {
    let head = ["server", "CPU ns/delivery", "to headwater", "cores", "deliveries/s", "bytes", "p50 ms", "p99 ms"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let own = figures.get(&Kind::Headwater);
    for (kind, of_kind) in figures {
        let to_own = own.filter(|_| *kind != Kind::Headwater).map(|own| ratio(&of_kind.cpu, &own.cpu));
        rows.push(vec![
            kind.to_string(),
            of_kind.cpu.to_string(),
            to_own.unwrap_or_default(),
            of_kind.cores.median().map_or_else(String::new, short),
            of_kind.speed.median().map_or_else(String::new, short),
            of_kind.bytes.median().map_or_else(String::new, short),
            of_kind.p50.median().map_or_else(String::new, short),
            of_kind.p99.to_string(),
        ]);
    }
    print_table(&format!("{}: {}, {size} bytes each", scenario.name, scenario.title), &rows);
    let Some(own) = own else { return };
    for goal in scenario.goals {
        if let Some((text, met)) = look_at(*goal, own, figures) {
            println!("  {text}: {}", if met { "met" } else { "NOT met" });
        }
    }
}

/// What a goal says, with the figure that it got, and whether that is enough. `None` where its server did not run.
fn look_at(goal: Goal, own: &Figures, figures: &BTreeMap<Kind, Figures>) -> Option<(String, bool)> {
    let of = |kind| figures.get(&kind).and_then(|figures| figures.cpu.median());
    Some(match goal {
        Goal::TimesLess(kind, goal) => {
            let times = of(kind)? / own.cpu.median()?;
            (format!("goal: CPU {goal}× less than {kind}; it is {}× less", short(times)), times >= goal)
        }
        Goal::Part(kind, goal) => {
            let part = own.cpu.median()? / of(kind)?;
            (format!("goal: CPU at most {goal}× that of {kind}; it is {}×", short(part)), part <= goal)
        }
        Goal::P99(goal) => {
            let p99 = own.p99.median()?;
            (format!("goal: p99 below {goal} ms; it is {} ms", short(p99)), p99 < goal)
        }
        Goal::Cores(goal) => {
            let cores = own.cores.median()?;
            (format!("goal: at most {goal} of a core; it is {}", short(cores)), cores <= goal)
        }
    })
}
