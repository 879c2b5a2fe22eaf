//! What `headwater mcp-wrap` adds to the answers of an MCP server: the protocol's own client with a real server, and lines
//! through `cat`, where nothing else takes time. Each directly and wrapped by turns in one run, with a daemon that takes the
//! reports and with none. And every byte of a recorded session is compared.

use clap::Parser;
use headwater_bench::{
    programs::{Places, Programs},
    report::{print_table, short},
    server::{Kind, Server, Settings, free_address},
};
use serde_json::{Value, json};
use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio},
    time::Instant,
};

/// The goal: what wrapping may add at p99, in microseconds.
const ADDED: f64 = 200.0;

/// What `mcp-wrap` adds to the answers of a server.
#[derive(Parser)]
struct Options {
    /// A quick look: few rounds
    #[arg(long)]
    short: bool,
    #[command(flatten)]
    places: Places,
    /// How often each question is asked
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
}

/// How long answers took, in microseconds.
struct Pair {
    name: String,
    direct: Vec<f64>,
    wrapped: Vec<f64>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wrap: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    let programs = Programs::find(&options.places)?;
    let rounds = options.rounds.unwrap_or(if options.short { 300 } else { 5_000 });
    let daemon = Server::start(Kind::Headwater, &programs, &Settings::default())?;
    let (there, nobody) = (format!("http://{}", daemon.address), format!("http://{}", free_address()?));
    let program = programs.daemon.display().to_string();
    let mut pairs = Vec::new();
    for (url, who) in [(&there, "with a daemon"), (&nobody, "without one")] {
        for bytes in [200, 20_000] {
            let name = format!("cat, {bytes} bytes, {who}");
            pairs.push(cat(name, &[&program, "--url", url, "mcp-wrap", "--", "cat"], bytes, rounds)?);
        }
    }
    let server = programs.peer("node_modules/@modelcontextprotocol/server-everything/dist/index.js");
    if server.exists() {
        let direct = ["node".to_owned(), server.display().to_string(), "stdio".to_owned()];
        let wrapped =
            |url: &str| [&[&program, "--url", url, "mcp-wrap", "--"].map(str::to_owned)[..], &direct].concat();
        let client = programs.peer("wrap.mjs");
        for (url, who) in [(&there, "with a daemon"), (&nobody, "without one")] {
            let took = session(&client, rounds, &[&direct, &wrapped(url)], Path::new("."))?;
            pairs.extend(read(&took, who)?);
        }
        compare(&client, &server, &program, &there)?;
    } else {
        println!("server-everything is not here and is left out; `cargo xtask bench` fetches it");
    }
    tell(&pairs, rounds);
    Ok(())
}

fn tell(pairs: &[Pair], rounds: usize) {
    let row = |cells: [&str; 6]| cells.map(str::to_owned).to_vec();
    let mut rows = vec![row(["question", "direct p50", "p99", "wrapped p50", "p99", "added p50 / p99"])];
    for Pair { name, direct, wrapped } in pairs {
        let at = |part| (within(direct, part), within(wrapped, part));
        let ((d50, w50), (d99, w99)) = (at(0.5), at(0.99));
        let added = format!("{} / {} µs", short(w50 - d50), short(w99 - d99));
        rows.push([vec![name.clone()], [d50, d99, w50, w99].map(short).to_vec(), vec![added]].concat());
    }
    print_table(&format!("What mcp-wrap adds, microseconds, up to {rounds} questions each"), &rows);
    let worst = pairs.iter().map(|pair| within(&pair.wrapped, 0.99) - within(&pair.direct, 0.99)).fold(0.0, f64::max);
    let met = if worst < ADDED { "met" } else { "NOT met" };
    println!("  goal {} µs added at p99: {} µs at most, {met}", short(ADDED), short(worst));
}

/// What this part stayed within.
fn within(took: &[f64], part: f64) -> f64 {
    let mut took = took.to_vec();
    took.sort_unstable_by(f64::total_cmp);
    let place = (part * took.len() as f64).ceil() as usize;
    took.get(place.saturating_sub(1)).copied().unwrap_or_default()
}

