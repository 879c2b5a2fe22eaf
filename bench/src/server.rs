//! The servers under test, as child processes: started, waited for, measured, ended.

use crate::process;
use std::{
    fmt,
    fs::File,
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
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
    /// tokio-tungstenite with a queue for each client, a `send` for each message.
    Plain,
    /// The same with `feed` and one flush for what waits.
    Feed,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Headwater => "headwater",
            Self::Plain => "plain",
            Self::Feed => "feed",
        })
    }
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `headwater`.
    pub daemon: PathBuf,
    /// The config that the daemon is started with.
    pub config: PathBuf,
    /// `plain`.
    pub plain: PathBuf,
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
    pub fn start(kind: Kind, programs: &Programs) -> io::Result<Self> {
        // Taken and given back: nobody else gets it in the moment until the server binds it.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let state = tempfile::tempdir()?;
        let log = File::create(state.path().join("log"))?;
        let mut command = match kind {
            Kind::Headwater => {
                let mut command = Command::new(&programs.daemon);
                command.args(["up", "--log-format", "json", "--listen"]).arg(address.to_string());
                command.arg("--config").arg(&programs.config).arg("--state-dir").arg(state.path());
                command
            }
            Kind::Plain | Kind::Feed => {
                let mut command = Command::new(&programs.plain);
                command.arg("--listen").arg(address.to_string());
                if kind == Kind::Feed {
                    command.arg("--feed");
                }
                command
            }
        };
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
