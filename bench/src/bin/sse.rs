//! Server-sent events, side by side: server CPU per delivery to many readers as browsers' EventSource is one.

use clap::Parser;
use headwater_bench::{
    crowd::{Crowd, Reads},
    http::Poster,
    payload::SIZE,
    programs::{Places, Programs},
    publisher::Content,
    report::{Runs, print_table, ratio, short},
    server::{Kind, Server, Settings},
    tongue::{Tongue, channels, put_ndjson},
};
use std::{
    collections::BTreeMap,
    io,
    process::ExitCode,
    time::{Duration, Instant},
};
use tokio::task::LocalSet;

/// Events in one body, and on their way.
const BATCH: usize = 64;
const WINDOW: u64 = 512;

/// Server-sent events side by side: Headwater and a server on Node's `http`.
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
    /// Readers
    #[arg(long, value_name = "N", default_value_t = 100)]
    subscribers: usize,
    /// Turns of each server [default: 5]
    #[arg(long, value_name = "N")]
    turns: Option<usize>,
    /// Seconds of each turn [default: 2]
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
}

/// The figures of one server.
#[derive(Default)]
struct Figures {
    cpu: Runs,
    speed: Runs,
    bytes: Runs,
}

/// What puts events in.
struct Source {
    poster: Poster,
    content: Content,
    enveloped: bool,
    published: u64,
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
            eprintln!("sse: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> io::Result<()> {
    let programs = Programs::find(&options.places)?;
    let (turns, seconds) = if options.short { (2, 0.5) } else { (5, 2.0) };
    let turns = options.turns.unwrap_or(turns);
    let span = Duration::from_secs_f64(options.seconds.unwrap_or(seconds));
    let servers = programs.present(options.servers.as_deref().unwrap_or(&[Kind::Headwater, Kind::NodeSse]));
    let mut figures: BTreeMap<Kind, Figures> = BTreeMap::new();
    for _ in 0..turns {
        for kind in &servers {
            let turn = turn(*kind, &programs, options.subscribers, span, figures.entry(*kind).or_default()).await;
            turn.map_err(|error| io::Error::other(format!("{kind}: {error}")))?;
        }
    }
    let mut rows =
        vec![["server", "CPU ns/delivery", "to headwater", "deliveries/s", "bytes"].map(str::to_owned).to_vec()];
    let own = figures.get(&Kind::Headwater);
    for (kind, of_kind) in &figures {
        let to_own = own.filter(|_| *kind != Kind::Headwater).map(|own| ratio(&of_kind.cpu, &own.cpu));
        rows.push(vec![
            kind.to_string(),
            of_kind.cpu.to_string(),
            to_own.unwrap_or_default(),
            of_kind.speed.median().map_or_else(String::new, short),
            of_kind.bytes.median().map_or_else(String::new, short),
        ]);
    }
    let readers = options.subscribers;
    print_table(
        &format!(
            "Server-sent events: {readers} readers at full rate, {SIZE} bytes of data each; median of {turns} turns"
        ),
        &rows,
    );
    Ok(())
}

async fn turn(
    kind: Kind,
    programs: &Programs,
    subscribers: usize,
    span: Duration,
    figures: &mut Figures,
) -> io::Result<()> {
    let server = Server::start(kind, programs, &Settings::default())?;
    let content = Content { tongue: Tongue::Sse, channels: channels(1), size: SIZE, ask: false };
    let reads = Reads { channels: content.channels.clone(), each: 1 };
    let crowd = Crowd::connect(server.address, Tongue::Sse, subscribers, &reads).await?;
    let poster = Poster::connect(server.address).await?;
    let mut source = Source { poster, content, enveloped: kind == Kind::Headwater, published: 0 };
    source.flood(&crowd, span / 5).await?;
    let (first, bytes, cpu, began) = (source.published, crowd.bytes(), server.cpu()?, Instant::now());
    source.flood(&crowd, span).await?;
    let (wall, cpu) = (began.elapsed(), server.cpu()?.saturating_sub(cpu));
    let deliveries = (source.published - first) as f64 * subscribers as f64;
    figures.cpu.push(cpu.as_nanos() as f64 / deliveries);
    figures.speed.push(deliveries / wall.as_secs_f64());
    figures.bytes.push((crowd.bytes() - bytes) as f64 / deliveries);
    Ok(())
}

impl Source {
    /// Publishes as fast as all can take it, then waits until all have all of it.
    async fn flood(&mut self, crowd: &Crowd, span: Duration) -> io::Result<()> {
        let began = Instant::now();
        while began.elapsed() < span {
            crowd.reach((self.published + BATCH as u64).saturating_sub(WINDOW)).await?;
            let mut body = Vec::new();
            put_ndjson(&mut body, &self.content.items(self.published, BATCH), self.content.size, self.enveloped);
            self.published += BATCH as u64;
            self.poster.post("/v1/events", "application/x-ndjson", &body).await?;
        }
        crowd.reach_exactly(self.published).await
    }
}