/// Lines through `cat`, directly and wrapped by turns. Every one is compared.
fn cat(name: String, words: &[&str], bytes: usize, rounds: usize) -> io::Result<Pair> {
    let mut line = json!({"jsonrpc": "2.0", "id": 1, "method": "ping", "x": "y".repeat(bytes)}).to_string();
    line.truncate(bytes - 1);
    line.push('\n');
    let (mut direct, mut wrapped) = (Talk::start(&["cat"])?, Talk::start(words)?);
    for round in 0..rounds + rounds / 10 {
        let warm = round < rounds / 10;
        // Who goes first changes: the second finds the machine awake.
        let pair: [&mut Talk; 2] =
            if round % 2 == 0 { [&mut direct, &mut wrapped] } else { [&mut wrapped, &mut direct] };
        for talk in pair {
            talk.ask(line.as_bytes(), warm)?;
        }
    }
    Ok(Pair { name, direct: direct.end()?, wrapped: wrapped.end()? })
}

/// A program that says what it hears.
struct Talk {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    took: Vec<f64>,
}

impl Talk {
    fn start(words: &[&str]) -> io::Result<Self> {
        let mut command = Command::new(words[0]);
        let mut child = command.args(&words[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(output)) = (input, output) else { return Err(io::Error::other("no pipes")) };
        Ok(Self { child, input, output: BufReader::with_capacity(64 << 10, output), took: Vec::new() })
    }

    fn ask(&mut self, line: &[u8], warm: bool) -> io::Result<()> {
        let mut answer = Vec::with_capacity(line.len());
        let began = Instant::now();
        self.input.write_all(line)?;
        self.output.read_until(b'\n', &mut answer)?;
        let took = began.elapsed();
        if answer != line {
            return Err(io::Error::other("another line came back"));
        }
        if !warm {
            self.took.push(took.as_secs_f64() * 1e6);
        }
        Ok(())
    }

    fn end(mut self) -> io::Result<Vec<f64>> {
        drop(self.input);
        let status = self.child.wait()?;
        if status.success() { Ok(self.took) } else { Err(io::Error::other(format!("it ended with {status}"))) }
    }
}

/// Runs the client in a directory; what it printed.
fn session(client: &Path, rounds: usize, commands: &[&[String]], directory: &Path) -> io::Result<Value> {
    let mut node = Command::new("node");
    node.arg(client).arg(rounds.to_string()).args(commands.iter().map(|command| json!(command).to_string()));
    let output = node.current_dir(directory).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("the client ended with {}", output.status)));
    }
    serde_json::from_slice(&output.stdout).map_err(io::Error::other)
}

fn read(took: &Value, who: &str) -> io::Result<Vec<Pair>> {
    let figures = |value: &Value| value.as_array().into_iter().flatten().filter_map(Value::as_f64).collect::<Vec<_>>();
    let pair = |(name, both): (&String, &Value)| {
        let pair = Pair { name: format!("{name}, {who}"), direct: figures(&both[0]), wrapped: figures(&both[1]) };
        (!pair.direct.is_empty()).then_some(pair).ok_or_else(|| io::Error::other("the client has measured nothing"))
    };
    took.as_object().into_iter().flatten().map(pair).collect()
}

/// A session that is written down on both sides of the wrapper.
fn compare(client: &Path, server: &Path, program: &str, url: &str) -> io::Result<()> {
    let directory = tempfile::tempdir()?;
    let inner = format!("tee inner.in | node {} stdio | tee inner.out", server.display());
    let outer = format!("tee outer.in | {program} --url {url} mcp-wrap -- sh -c '{inner}' | tee outer.out");
    session(client, 200, &[&["sh", "-c", &outer].map(str::to_owned)], directory.path())?;
    for way in ["in", "out"] {
        let read = |side: &str| fs::read(directory.path().join(format!("{side}.{way}")));
        let (outer, inner) = (read("outer")?, read("inner")?);
        if outer != inner || outer.is_empty() {
            return Err(io::Error::other(format!("{way}: {} bytes came as {}", outer.len(), inner.len())));
        }
        println!("  {way}: {} bytes, all the same on both sides", outer.len());
    }
    Ok(())
}
