//! What it costs a server to take an event from outside and give it to one subscriber: CPU per event, for each way in.

use clap::Parser;
use headwater_bench::{
    crowd::{Crowd, Reads},
    http::Poster,
    payload::SIZE,
    programs::{Places, Programs},
    publisher::{Content, Publisher},
    report::{Runs, print_table, ratio, short},
    server::{Kind, Server, Settings},
    tongue::{channels, put_ndjson},
};
use std::{
    fmt, io,
    process::ExitCode,
    time::{Duration, Instant},
};
use tokio::task::LocalSet;

/// Events in one write, and on their way, over WebSocket.
const BATCH: usize = 64;
const WINDOW: u64 = 512;
/// Events in one body over HTTP.
const LINES: usize = 1_000;

/// What Headwater is held to.
const GOAL: f64 = 550.0;

/// Ingest side by side: server CPU per event, from outside to one subscriber.
#[derive(Parser)]
struct Options {
    /// A quick look: two short turns
    #[arg(long)]
    short: bool,
    #[command(flatten)]
    places: Places,
    /// Only these servers
    #[arg(long, value_enum, value_delimiter = ',')]
    servers: Option<Vec<Kind>>,
    /// Only this way in
    #[arg(long, value_enum)]
    way: Option<Way>,
    /// Bytes of each event as a client receives it [default: 200 and 400]
    #[arg(long, value_delimiter = ',', value_name = "BYTES")]
    size: Option<Vec<usize>>,
    /// Turns of each way [default: 5]
    #[arg(long, value_name = "N")]
    turns: Option<usize>,
    /// Seconds of each turn [default: 2]
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
}

/// A way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Way {
    /// WebSocket: many in one message where the protocol has that, otherwise many messages in one write.
    Together,
    /// WebSocket: each in a message of its own, many messages in one write.
    Singly,
    /// HTTP: NDJSON bodies.
    Ndjson,
}

/// Who is asked in which way. A list is only our protocol's; with the others, what is together is many messages.
const WAYS: [(Kind, Way); 6] = [
    (Kind::Headwater, Way::Together),
    (Kind::Headwater, Way::Singly),
    (Kind::Headwater, Way::Ndjson),
    (Kind::Nats, Way::Together),
    (Kind::Feed, Way::Together),
    (Kind::Node, Way::Together),
];

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Together => "WebSocket, together",
            Self::Singly => "WebSocket, one by one",
            Self::Ndjson => "HTTP, NDJSON",
        })
    }
}

/// What puts events in, in one of the ways.
enum Source {
    Socket(Publisher, Way),
    Http { poster: Poster, content: Content, published: u64 },
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
            eprintln!("ingest: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> io::Result<()> {
    let programs = Programs::find(&options.places)?;
    let (turns, seconds) = if options.short { (2, 0.5) } else { (5, 2.0) };
    let turns = options.turns.unwrap_or(turns);
    let span = Duration::from_secs_f64(options.seconds.unwrap_or(seconds));
    let all = [Kind::Headwater, Kind::Nats, Kind::Feed, Kind::Node];
    let present = programs.present(options.servers.as_deref().unwrap_or(&all));
    let sizes = if options.short { vec![SIZE] } else { vec![SIZE, 2 * SIZE] };
    for size in options.size.clone().unwrap_or(sizes) {
        let mut all: Vec<(Kind, Way, Runs, Runs)> = WAYS
            .iter()
            .filter(|(kind, way)| present.contains(kind) && options.way.is_none_or(|wanted| wanted == *way))
            .map(|(kind, way)| (*kind, *way, Runs::default(), Runs::default()))
            .collect();
        for _ in 0..turns {
            for (kind, way, cpu, speed) in &mut all {
                let turn = turn(*kind, *way, &programs, size, span).await;
                let (nanoseconds, events) =
                    turn.map_err(|error| io::Error::other(format!("{kind}, {way}: {error}")))?;
                cpu.push(nanoseconds);
                speed.push(events);
            }
        }
        print(size, turns, &all);
    }
    Ok(())
}

fn print(size: usize, turns: usize, all: &[(Kind, Way, Runs, Runs)]) {
    let head = ["server", "way in", "CPU ns/event", "events/s", "to headwater"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let own = all.iter().find(|(kind, ..)| *kind == Kind::Headwater).map(|(_, _, cpu, _)| cpu);
    for (kind, way, cpu, speed) in all {
        let to_own = own.filter(|_| *kind != Kind::Headwater).map(|own| ratio(cpu, own)).unwrap_or_default();
        let speed = speed.median().map_or_else(String::new, short);
        rows.push(vec![kind.to_string(), way.to_string(), cpu.to_string(), speed, to_own]);
    }
    print_table(&format!("From outside to one subscriber, {size} bytes as received; median of {turns} turns"), &rows);
    for (_, way, cpu, _) in all.iter().filter(|(kind, ..)| *kind == Kind::Headwater) {
        if let Some(figure) = cpu.median() {
            let word = if figure < GOAL { "met" } else { "NOT met" };
            println!("  goal: {way}, below {GOAL} ns an event; it is {}: {word}", short(figure));
        }
    }
}

/// CPU nanoseconds for each event, and events a second.
async fn turn(kind: Kind, way: Way, programs: &Programs, size: usize, span: Duration) -> io::Result<(f64, f64)> {
    let server = Server::start(kind, programs, &Settings::default())?;
    let content = Content { tongue: kind.tongue(), channels: channels(1), size, ask: false };
    let reads = Reads { channels: content.channels.clone(), each: 1 };
    let crowd = Crowd::connect(server.address, kind.tongue(), 1, &reads).await?;
    let mut source = match way {
        Way::Ndjson => Source::Http { poster: Poster::connect(server.address).await?, content, published: 0 },
        Way::Together | Way::Singly => Source::Socket(Publisher::connect(server.address, content).await?, way),
    };
    source.flood(&crowd, span / 5).await?;
    let (first, cpu, began) = (source.published(), server.cpu()?, Instant::now());
    source.flood(&crowd, span).await?;
    let (wall, cpu) = (began.elapsed(), server.cpu()?.saturating_sub(cpu));
    let events = (source.published() - first) as f64;
    Ok((cpu.as_nanos() as f64 / events, events / wall.as_secs_f64()))
}

impl Source {
    fn published(&self) -> u64 {
        match self {
            Self::Socket(publisher, _) => publisher.published(),
            Self::Http { published, .. } => *published,
        }
    }

    async fn publish(&mut self) -> io::Result<()> {
        match self {
            Self::Socket(publisher, Way::Singly) => publisher.publish_singly(BATCH).await,
            Self::Socket(publisher, _) => publisher.publish(BATCH).await,
            Self::Http { poster, content, published } => {
                let mut body = Vec::new();
                put_ndjson(&mut body, &content.items(*published, LINES), content.size, true);
                *published += LINES as u64;
                poster.post("/v1/events", "application/x-ndjson", &body).await
            }
        }
    }

    /// Publishes as fast as it is taken, then waits until all has arrived.
    async fn flood(&mut self, crowd: &Crowd, span: Duration) -> io::Result<()> {
        let began = Instant::now();
        while began.elapsed() < span {
            crowd.reach((self.published() + BATCH as u64).saturating_sub(WINDOW)).await?;
            self.publish().await?;
        }
        crowd.reach_exactly(self.published()).await
    }
}
