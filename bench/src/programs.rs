//! Where the programs are that a benchmark starts: our own beside it, the peers where `cargo xtask bench` has put them.
//! Every benchmark takes its options from here.

use crate::server::{Kind, Settings};
use std::{
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Options that say where things are.
#[derive(Clone, Debug, clap::Args)]
pub struct Places {
    /// The daemon [default: `headwater` beside this program]
    #[arg(long, value_name = "PATH")]
    daemon: Option<PathBuf>,
    /// Where nats-server and the Node servers are; `cargo xtask bench` fetches them [default: `../peers` from this program]
    #[arg(long, value_name = "PATH")]
    peers: Option<PathBuf>,
}

/// The programs.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `headwater`.
    pub daemon: PathBuf,
    /// `plain`.
    pub plain: PathBuf,
    /// Whether this daemon knows `[history]`.
    pub knows_history: bool,
    /// Where servers keep what they store, each in a directory that ends with it.
    pub scratch: PathBuf,
    peers: PathBuf,
}

impl Programs {
    /// Looks for them.
    pub fn find(places: &Places) -> io::Result<Self> {
        let here = std::env::current_exe()?;
        let daemon = places.daemon.clone().unwrap_or_else(|| here.with_file_name("headwater"));
        let target = here.parent().and_then(Path::parent).unwrap_or(Path::new("."));
        let peers = places.peers.clone().unwrap_or_else(|| target.join("peers"));
        let knows_history = knows_history(&daemon)?;
        let scratch = target.join("tmp/bench");
        Ok(Self { daemon, plain: here.with_file_name("plain"), knows_history, scratch, peers })
    }

    /// A file of the peers.
    pub fn peer(&self, name: &str) -> PathBuf {
        self.peers.join(name)
    }

    /// Those of the servers that can be started. The others are named, so that nobody misses them unaware.
    pub fn present(&self, wanted: &[Kind]) -> Vec<Kind> {
        let (here, missing): (Vec<Kind>, Vec<Kind>) = wanted.iter().partition(|kind| self.has(**kind));
        for kind in missing {
            println!("{kind} is not here and is left out; `cargo xtask bench` fetches what it can");
        }
        here
    }

    fn has(&self, kind: Kind) -> bool {
        match kind {
            Kind::Headwater => self.daemon.exists(),
            Kind::Plain | Kind::Feed => self.plain.exists(),
            Kind::Node => self.peer("node_modules/ws/package.json").exists(),
            Kind::NodeSse => self.peer("sse.mjs").exists(),
            Kind::Nats | Kind::JetStream => self.peer("nats-server").exists(),
        }
    }
}

/// Asks the daemon's own check. An older one does not know the section, and then has no history to switch off.
fn knows_history(daemon: &Path) -> io::Result<bool> {
    let directory = tempfile::tempdir()?;
    let config = directory.path().join("headwater.toml");
    std::fs::write(&config, Settings::default().config(true))?;
    let mut command = Command::new(daemon);
    command.arg("check").arg("--config").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().map(|status| status.success()).map_err(|error| {
        io::Error::other(format!("cannot start {}: {error}; build it in release first", daemon.display()))
    })
}
