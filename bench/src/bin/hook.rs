//! What a hook costs the agent that runs it: from the start of the process to its end, as the agent waits for it. Beside
//! `true`, which is what starting any process costs, and a line of Python that posts the same; each with a daemon and with
//! none, all in turn, so that whatever the machine does besides meets all of them.

use clap::Parser;
use headwater_bench::{
    http::get_text,
    programs::{Places, Programs},
    report::{print_table, short},
    server::{Kind, Server, Settings, free_address},
};
use std::{
    io::{self, Write},
    net::SocketAddr,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

/// The goal: what one hook in a hundred may cost.
const P99: Duration = Duration::from_millis(10);
/// Reports that may get lost: a hook ends after 50 ms whatever happens, and machines stand still now and then.
const LOST: f64 = 0.01;

/// What Claude Code gives to a hook after a tool; its answer is as long as that of a short command.
const REPORT: &str = r#"{"session_id":"08fd3f3f-1a82-402f-8a54-583df9994433","transcript_path":"/home/dev/.claude/projects/p/08fd.jsonl","cwd":"/home/dev/project","prompt_id":"8e3436e5-fab0-4ed0-8a20-1ea12f9a3f33","permission_mode":"default","hook_event_name":"PostToolUse","tool_name":"Bash","tool_input":{"command":"cargo check","description":"Check"},"tool_response":{"stdout":"ANSWER","stderr":"","interrupted":false},"tool_use_id":"toolu_01A","duration_ms":236}"#;
const ANSWER: usize = 1_000;

/// The same without Headwater's program. It is as patient as that.
const LINE: &str = "import sys, urllib.request as u\n\
    try: u.urlopen(u.Request(sys.argv[1], sys.stdin.buffer.read(), {'content-type': 'application/json'}), timeout=0.05)\n\
    except OSError: pass";

/// What a hook costs the agent, beside `true` and a line of Python.
#[derive(Parser)]
struct Options {
    /// A quick look: few runs
    #[arg(long)]
    short: bool,
    #[command(flatten)]
    places: Places,
    /// How often each is run
    #[arg(long, value_name = "N")]
    runs: Option<usize>,
}

/// One of those that are compared.
struct Hook {
    name: &'static str,
    words: Vec<String>,
    took: Vec<Duration>,
}

impl Hook {
    fn new(name: &'static str, words: &[&str]) -> Self {
        Self { name, words: words.iter().map(|&word| word.to_owned()).collect(), took: Vec::new() }
    }

    /// Runs it once, as an agent does: the report on its standard input, and nothing until it has ended.
    fn run(&mut self, report: &str) -> io::Result<()> {
        let began = Instant::now();
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| io::Error::other(format!("{}: {error}", self.words[0])))?;
        if let Some(mut input) = child.stdin.take() {
            // `true` reads nothing and may be gone already.
            let _ = input.write_all(report.as_bytes());
        }
        let status = child.wait()?;
        self.took.push(began.elapsed());
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("{} ended with {status}", self.name))) }
    }

    /// What this part of the runs stayed within.
    fn within(&self, part: f64) -> Duration {
        let mut took = self.took.clone();
        took.sort_unstable();
        // The smallest that is not below this part of them.
        let place = (part * took.len() as f64).ceil() as usize;
        took.get(place.saturating_sub(1)).copied().unwrap_or_default()
    }
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hook: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    let programs = Programs::find(&options.places)?;
    let report = REPORT.replace("ANSWER", &"x".repeat(ANSWER));
    let runs = options.runs.unwrap_or(if options.short { 50 } else { 500 });
    // One for each, so that what arrives can be counted.
    let settings = Settings::default();
    let (ours, theirs) = (daemon(&programs, &settings)?, daemon(&programs, &settings)?);
    let nobody = free_address()?;
    let (program, python) = (programs.daemon.display().to_string(), python()?);
    let (url, path) = (|address| format!("http://{address}"), "/v1/hooks/claude");
    let hook = |name, address| Hook::new(name, &[&program, "hook", "run", "claude", "--url", &url(address)]);
    let line = |name, address: SocketAddr| Hook::new(name, &[&python, "-c", LINE, &format!("{}{path}", url(address))]);
    let mut hooks = [
        Hook::new("true", &["true"]),
        hook("headwater hook run", ours.address),
        hook("  without a daemon", nobody),
        line("a line of Python", theirs.address),
        line("  without a daemon", nobody),
    ];
    let before = (published(&ours)?, published(&theirs)?);
    for _ in 0..runs {
        for hook in &mut hooks {
            hook.run(&report)?;
        }
    }
    let arrived = [published(&ours)? - before.0, published(&theirs)? - before.1];

    let mut rows = vec![["hook", "p50", "p99", "most", "arrived"].map(str::to_owned).to_vec()];
    for (place, hook) in hooks.iter().enumerate() {
        let figures = [hook.within(0.5), hook.within(0.99), hook.within(1.0)].map(milliseconds);
        let arrived = match place {
            1 => format!("{} of {runs}", arrived[0]),
            3 => format!("{} of {runs}", arrived[1]),
            _ => String::new(),
        };
        rows.push([&[hook.name.to_owned()][..], &figures, &[arrived]].concat());
    }
    print_table(&format!("What a hook costs, {runs} runs each"), &rows);
    let word = |met: bool| if met { "met" } else { "NOT met" };
    for hook in &hooks[1..3] {
        let (name, p99) = (hook.name.trim(), hook.within(0.99));
        println!("  goal {} at p99, {name}: {}, {}", milliseconds(P99), milliseconds(p99), word(p99 < P99));
    }
    let lost = 1.0 - arrived[0] as f64 / runs as f64;
    println!("  goal at most {} % lost: {} %, {}", short(LOST * 100.0), short(lost * 100.0), word(lost <= LOST));
    Ok(())
}

fn daemon(programs: &Programs, settings: &Settings) -> io::Result<Server> {
    Server::start(Kind::Headwater, programs, settings)
}

/// How many events a daemon has been given. It has no sources: all of them are hooks.
fn published(server: &Server) -> io::Result<u64> {
    let text = get_text(server.address, "/metrics")?;
    let line = text.lines().find_map(|line| line.strip_prefix("headwater_published_events_total "));
    line.and_then(|number| number.trim().parse().ok())
        .ok_or_else(|| io::Error::other("/metrics does not tell of published events"))
}

/// Python itself, where `python3` is a script that chooses one.
fn python() -> io::Result<String> {
    let output = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn milliseconds(time: Duration) -> String {
    format!("{} ms", short(time.as_secs_f64() * 1_000.0))
}
