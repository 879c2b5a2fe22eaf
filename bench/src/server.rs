//! The servers under test, as child processes: started, waited for, measured, ended.

use crate::{process, programs::Programs, tongue::Tongue};
use std::{
    fmt,
    fs::File,
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A server that does not listen by then has failed.
const START: Duration = Duration::from_secs(15);

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum)]
pub enum Kind {
    /// The daemon.
    Headwater,
    /// nats-server, through its WebSocket listener.
    Nats,
    /// tokio-tungstenite with a queue for each client, all that waits written and flushed once.
    Feed,
    /// The same with a `send` for each message.
    Plain,
    /// Node with the package `ws`.
    Node,
    /// nats-server, storing in a file.
    JetStream,
    /// Node alone, with server-sent events.
    NodeSse,
}

impl Kind {
    /// How it is spoken to, where that is not the point of the benchmark.
    pub fn tongue(self) -> Tongue {
        match self {
            Self::Headwater => Tongue::Native,
            Self::Nats => Tongue::Nats,
            Self::Feed | Self::Plain | Self::Node => Tongue::Lines,
            Self::JetStream => Tongue::JetStream,
            Self::NodeSse => Tongue::Sse,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Headwater => "headwater",
            Self::Nats => "nats-server",
            Self::Feed => "tungstenite, feed",
            Self::Plain => "tungstenite, send",
            Self::Node => "node ws",
            Self::JetStream => "JetStream, file",
            Self::NodeSse => "node http",
        })
    }
}

/// How the daemon keeps history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Durability {
    /// In a file, written some time.
    Memory,
    /// In a file, within 100 ms.
    Flush,
    /// In a file, synced before a publish is acknowledged.
    Durable,
}

impl Durability {
    /// All, the least costly first.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Flush, Self::Durable];

    /// Its name in the config.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Flush => "flush",
            Self::Durable => "durable",
        }
    }
}

/// What one scenario wants of the daemon's config; its peers have no such choices.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The least time between two writes to one client.
    pub flush_interval: Duration,
    /// `None`: without history, as its peers are.
    pub history: Option<Durability>,
}

impl Settings {
    /// The daemon's config: no sources, and limits out of the way of one loud publisher.
    pub(crate) fn config(&self, knows_history: bool) -> String {
        let flush = self.flush_interval.as_millis();
        let history = match self.history {
            Some(durability) => format!(
                "\n[history]\ndurability = \"{}\"\nflush_interval = \"100ms\"\n\n[history.retention]\nsize = \"1GiB\"\n",
                durability.name()
            ),
            None if knows_history => "\n[history]\nenabled = false\n".to_owned(),
            None => String::new(),
        };
        format!(
            "[gateway]\nmax_connections = 20000\nmax_message_bytes = \"1MiB\"\nflush_interval = \"{flush}ms\"\n\n\
             [gateway.limits]\nmessages_per_second = 1000000\nmessage_burst = 1000000\nframes_per_second = 1000000\n\n\
             [log]\nlevel = \"warn\"\n{history}"
        )
    }
}

/// A running server; dropping it ends it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    state: tempfile::TempDir,
}

impl Server {
    /// Starts a server and waits until it listens.
    pub fn start(kind: Kind, programs: &Programs, settings: &Settings) -> io::Result<Self> {
        // Beside what is built: that is a disk, which the system's own place for such things may not be.
        std::fs::create_dir_all(&programs.scratch)?;
        let (address, state) = (free_address()?, tempfile::tempdir_in(&programs.scratch)?);
        let command = match kind {
            Kind::Headwater => {
                // In a folder of its own: the daemon watches the folder of its config, and stores in the other.
                let config = state.path().join("config/headwater.toml");
                std::fs::create_dir_all(config.with_file_name(""))?;
                std::fs::write(&config, settings.config(programs.knows_history))?;
                daemon(&programs.daemon, address, &config, state.path())
            }
            Kind::Plain | Kind::Feed => {
                let mut command = Command::new(&programs.plain);
                command.arg("--listen").arg(address.to_string()).args((kind == Kind::Feed).then_some("--feed"));
                command
            }
            Kind::Node | Kind::NodeSse => {
                let mut command = Command::new("node");
                let server = if kind == Kind::Node { "broadcast.mjs" } else { "sse.mjs" };
                command.arg(programs.peer(server)).arg(address.port().to_string());
                command
            }
            Kind::Nats | Kind::JetStream => {
                let config = state.path().join("nats.conf");
                let (port, store) = (address.port(), state.path().join("jetstream"));
                let rest = if kind == Kind::JetStream {
                    format!("port: {port}\njetstream {{ store_dir: \"{}\" }}\n", store.display())
                } else {
                    // Its own port is any free one: all talk is over WebSocket.
                    format!("port: -1\nwebsocket {{ host: 127.0.0.1, port: {port}, no_tls: true }}\n")
                };
                std::fs::write(&config, format!("host: 127.0.0.1\n{rest}"))?;
                let mut command = Command::new(programs.peer("nats-server"));
                command.arg("--config").arg(config);
                command
            }
        };
        Self::spawn(command, address, state)
    }

    /// Starts the daemon with a config of the caller's, whatever it holds.
    pub fn daemon(programs: &Programs, config: &Path) -> io::Result<Self> {
        let (address, state) = (free_address()?, tempfile::tempdir()?);
        Self::spawn(daemon(&programs.daemon, address, config, state.path()), address, state)
    }

    /// Starts a program that listens at an address of [`free_address`]. What it keeps in this directory ends with it.
    pub fn spawn(mut command: Command, address: SocketAddr, state: tempfile::TempDir) -> io::Result<Self> {
        let log = File::create(state.path().join("log"))?;
        // What the caller's shell has set for its own daemon is not meant for this one.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HEADWATER_")) {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().map_err(|error| {
            let program = Path::new(command.get_program()).display();
            io::Error::other(format!("cannot start {program}: {error}; build it in release first"))
        })?;
        let mut server = Self { child, address, state };
        server.wait()?;
        Ok(server)
    }

    fn wait(&mut self) -> io::Result<()> {
        let began = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("the server ended with {status}:\n{}", self.log())));
            }
            if began.elapsed() > START {
                return Err(io::Error::other(format!("the server does not listen:\n{}", self.log())));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Ends it as it wants to be ended: it takes away what it has set elsewhere.
    pub fn stop(mut self) -> io::Result<()> {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::TERM)?;
        let began = Instant::now();
        while self.child.try_wait()?.is_none() {
            if began.elapsed() > START {
                return Err(io::Error::other(format!("the server does not end:\n{}", self.log())));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// CPU time of all its threads so far.
    pub fn cpu(&self) -> io::Result<Duration> {
        process::cpu(self.child.id())
    }

    /// Its resident memory, in bytes.
    pub fn resident(&self) -> io::Result<u64> {
        process::resident(self.child.id())
    }

    /// Where it keeps what it stores.
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    /// What it has written.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.state.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It holds nothing that would be worth a graceful end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn daemon(program: &Path, address: SocketAddr, config: &Path, state: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["up", "--log-format", "json", "--listen"]).arg(address.to_string());
    command.arg("--config").arg(config).arg("--state-dir").arg(state);
    command
}

/// An address taken and given back: nobody else gets it in the moment until the server binds it.
pub fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
