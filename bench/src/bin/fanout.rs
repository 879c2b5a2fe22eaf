//! Fan-out, side by side: server CPU per delivery at full rate, latency at a steady rate, memory per idle connection.
//!
//! Each server is a child process; one client in one thread counts what arrives. Servers take turns (A, B, C, A, B, C …),
//! so that a machine that grows slower does so for all of them; the median of the turns counts, and the ratios.

use clap::{Parser, ValueEnum};
use headwater_bench::{
    crowd::Crowd,
    payload::{SIZE, SMALLEST},
    process::raise_open_files,
    publisher::Publisher,
    report::{Runs, print_table, ratio, short},
    server::{Kind, Programs, Server},
};
use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};
use tokio::{
    task::LocalSet,
    time::{MissedTickBehavior, interval},
};

/// Events a second of the steady rate, and how many receive them.
const STEADY_RATE: u64 = 1_000;
const STEADY_SUBSCRIBERS: usize = 100;

/// File descriptors that are no subscriber's.
const OTHER_FILES: u64 = 100;

/// What Headwater is held to.
const GOAL_RATIO: f64 = 40.0;
const GOAL_P99_MS: f64 = 5.0;
const GOAL_IDLE_BYTES: f64 = 8_192.0;

/// Fan-out side by side: Headwater and plain tokio-tungstenite broadcast servers.
#[derive(Parser)]
struct Options {
    /// A quick look: 100 subscribers, few and short turns, 500 idle connections
    #[arg(long)]
    short: bool,
    /// The daemon [default: `headwater` beside this program]
    #[arg(long, value_name = "PATH")]
    daemon: Option<PathBuf>,
    /// The daemon's config [default: bench/fanout.toml]
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Only these servers
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Kind::Headwater, Kind::Feed, Kind::Plain])]
    servers: Vec<Kind>,
    /// Only these measurements
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Measure::Rate, Measure::Latency, Measure::Idle])]
    measure: Vec<Measure>,
    /// Subscribers at full rate [default: 100,1000]
    #[arg(long, value_delimiter = ',', value_name = "N")]
    subscribers: Option<Vec<usize>>,
    /// Turns of each server [default: 5]
    #[arg(long, value_name = "N")]
    turns: Option<usize>,
    /// Seconds of each turn [default: 2]
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// Bytes of data in each event; the frame adds about as much again
    #[arg(long, value_name = "BYTES", default_value_t = SIZE)]
    size: usize,
    /// Events in one publish message, at full rate
    #[arg(long, value_name = "N", default_value_t = 64)]
    batch: u64,
    /// Events published and not yet received by all, at full rate. The default keeps a server busy and is less than a
    /// socket's buffers hold
    #[arg(long, value_name = "N", default_value_t = 512)]
    window: u64,
    /// Idle connections [default: 10000]
    #[arg(long, value_name = "N")]
    idle: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Measure {
    /// Server CPU per delivery at full rate
    Rate,
    /// Latency at 1,000 events a second to 100 subscribers
    Latency,
    /// Memory per idle subscribed connection
    Idle,
}

/// The options with their defaults.
struct Plan {
    programs: Programs,
    servers: Vec<Kind>,
    measures: Vec<Measure>,
    subscribers: Vec<usize>,
    turns: usize,
    turn: Duration,
    size: usize,
    batch: u64,
    window: u64,
    idle: usize,
}

