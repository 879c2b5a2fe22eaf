//! History: how many events a second are acknowledged at each durability, beside `JetStream`'s file store; how fast a range
//! is read again; and what history costs a daemon that only fans out.

use clap::Parser;
use headwater_bench::{
    crowd::{Crowd, Reads},
    http::get,
    pacer::Pacer,
    past,
    payload::SIZE,
    programs::{Places, Programs},
    publisher::{Content, Publisher},
    report::{Runs, print_table, ratio, short},
    server::{Durability, Kind, Server, Settings},
    tongue::channels,
};
use std::{
    fmt, io,
    process::ExitCode,
    time::{Duration, Instant},
};
use tokio::task::LocalSet;

/// Events in one write, and published without an acknowledgement yet: for both the same. A patient publisher, and one that
/// keeps the server busy.
const BATCH: usize = 64;
const WINDOWS: [u64; 2] = [128, 1_024];

/// The live rate and its readers.
const RATE: u32 = 20_000;
const READERS: usize = 10;

/// What Headwater is held to: ingest against `JetStream`; history's part of a core and the latency beside it.
const GOAL_TIMES: f64 = 2.0;
const GOAL_CORES: f64 = 1.0;
const GOAL_P99_MS: f64 = 10.0;

/// History side by side: Headwater and `JetStream`'s file store.
#[derive(Parser)]
struct Options {
    /// A quick look: two short turns
    #[arg(long)]
    short: bool,
    #[command(flatten)]
    places: Places,
    /// Turns of each [default: 5]
    #[arg(long, value_name = "N")]
    turns: Option<usize>,
    /// Seconds of each turn [default: 2]
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// Bytes of each event as a client receives it
    #[arg(long, value_name = "BYTES", default_value_t = SIZE)]
    size: usize,
    /// Only this durability, and no `JetStream`
    #[arg(long, value_enum)]
    durability: Option<Durability>,
    /// Only with events one by one
    #[arg(long)]
    singly: bool,
    /// Events published and not yet acknowledged [default: 128 and 1024]
    #[arg(long, value_delimiter = ',', value_name = "N")]
    window: Option<Vec<u64>>,
    /// Only what is acknowledged and read, or only the live path
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Part::Kept, Part::Live])]
    parts: Vec<Part>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Ingest acknowledged, and all of it read again
    Kept,
    /// What history costs the live path
    Live,
}

/// Who acknowledges, and how it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeper {
    /// Lists of events, an acknowledgement for each list.
    Lists(Durability),
    /// Each event in a message of its own, with its own acknowledgement.
    Singly(Durability),
    /// Each event with its own acknowledgement.
    JetStream,
}

impl fmt::Display for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Lists(durability) => format!("headwater, {}, lists of {BATCH}", durability.name()),
            Self::Singly(durability) => format!("headwater, {}, one by one", durability.name()),
            Self::JetStream => "JetStream, file store, one by one".to_owned(),
        };
        f.pad(&text)
    }
}

