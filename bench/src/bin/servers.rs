//! How soon a fault of an MCP server is told: a real server is started by the source `mcp`, killed or stopped at moments that
//! keep step with nothing, and the event awaited at a client of the daemon. After each fault a command starts it anew, so that
//! no pause between restarts is measured.

use clap::Parser;
use headwater_bench::{
    programs::{Places, Programs},
    report::{print_table, short},
    server::Server,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::{
    fs, io,
    net::TcpStream,
    process::ExitCode,
    time::{Duration, Instant},
};
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

/// What is not there by then does not come: a server is a program of hundreds of files.
const PATIENCE: Duration = Duration::from_mins(1);
/// The goal: what it may take until a kill is told, at p99.
const KILL: Duration = Duration::from_millis(100);
/// The times of asking. One that hangs is to be told within both together.
const INTERVAL: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(1);

/// The time from a fault of an MCP server to its event.
#[derive(Parser)]
struct Options {
    /// A quick look: few faults
    #[arg(long)]
    short: bool,
    #[command(flatten)]
    places: Places,
    /// How often the server is killed; it is made to hang half as often
    #[arg(long, value_name = "N")]
    faults: Option<usize>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("servers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    let programs = Programs::find(&options.places)?;
    let server = programs.peer("node_modules/@modelcontextprotocol/server-everything/dist/index.js");
    if !server.exists() {
        println!("server-everything is not here and nothing is measured; `cargo xtask bench` fetches it");
        return Ok(());
    }
    fs::create_dir_all(&programs.scratch)?;
    let directory = tempfile::tempdir_in(&programs.scratch)?;
    let config = directory.path().join("headwater.toml");
    let text = format!(
        "[source.mcp]\ninterval = \"{}ms\"\ndeadline = \"{}ms\"\n[source.mcp.discovery]\nhome = \"\"\n\
         [source.mcp.servers.it]\ncommand = \"node\"\nargs = [{}, \"stdio\"]\n",
        INTERVAL.as_millis(),
        DEADLINE.as_millis(),
        json!(server)
    );
    fs::write(&config, text)?;
    let mut watcher = Watcher::start(Server::daemon(&programs, &config)?)?;
    let faults = options.faults.unwrap_or(if options.short { 10 } else { 50 });
    let killed = watcher.faults(Signal::KILL, "stopped", faults)?;
    let hung = watcher.faults(Signal::STOP, "unhealthy", (faults / 2).max(1))?;

    let mut rows = vec![["fault", "times", "p50", "p99", "most"].map(str::to_owned).to_vec()];
    for (name, took) in [("SIGKILL", &killed), ("SIGSTOP", &hung)] {
        let figures = [0.5, 0.99, 1.0].map(|part| milliseconds(within(took, part)));
        rows.push([&[name.to_owned(), took.len().to_string()][..], &figures].concat());
    }
    let asked = INTERVAL + DEADLINE;
    print_table(&format!("From a fault of a server to the client; asked every {}", milliseconds(INTERVAL)), &rows);
    for (name, goal, took) in [("SIGKILL", KILL, &killed), ("SIGSTOP", asked, &hung)] {
        let p99 = within(took, 0.99);
        let met = if p99 <= goal { "met" } else { "NOT met" };
        println!("  goal {} at p99, {name}: {}, {met}", milliseconds(goal), milliseconds(p99));
    }
    Ok(())
}

/// A daemon with the server, and its client.
struct Watcher {
    server: Server,
    stream: WebSocket<TcpStream>,
    dice: u64,
}

impl Watcher {
    fn start(server: Server) -> io::Result<Self> {
        let socket = TcpStream::connect(server.address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let (stream, _) = client(format!("ws://{}/v1/stream", server.address), socket).map_err(io::Error::other)?;
        let mut watcher = Self { server, stream, dice: 0x9e37_79b9_7f4a_7c15 };
        // It may have come up before anybody could listen.
        watcher.send(&json!({"type": "subscribe", "channels": ["mcp_servers"], "from": "earliest"}))?;
        Ok(watcher)
    }

    /// Makes a fault so many times; how long each took until the server was told to be so.
    fn faults(&mut self, signal: Signal, status: &str, times: usize) -> io::Result<Vec<Duration>> {
        let mut took = Vec::with_capacity(times);
        for turn in 0..times {
            let (active, _) = self.until("active")?;
            let pid = active["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
            let pid = pid.ok_or_else(|| io::Error::other("its process is not told"))?;
            // Anywhere in a round of asking, and after the first.
            let more = INTERVAL.mul_f64(self.part());
            self.pause(INTERVAL + more)?;
            let began = Instant::now();
            kill_process(pid, signal)?;
            let (_, at) = self.until(status)?;
            took.push(at - began);
            let order = json!({"server_id": "it", "action": "restart", "graceful": false});
            let request = format!("{status}-{turn}");
            self.send(&json!({
                "type": "command", "command": "control_mcp_server", "parameters": order, "request_id": request,
            }))?;
        }
        took.sort_unstable();
        Ok(took)
    }

    /// The next time that the server becomes this, and when that was told.
    fn until(&mut self, status: &str) -> io::Result<(Value, Instant)> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let Some((text, at)) = self.next()? else { continue };
            if text.contains("\"mcp_server_status_change\"") {
                let event: Value = serde_json::from_str(&text)?;
                if event["data"]["status_change"]["to"] == status {
                    return Ok((event["data"].clone(), at));
                }
            }
        }
        Err(io::Error::other(format!("it is not told to be {status}:\n{}", self.server.log())))
    }

    /// Takes what comes for this long.
    fn pause(&mut self, time: Duration) -> io::Result<()> {
        let end = Instant::now() + time;
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            self.stream.get_ref().set_read_timeout(Some(left))?;
            self.next()?;
        }
        self.stream.get_ref().set_read_timeout(Some(PATIENCE))
    }

    /// The next message, and when it came; `None` when it is no text, or when none came in the time that reading may take.
    fn next(&mut self) -> io::Result<Option<(String, Instant)>> {
        use tokio_tungstenite::tungstenite::Error;
        match self.stream.read() {
            Ok(Message::Text(text)) => Ok(Some((text.as_str().to_owned(), Instant::now()))),
            Ok(Message::Close(frame)) => Err(io::Error::other(format!("the daemon closes: {frame:?}"))),
            Ok(_) => Ok(None),
            Err(Error::Io(error)) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Ok(None)
            }
            Err(error) => Err(io::Error::other(error)),
        }
    }

    fn send(&mut self, message: &Value) -> io::Result<()> {
        self.stream.send(Message::text(message.to_string())).map_err(io::Error::other)
    }

    /// 0 to 1, keeping step with nothing: xorshift.
    fn part(&mut self) -> f64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        (self.dice >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// What this part of them stayed within.
fn within(sorted: &[Duration], part: f64) -> Duration {
    let place = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied().unwrap_or_default()
}

fn milliseconds(time: Duration) -> String {
    format!("{} ms", short(time.as_secs_f64() * 1_000.0))
}
