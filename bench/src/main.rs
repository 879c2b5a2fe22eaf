//! What `cargo xtask bench` starts: builds what is measured, then runs the benchmarks beside this program, one after the
//! other. Each can be run alone, and has more options then: `cargo run --release -p headwater-bench --bin fanout -- --help`.

use clap::{Parser, ValueEnum};
use std::{
    io,
    process::{Command, ExitCode},
};

/// Side-by-side benchmarks of Headwater.
#[derive(Parser)]
struct Options {
    /// A quick look
    #[arg(long)]
    short: bool,
    /// Which ones [default: all]
    #[arg(value_enum)]
    names: Vec<Name>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Fan-out beside nats-server, tokio-tungstenite and Node: CPU per delivery, latency
    Fanout,
    /// Thousands of connections: CPU for each that comes, memory for each that stays (also called `idle` and `storm`)
    #[value(aliases = ["idle", "storm"])]
    Connections,
    /// From outside to one subscriber: CPU per event, for each way in
    Ingest,
    /// History beside `JetStream`: ingest acknowledged, reading a range, what it costs the live path
    History,
    /// Server-sent events beside Node
    Sse,
    /// From a plugin to the router, in both isolations
    PluginLink,
    /// An ordinary daemon with ten clients: memory and CPU
    Footprint,
    /// The tmux source beside a poll twice a second: latency, CPU of many idle panes, a pane that floods
    Tmux,
    /// What a hook costs an agent, beside `true` and a line of Python
    Hook,
    /// What `mcp-wrap` adds to the answers of an MCP server
    Wrap,
    /// A real MCP server that is killed, or hangs: how soon that is told
    Servers,
    /// The metrics source at one second: its CPU and memory, by itself and with fifty panes
    Metrics,
}

impl Name {
    fn program(self) -> &'static str {
        match self {
            Self::Fanout => "fanout",
            Self::Connections => "connections",
            Self::Ingest => "ingest",
            Self::History => "history",
            Self::Sse => "sse",
            Self::PluginLink => "plugin-link",
            Self::Footprint => "footprint",
            Self::Tmux => "tmux-bench",
            Self::Hook => "hook",
            Self::Wrap => "wrap",
            Self::Servers => "servers",
            Self::Metrics => "metrics",
        }
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let names = if options.names.is_empty() { Name::value_variants() } else { &options.names };
    // The first that fails ends the run: the figures of the others would be taken for the whole.
    match build().and_then(|()| names.iter().try_for_each(|name| run(*name, options.short))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The daemon, the servers beside it, and the plugin. Without cargo above us they are taken as they are.
fn build() -> io::Result<()> {
    let Some(cargo) = std::env::var_os("CARGO") else { return Ok(()) };
    let mut command = Command::new(cargo);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command.args(["build", "--release", "--package", "headwater", "--package", "headwater-bench"]);
    succeed(command.args(["--bins", "--examples"]))
}

fn run(name: Name, short: bool) -> io::Result<()> {
    println!("\n── {} ──", name.program());
    let mut command = Command::new(std::env::current_exe()?.with_file_name(name.program()));
    succeed(command.args(short.then_some("--short")))
}

fn succeed(command: &mut Command) -> io::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().map_err(|error| io::Error::other(format!("{name}: {error}")))?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{name} ended with {status}"))) }
}
