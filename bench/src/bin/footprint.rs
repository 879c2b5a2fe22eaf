//! What a daemon costs that does its ordinary work: the default config with its metrics source, ten `headwater sub`
//! reading along. Resident memory counts shared pages in full for each process; the proportional size (PSS) counts them
//! once among all, so it is what the whole takes from the machine.

use clap::Parser;
use headwater_bench::{
    http::{get, get_text},
    process,
    programs::{Places, Programs},
    report::print_table,
    server::Server,
};
use std::{
    fs, io,
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

/// The clients of the goal.
const CLIENTS: usize = 10;
/// A source or a client that is not at work by then has failed.
const START: Duration = Duration::from_secs(15);
/// The goals: bytes of all together, and part of a core.
const MEMORY: u64 = 30 << 20;
const CORE: f64 = 0.01;

/// Memory and CPU of an ordinary daemon with ten clients.
#[derive(Parser)]
struct Options {
    /// A quick look: a short span
    #[arg(long)]
    short: bool,
    #[command(flatten)]
    places: Places,
    /// Seconds of the span
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
}

/// Clients that end with this program.
struct Clients(Vec<Child>);

impl Drop for Clients {
    fn drop(&mut self) {
        for client in &mut self.0 {
            // It may have ended by itself.
            let _ = client.kill();
            let _ = client.wait();
        }
    }
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("footprint: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    let programs = Programs::find(&options.places)?;
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/headwater.toml");
    let server = Server::daemon(&programs, &config)?;
    let metrics = wait("the metrics source is up", || source(&server))?;
    let clients = Clients((0..CLIENTS).map(|_| client(&programs.daemon, &server)).collect::<io::Result<_>>()?);
    wait("all clients are connected", || connected(&server))?;
    let ids: Vec<u32> = clients.0.iter().map(Child::id).collect();

    let span = Duration::from_secs(options.seconds.unwrap_or(if options.short { 5 } else { 30 }));
    let groups: [(&str, Vec<u32>); 3] =
        [("daemon", vec![server.id()]), ("metrics child", vec![metrics]), ("10 × headwater sub", ids)];
    let before = groups.iter().map(|(_, group)| sum(group, process::cpu)).collect::<io::Result<Vec<_>>>()?;
    let began = Instant::now();
    std::thread::sleep(span);
    let took = began.elapsed();

    let mut rows = vec![["process", "resident", "proportional", "of a core"].map(str::to_owned).to_vec()];
    let (mut resident, mut shared, mut cores) = (0, 0, 0.0);
    for ((name, group), before) in groups.iter().zip(before) {
        let used = sum(group, process::cpu)?.saturating_sub(before).as_secs_f64() / took.as_secs_f64();
        let (rss, pss) =
            (group.iter().map(|id| process::resident(*id)).sum::<io::Result<u64>>()?, proportional(group)?);
        rows.push(vec![(*name).to_owned(), mebibytes(rss), mebibytes(pss), percent(used)]);
        (resident, shared, cores) = (resident + rss, shared + pss, cores + used);
    }
    rows.push(vec!["together".to_owned(), mebibytes(resident), mebibytes(shared), percent(cores)]);
    print_table(&format!("The default config with {CLIENTS} clients, over {} s", span.as_secs()), &rows);
    let word = |met: bool| if met { "met" } else { "NOT met" };
    println!("  goal {} proportional: {}, {}", mebibytes(MEMORY), mebibytes(shared), word(shared < MEMORY));
    println!("  goal {} of a core: {}, {}", percent(CORE), percent(cores), word(cores < CORE));
    Ok(())
}

fn source(server: &Server) -> io::Result<Option<u32>> {
    let answer = get(server.address, "/v1/sources")?;
    let metrics = answer["sources"].as_array().and_then(|all| all.iter().find(|source| source["name"] == "metrics"));
    let up = metrics.filter(|source| source["state"] == "up" && source["events"].as_u64() > Some(0));
    Ok(up.and_then(|source| source["pid"].as_u64()).and_then(|pid| u32::try_from(pid).ok()))
}

fn client(daemon: &Path, server: &Server) -> io::Result<Child> {
    let mut command = Command::new(daemon);
    command.args(["sub", "performance_metrics", "--url"]).arg(format!("http://{}", server.address));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

fn connected(server: &Server) -> io::Result<Option<()>> {
    let text = get_text(server.address, "/metrics")?;
    let line = text.lines().find_map(|line| line.strip_prefix("headwater_connections{protocol=\"websocket\"} "));
    let count: usize = line.and_then(|number| number.trim().parse().ok()).unwrap_or(0);
    Ok((count >= CLIENTS).then_some(()))
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

fn sum(group: &[u32], figure: impl Fn(u32) -> io::Result<Duration>) -> io::Result<Duration> {
    group.iter().map(|id| figure(*id)).sum()
}

/// The proportional set size of some processes: `proc_pid_smaps(5)`.
fn proportional(group: &[u32]) -> io::Result<u64> {
    let of_one = |id: &u32| {
        let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kilobytes.map(|kilobytes| kilobytes * 1024).ok_or_else(|| io::Error::other("no Pss in smaps_rollup"))
    };
    group.iter().map(of_one).sum()
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

fn percent(part: f64) -> String {
    format!("{:.2} %", part * 100.0)
}
