//! A world: a directory with a config, and a daemon that runs on it.

use crate::{
    Client, Tmux,
    built::{built, headwater_bin},
    http::{Answer, request},
    process::pid_of,
    wait::{PATIENCE, eventually},
};
use serde_json::Value;
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::{Arc, Mutex},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    task::JoinSet,
    time::timeout,
};

/// What a world is made of, before it starts.
pub struct World {
    directory: TempDir,
    config: String,
    environment: Vec<(String, String)>,
    under: Vec<String>,
}

impl World {
    /// An empty one: a daemon without sources.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory for the world");
        fs::create_dir(directory.path().join("sources.d")).expect("a directory for sources");
        Self { directory, config: String::new(), environment: Vec::new(), under: Vec::new() }
    }

    /// Adds lines to the config.
    #[must_use]
    pub fn config(mut self, text: &str) -> Self {
        self.config.push_str(text);
        self.config.push('\n');
        self
    }

    /// Sets a variable in the environment of everything that runs in it.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the daemon by another program, which becomes it: `setpriv`, `unshare`.
    #[must_use]
    pub fn under(mut self, program: &[&str]) -> Self {
        self.under = program.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// A path in its directory, which exists before it starts.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Adds a plugin as a source, with its settings as lines of TOML.
    #[must_use]
    pub fn plugin(self, name: &str, file: &Path, settings: &str) -> Self {
        let file = file.display();
        self.config(&format!("[source.{name}]\nplugin = \"{file}\"\n{settings}"))
    }

    /// Adds the source `tmux` for a server, with further settings as lines of TOML. The FIFO of its hooks stands in `run`.
    #[must_use]
    pub fn tmux(self, tmux: &Tmux, settings: &str) -> Self {
        let run = self.path("run");
        fs::create_dir_all(&run).expect("the world's directory can be written");
        let socket = tmux.socket();
        self.env("XDG_RUNTIME_DIR", &run.to_string_lossy()).plugin(
            "tmux",
            &built("libheadwater_plugin_tmux.so"),
            &format!("socket = \"{}\"\n{settings}", socket.display()),
        )
    }

    /// Starts the daemon and waits until it listens.
    pub async fn start(self) -> Daemon {
        let daemon = Daemon::prepare(self);
        daemon.run().await
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// A running daemon and its world.
pub struct Daemon {
    directory: TempDir,
    environment: Vec<(String, String)>,
    under: Vec<String>,
    address: SocketAddr,
    child: Option<Child>,
    log: Arc<Mutex<String>>,
    readers: JoinSet<()>,
}

impl Daemon {
    fn prepare(World { directory, config, environment, under }: World) -> Self {
        fs::write(directory.path().join("headwater.toml"), config).expect("the world's directory can be written");
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { directory, environment, under, address, child: None, log: Arc::default(), readers: JoinSet::new() }
    }

    async fn run(mut self) -> Self {
        let address = self.address.to_string();
        let mut command = match self.under.split_first() {
            None => self.command(&[]),
            Some((program, arguments)) => {
                let mut command = self.at_home(Command::new(program));
                command.args(arguments).arg(headwater_bin());
                command
            }
        };
        command.args(["up", "--listen", &address, "--config"]);
        command.arg(self.path("headwater.toml")).arg("--state-dir").arg(self.path("state"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the daemon starts");
        let stderr = child.stderr.take().expect("it was asked for");
        self.readers.spawn(collect(stderr, self.log.clone()));
        let mut lines = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
        let listening = timeout(PATIENCE, async {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(rest) = line.split("http://").nth(1) {
                    return rest.split_whitespace().next().and_then(|address| address.parse().ok());
                }
            }
            None
        });
        let address = listening.await.expect("the daemon listens in time");
        self.address = address.unwrap_or_else(|| panic!("the daemon did not start:\n{}", self.log()));
        // Its standard output stays open: a closed one would be another world.
        self.readers.spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        self.child = Some(child);
        self
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A path in its world.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The daemon's process.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().and_then(Child::id).expect("the daemon runs")
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.log.lock().expect("no reader panics").clone()
    }

    /// A `headwater` command in this world, with its own home and the daemon's address.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.at_home(Command::new(headwater_bin()));
        command.args(arguments);
        command
    }

    fn at_home(&self, mut command: Command) -> Command {
        command.current_dir(self.directory.path()).stdin(Stdio::null()).kill_on_drop(true);
        command.env("HOME", self.directory.path()).env("HEADWATER_URL", format!("http://{}", self.address));
        for variable in [
            "XDG_CONFIG_HOME",
            "XDG_DATA_HOME",
            "XDG_STATE_HOME",
            "HEADWATER_CONFIG",
            "HEADWATER_TOKEN",
            "RUST_BACKTRACE",
        ] {
            command.env_remove(variable);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a `headwater` command to its end.
    pub async fn headwater(&self, arguments: &[&str]) -> Output {
        let output = timeout(PATIENCE, self.command(arguments).output());
        output.await.expect("the command ends in time").expect("the command runs")
    }

    /// A connection to its stream.
    pub async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        request(self.address, "GET", path, &[], "").await
    }

    /// `POST`.
    pub async fn post(&self, path: &str, content_type: &str, body: &str) -> Answer {
        request(self.address, "POST", path, &[("content-type", content_type)], body).await
    }

    /// Any request.
    pub async fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        request(self.address, method, path, headers, body).await
    }

    /// One source as `GET /v1/sources` tells of it.
    pub async fn source(&self, name: &str) -> Option<Value> {
        let sources = self.get("/v1/sources").await.json();
        sources["sources"].as_array()?.iter().find(|source| source["name"] == name).cloned()
    }

    /// Waits until a source is in this state.
    pub async fn source_is(&self, name: &str, state: &str) -> Value {
        let what = format!("source {name} is {state}");
        eventually(&what, async || self.source(name).await.filter(|source| source["state"] == state)).await
    }

    /// The process of a source.
    pub async fn source_pid(&self, name: &str) -> Option<u32> {
        pid_of(&self.get("/v1/sources").await.json(), name)
    }

    /// Writes a file of its world the way editors do: beside it, then renamed over it.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        let beside = path.with_extension("new");
        fs::write(&beside, text).and_then(|()| fs::rename(&beside, &path)).expect("the world can be written");
    }

    /// What a file of its world holds.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("the file is there")
    }

    /// Sends a signal: `TERM`, `HUP`, `INT`.
    pub async fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status();
        assert!(status.await.expect("kill runs").success(), "the daemon runs");
    }

    /// Waits for the daemon's end; its exit code.
    pub async fn ended(&mut self) -> Option<i32> {
        let mut child = self.child.take().expect("the daemon runs");
        let status = timeout(PATIENCE, child.wait()).await.expect("the daemon ends in time");
        status.expect("its end can be awaited").code()
    }

    /// Starts it again on the same address.
    pub async fn again(self) -> Self {
        assert!(self.child.is_none(), "a daemon that runs is not started again");
        self.run().await
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log());
        }
    }
}

async fn collect(stderr: impl AsyncRead + Unpin, log: Arc<Mutex<String>>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut log = log.lock().expect("no reader panics");
        log.push_str(&line);
        log.push('\n');
    }
}