fn main() -> ExitCode {
    let done = Options::parse().plan().and_then(|plan| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(LocalSet::new().run_until(run(&plan)))
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fanout: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Options {
    fn plan(self) -> io::Result<Plan> {
        let here = std::env::current_exe()?;
        let beside = |name: &str| here.with_file_name(name);
        let config = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fanout.toml");
        let (subscribers, turns, seconds, idle) =
            if self.short { (vec![100], 2, 0.5, 500) } else { (vec![100, 1_000], 5, 2.0, 10_000) };
        let plan = Plan {
            programs: Programs {
                daemon: self.daemon.unwrap_or_else(|| beside("headwater")),
                config: self.config.unwrap_or_else(config),
                plain: beside("plain"),
            },
            servers: self.servers,
            measures: self.measure,
            subscribers: self.subscribers.unwrap_or(subscribers),
            turns: self.turns.unwrap_or(turns),
            turn: Duration::from_secs_f64(self.seconds.unwrap_or(seconds)),
            size: self.size.max(SMALLEST),
            batch: self.batch.max(1),
            window: self.window.max(self.batch),
            idle: self.idle.unwrap_or(idle),
        };
        let most = plan.subscribers.iter().copied().chain([plan.idle, STEADY_SUBSCRIBERS]).max().unwrap_or(0) as u64;
        let files = raise_open_files();
        if files < most + OTHER_FILES {
            return Err(io::Error::other(format!(
                "{most} connections need as many open files, and {files} are allowed; raise `ulimit -Hn` or ask for fewer"
            )));
        }
        Ok(plan)
    }
}

async fn run(plan: &Plan) -> io::Result<()> {
    println!(
        "events with {} bytes of data in batches of {}, at most {} in flight; median of {} turns, the range in parentheses; \
         server CPU is user and kernel time of the server's process",
        plan.size, plan.batch, plan.window, plan.turns
    );
    if plan.measures.contains(&Measure::Rate) {
        rate(plan).await?;
    }
    if plan.measures.contains(&Measure::Latency) {
        latency(plan).await?;
    }
    if plan.measures.contains(&Measure::Idle) {
        idle(plan).await?;
    }
    Ok(())
}

/// One turn at full rate.
struct AtFullRate {
    nanoseconds_per_delivery: f64,
    events_per_second: f64,
    bytes_per_delivery: f64,
}

async fn rate(plan: &Plan) -> io::Result<()> {
    let mut rows =
        vec![row(["subscribers", "server", "CPU ns per delivery", "events/s", "bytes", "headwater is better"])];
    for count in &plan.subscribers {
        let mut cpu: BTreeMap<Kind, Runs> = BTreeMap::new();
        let mut speed: BTreeMap<Kind, Runs> = BTreeMap::new();
        let mut bytes: BTreeMap<Kind, Runs> = BTreeMap::new();
        for _ in 0..plan.turns {
            for kind in &plan.servers {
                let turn = full_rate(*kind, plan, *count).await.map_err(|error| named(*kind, &error))?;
                cpu.entry(*kind).or_default().push(turn.nanoseconds_per_delivery);
                speed.entry(*kind).or_default().push(turn.events_per_second);
                bytes.entry(*kind).or_default().push(turn.bytes_per_delivery);
            }
        }
        let headwater = cpu.get(&Kind::Headwater).cloned().unwrap_or_default();
        for kind in &plan.servers {
            rows.push(vec![
                count.to_string(),
                kind.to_string(),
                cpu[kind].to_string(),
                speed[kind].median().map_or_else(String::new, short),
                bytes[kind].median().map_or_else(String::new, short),
                if *kind == Kind::Headwater { String::new() } else { ratio(&cpu[kind], &headwater) },
            ]);
        }
        if let (Some(plain), Some(own)) = (cpu.get(&Kind::Plain).and_then(Runs::median), headwater.median()) {
            rows.push(vec![
                count.to_string(),
                String::new(),
                goal(plain / own, GOAL_RATIO, "×", plain / own >= GOAL_RATIO),
            ]);
        }
    }
    print_table("Full rate: every subscriber gets every event; checked by count", &rows);
    Ok(())
}

async fn full_rate(kind: Kind, plan: &Plan, count: usize) -> io::Result<AtFullRate> {
    let server = Server::start(kind, &plan.programs)?;
    let crowd = Crowd::connect(server.address, count).await?;
    let mut publisher = Publisher::connect(server.address, plan.size).await?;
    // Buffers grow, caches fill, and all is quiet when the measuring begins.
    flood(&crowd, &mut publisher, plan, plan.turn / 5).await?;
    let (first, bytes, cpu, began) = (publisher.published(), crowd.bytes(), server.cpu()?, Instant::now());
    flood(&crowd, &mut publisher, plan, plan.turn).await?;
    let (wall, cpu) = (began.elapsed(), server.cpu()?.saturating_sub(cpu));
    let events = (publisher.published() - first) as f64;
    let deliveries = events * count as f64;
    Ok(AtFullRate {
        nanoseconds_per_delivery: cpu.as_nanos() as f64 / deliveries,
        events_per_second: events / wall.as_secs_f64(),
        bytes_per_delivery: (crowd.bytes() - bytes) as f64 / deliveries,
    })
}

/// Publishes as fast as all can take it, then waits until all have all of it.
async fn flood(crowd: &Crowd, publisher: &mut Publisher, plan: &Plan, span: Duration) -> io::Result<()> {
    let began = Instant::now();
    while began.elapsed() < span {
        crowd.reach((publisher.published() + plan.batch).saturating_sub(plan.window)).await?;
        publisher.publish(plan.batch as usize).await?;
    }
    crowd.reach_exactly(publisher.published()).await
}

async fn latency(plan: &Plan) -> io::Result<()> {
    let mut rows = vec![row(["server", "p50 ms", "p99 ms", "max ms", "CPU ns per delivery"])];
    let mut figures: BTreeMap<Kind, [Runs; 4]> = BTreeMap::new();
    for _ in 0..plan.turns {
        for kind in &plan.servers {
            let turn = steady_rate(*kind, plan).await.map_err(|error| named(*kind, &error))?;
            for (runs, figure) in figures.entry(*kind).or_default().iter_mut().zip(turn) {
                runs.push(figure);
            }
        }
    }
    for (kind, runs) in &figures {
        rows.push(std::iter::once(kind.to_string()).chain(runs.iter().map(ToString::to_string)).collect());
    }
    if let Some(p99) = figures.get(&Kind::Headwater).and_then(|runs| runs[1].median()) {
        rows.push(vec![String::new(), String::new(), goal(p99, GOAL_P99_MS, " ms", p99 < GOAL_P99_MS)]);
    }
    print_table(
        &format!(
            "{STEADY_RATE} events/s to {STEADY_SUBSCRIBERS} subscribers, one event a message: from send to receipt"
        ),
        &rows,
    );
    Ok(())
}

/// p50, p99 and the longest in milliseconds, and CPU per delivery.
async fn steady_rate(kind: Kind, plan: &Plan) -> io::Result<[f64; 4]> {
    let server = Server::start(kind, &plan.programs)?;
    let crowd = Crowd::connect(server.address, STEADY_SUBSCRIBERS).await?;
    let mut publisher = Publisher::connect(server.address, plan.size).await?;
    pace(&mut publisher, plan.turn / 5).await?;
    crowd.reach_exactly(publisher.published()).await?;
    crowd.record_ages();
    let (first, cpu) = (publisher.published(), server.cpu()?);
    pace(&mut publisher, plan.turn).await?;
    crowd.reach_exactly(publisher.published()).await?;
    let cpu = server.cpu()?.saturating_sub(cpu);
    let deliveries = (publisher.published() - first) as f64 * STEADY_SUBSCRIBERS as f64;
    let ages = crowd.ages().filter(|ages| !ages.is_empty()).ok_or_else(|| io::Error::other("no ages were recorded"))?;
    let ms = |nanoseconds: u64| nanoseconds as f64 / 1e6;
    Ok([
        ms(ages.value_at_quantile(0.5)),
        ms(ages.value_at_quantile(0.99)),
        ms(ages.max()),
        cpu.as_nanos() as f64 / deliveries,
    ])
}

async fn pace(publisher: &mut Publisher, span: Duration) -> io::Result<()> {
    let mut ticks = interval(Duration::from_secs(1) / STEADY_RATE as u32);
    // An event that is late is sent late, and the pace is made up for: the rate holds.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for _ in 0..(span.as_secs_f64() * STEADY_RATE as f64) as u64 {
        ticks.tick().await;
        publisher.publish(1).await?;
    }
    Ok(())
}

async fn idle(plan: &Plan) -> io::Result<()> {
    let mut rows = vec![row(["server", "before", "after", "bytes per connection"])];
    for kind in &plan.servers {
        let (before, after) = memory(*kind, plan).await.map_err(|error| named(*kind, &error))?;
        let each = after.saturating_sub(before) as f64 / plan.idle as f64;
        let megabytes = |bytes: u64| format!("{} MiB", short(bytes as f64 / 1_048_576.0));
        rows.push(vec![kind.to_string(), megabytes(before), megabytes(after), format!("{each:.0}")]);
        if *kind == Kind::Headwater {
            let goal = goal(each, GOAL_IDLE_BYTES, " bytes", each <= GOAL_IDLE_BYTES);
            rows.push(vec![String::new(), String::new(), String::new(), goal]);
        }
    }
    print_table(&format!("Resident memory with {} idle subscribed connections", plan.idle), &rows);
    Ok(())
}

async fn memory(kind: Kind, plan: &Plan) -> io::Result<(u64, u64)> {
    let server = Server::start(kind, &plan.programs)?;
    // One connection and one event before, so that what is made once does not count.
    let first = Crowd::connect(server.address, 1).await?;
    Publisher::connect(server.address, plan.size).await?.publish(1).await?;
    first.reach(1).await?;
    let before = server.resident()?;
    let crowd = Crowd::connect(server.address, plan.idle).await?;
    let after = server.resident()?;
    drop(crowd);
    Ok((before, after))
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn goal(is: f64, goal: f64, unit: &str, met: bool) -> String {
    format!("goal {goal}{unit}: {}{unit}, {}", short(is), if met { "met" } else { "NOT met" })
}

fn named(kind: Kind, error: &io::Error) -> io::Error {
    io::Error::other(format!("{kind}: {error}"))
}