/// The figures of one keeper.
#[derive(Default)]
struct Figures {
    speed: Runs,
    cpu: Runs,
    read: Runs,
    read_cpu: Runs,
    file: Runs,
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
            eprintln!("history: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> io::Result<()> {
    let programs = Programs::find(&options.places)?;
    if !programs.knows_history {
        println!("this daemon knows no [history]; there is nothing to measure");
        return Ok(());
    }
    let (turns, seconds) = if options.short { (2, 0.5) } else { (5, 2.0) };
    let turns = options.turns.unwrap_or(turns);
    let span = Duration::from_secs_f64(options.seconds.unwrap_or(seconds));
    if options.parts.contains(&Part::Kept) {
        let durabilities = options.durability.map_or(Durability::ALL.to_vec(), |only| vec![only]);
        let ours =
            durabilities.into_iter().flat_map(|durability| [Keeper::Lists(durability), Keeper::Singly(durability)]);
        let peer = options.durability.is_none() && !programs.present(&[Kind::JetStream]).is_empty();
        let wanted = |keeper: &Keeper| !options.singly || !matches!(keeper, Keeper::Lists(_));
        let keepers: Vec<Keeper> = ours.chain(peer.then_some(Keeper::JetStream)).filter(wanted).collect();
        for window in options.window.as_deref().unwrap_or(&WINDOWS) {
            let load = Load { size: options.size, window: (*window).max(BATCH as u64), span };
            keeping(&programs, &keepers, load, turns).await?;
        }
    }
    if options.parts.contains(&Part::Live) {
        living(&programs, options.size, turns, span).await?;
    }
    Ok(())
}

/// What is published.
#[derive(Clone, Copy)]
struct Load {
    size: usize,
    /// Without an acknowledgement yet.
    window: u64,
    span: Duration,
}

async fn keeping(programs: &Programs, keepers: &[Keeper], load: Load, turns: usize) -> io::Result<()> {
    let mut all: Vec<(Keeper, Figures)> = keepers.iter().map(|keeper| (*keeper, Figures::default())).collect();
    for _ in 0..turns {
        for (keeper, figures) in &mut all {
            let turn = keep(*keeper, programs, load, figures).await;
            turn.map_err(|error| io::Error::other(format!("{keeper}: {error}")))?;
        }
    }
    let peer = all.iter().find(|(keeper, _)| *keeper == Keeper::JetStream).map(|(_, figures)| figures);
    let head = ["", "acknowledged/s", "to JetStream", "CPU ns/event", "read/s", "CPU ns/event", "from the file/s"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for (keeper, figures) in &all {
        let to_peer = peer.filter(|_| *keeper != Keeper::JetStream).map(|peer| ratio(&figures.speed, &peer.speed));
        rows.push(vec![
            keeper.to_string(),
            figures.speed.to_string(),
            to_peer.unwrap_or_default(),
            figures.cpu.median().map_or_else(String::new, short),
            figures.read.to_string(),
            figures.read_cpu.median().map_or_else(String::new, short),
            figures.file.median().map_or_else(String::new, short),
        ]);
    }
    print_table(
        &format!(
            "Acknowledged, {} bytes each, {} on their way; then all of it read again, over HTTP in pages and by sqlite3 from \
             the file; median of {turns} turns",
            load.size, load.window
        ),
        &rows,
    );
    for (keeper, figures) in &all {
        if let (Keeper::Lists(Durability::Flush) | Keeper::Singly(Durability::Flush), Some(peer)) = (keeper, peer)
            && let (Some(own), Some(peer)) = (figures.speed.median(), peer.speed.median())
        {
            let word = if own / peer >= GOAL_TIMES { "met" } else { "NOT met" };
            println!("  goal: {keeper}, at least {GOAL_TIMES}× JetStream; it is {}×: {word}", short(own / peer));
        }
    }
    Ok(())
}

/// One turn: events for a span, each acknowledged; then they are read.
async fn keep(keeper: Keeper, programs: &Programs, load: Load, figures: &mut Figures) -> io::Result<()> {
    let (kind, history) = match keeper {
        Keeper::Lists(durability) | Keeper::Singly(durability) => (Kind::Headwater, Some(durability)),
        Keeper::JetStream => (Kind::JetStream, None),
    };
    let server = Server::start(kind, programs, &Settings { history, ..Settings::default() })?;
    let content = Content { tongue: kind.tongue(), channels: channels(1), size: load.size, ask: true };
    let channel = content.channels[0].clone();
    let mut publisher = Publisher::connect(server.address, content).await?;
    flood(keeper, &mut publisher, load, load.span / 5).await?;
    let (first, cpu, began) = (publisher.published(), server.cpu()?, Instant::now());
    flood(keeper, &mut publisher, load, load.span).await?;
    let (wall, used) = (began.elapsed(), server.cpu()?.saturating_sub(cpu));
    let events = (publisher.published() - first) as f64;
    figures.speed.push(events / wall.as_secs_f64());
    figures.cpu.push(used.as_nanos() as f64 / events);

    let all = publisher.published();
    let (cpu, began) = (server.cpu()?, Instant::now());
    let read = match kind {
        Kind::JetStream => past::stream(server.address, all)?,
        _ => past::pages(server.address, &channel)?,
    };
    let (wall, used) = (began.elapsed(), server.cpu()?.saturating_sub(cpu));
    if read != all {
        return Err(io::Error::other(format!("{read} events are stored of {all} acknowledged")));
    }
    figures.read.push(read as f64 / wall.as_secs_f64());
    figures.read_cpu.push(used.as_nanos() as f64 / read as f64);
    if history.is_some() {
        let began = Instant::now();
        // Where sqlite3 is not installed, this column stays empty.
        if let Ok(events) = past::file(&server.state().join("history.db")) {
            if events < all {
                return Err(io::Error::other(format!("{events} events are in the file, of {all} acknowledged")));
            }
            figures.file.push(events as f64 / began.elapsed().as_secs_f64());
        }
    }
    Ok(())
}

async fn flood(keeper: Keeper, publisher: &mut Publisher, load: Load, span: Duration) -> io::Result<()> {
    let began = Instant::now();
    while began.elapsed() < span {
        publisher.acknowledged((publisher.published() + BATCH as u64).saturating_sub(load.window)).await?;
        match keeper {
            Keeper::Lists(_) | Keeper::JetStream => publisher.publish(BATCH).await?,
            Keeper::Singly(_) => publisher.publish_singly(BATCH).await?,
        }
    }
    publisher.acknowledged(publisher.published()).await
}

/// What history costs while events are published at a steady rate: the same daemon with it and without.
async fn living(programs: &Programs, size: usize, turns: usize, span: Duration) -> io::Result<()> {
    let mut all = [(Some(Durability::Flush), Live::default()), (None, Live::default())];
    for _ in 0..turns {
        for (history, figures) in &mut all {
            live(*history, programs, size, span, figures).await?;
        }
    }
    let mut rows = vec![["", "cores", "events/s", "p99 ms"].map(str::to_owned).to_vec()];
    for (history, Live { cores, speed, p99 }) in &all {
        let name = if history.is_some() { "with history, flush 100 ms" } else { "without" };
        rows.push(vec![
            name.to_owned(),
            cores.to_string(),
            speed.median().map_or_else(String::new, short),
            p99.to_string(),
        ]);
    }
    print_table(&format!("{RATE} events/s to {READERS} readers, {size} bytes each; median of {turns} turns"), &rows);
    let [(_, with), (_, without)] = &all;
    if let (Some(p99), Some(with), Some(without)) = (with.p99.median(), with.cores.median(), without.cores.median()) {
        let (cores, word) = (with - without, |met| if met { "met" } else { "NOT met" });
        println!(
            "  goal: history takes less than {GOAL_CORES} core; it takes {}: {}",
            short(cores),
            word(cores < GOAL_CORES)
        );
        println!("  goal: p99 below {GOAL_P99_MS} ms; it is {}: {}", short(p99), word(p99 < GOAL_P99_MS));
    }
    Ok(())
}

/// The figures of a daemon at a steady rate.
#[derive(Default)]
struct Live {
    cores: Runs,
    speed: Runs,
    p99: Runs,
}

async fn live(
    history: Option<Durability>,
    programs: &Programs,
    size: usize,
    span: Duration,
    figures: &mut Live,
) -> io::Result<()> {
    let server = Server::start(Kind::Headwater, programs, &Settings { history, ..Settings::default() })?;
    let content = Content { tongue: Kind::Headwater.tongue(), channels: channels(1), size, ask: false };
    let reads = Reads { channels: content.channels.clone(), each: 1 };
    let crowd = Crowd::connect(server.address, content.tongue, READERS, &reads).await?;
    let pacer = Pacer::start(server.address, content, RATE);
    tokio::time::sleep(span / 5).await;
    crowd.record_ages();
    let (deliveries, cpu, began) = (crowd.deliveries(), server.cpu()?, Instant::now());
    tokio::time::sleep(span).await;
    let (wall, used) = (began.elapsed().as_secs_f64(), server.cpu()?.saturating_sub(cpu));
    figures.cores.push(used.as_secs_f64() / wall);
    figures.speed.push((crowd.deliveries() - deliveries) as f64 / READERS as f64 / wall);
    let ages = crowd.ages().filter(|ages| !ages.is_empty()).ok_or_else(|| io::Error::other("no event came"))?;
    figures.p99.push(ages.value_at_quantile(0.99) as f64 / 1e6);
    let published = pacer.stop()?;
    crowd.reach_exactly(published).await?;
    let answer = get(server.address, "/v1/channels")?;
    if answer["channels"][0]["head"].as_u64() == Some(published) {
        Ok(())
    } else {
        Err(io::Error::other(format!("{published} events were published, and there are {answer}")))
    }
}
