//! A running source, and all that a test does to it.

use headwater_plugin_mcp::Mcp;
use headwater_testkit::prelude::*;
use std::{
    path::{Path, PathBuf},
    process::{Child, Command},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long a test waits for what it expects. Far above what anything here needs, on a machine that is busy as well.
const PATIENCE: Duration = Duration::from_mins(1);

/// The source, and a directory that is a project to it.
pub(crate) struct World {
    pub(crate) run: Run,
    pub(crate) dir: TempDir,
    seen: Vec<TestEvent>,
}

impl World {
    /// A source without servers of its own.
    pub(crate) fn new() -> Self {
        Self::with(|_| json!({}))
    }

    /// A source with these settings. It asks often, and reads no file of whoever runs the test.
    pub(crate) fn with(settings: impl FnOnce(&Path) -> Value) -> Self {
        let dir = TempDir::new().unwrap();
        let mut all = json!({
            "interval": "100ms", "deadline": "10s", "handshake": "60s", "sweep": "100ms",
            "discovery": { "home": "", "projects": [dir.path()] },
        });
        for (key, value) in settings(dir.path()).as_object().unwrap() {
            all[key] = value.clone();
        }
        Self { run: Testkit::start::<Mcp>(all), dir, seen: Vec::new() }
    }

    /// A source with one server of its own, `one`, of these arguments.
    pub(crate) fn server(args: &[&str]) -> Self {
        Self::with(|_| json!({ "servers": { "one": python(args) } }))
    }

    /// A file in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The next event for which this holds, with patience.
    pub(crate) async fn next(&mut self, what: &str, wanted: impl Fn(&TestEvent) -> bool) -> TestEvent {
        let deadline = Instant::now() + PATIENCE;
        loop {
            for event in self.run.events() {
                self.seen.push(event);
            }
            if let Some(at) = self.seen.iter().position(&wanted) {
                return self.seen.drain(..=at).next_back().unwrap();
            }
            assert!(Instant::now() < deadline, "{what} did not come; {:#?}; {:?}", self.seen, self.run.log());
            tokio::task::yield_now().await;
            // Sleeps because the source is on a thread of its own, and the machine may have but one core.
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The next event of this type.
    pub(crate) async fn kind(&mut self, kind: &str) -> TestEvent {
        self.next(kind, |event| event.kind == kind).await
    }

    /// The next time that the status of a server becomes this.
    pub(crate) async fn becomes(&mut self, status: &str) -> TestEvent {
        self.next(status, |event| {
            event.kind == "mcp_server_status_change" && event.data["status_change"]["to"] == status
        })
        .await
    }

    /// The next state of a server for which this holds.
    pub(crate) async fn state(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.next(what, |event| event.kind == "mcp_server_state" && wanted(&event.data)).await.data
    }

    /// What a command gives.
    pub(crate) async fn ask(&mut self, command: &str, parameters: Value) -> Value {
        self.run.command(command, parameters).await.completed()
    }

    /// What nobody has looked at yet.
    pub(crate) fn rest(&mut self) -> Vec<TestEvent> {
        self.seen.extend(self.run.events());
        std::mem::take(&mut self.seen)
    }

    /// Writes a `.mcp.json` with these servers.
    pub(crate) fn write(&self, servers: &Value) {
        let file = self.path(".mcp.json");
        let new = self.path("new");
        std::fs::write(&new, json!({ "mcpServers": servers }).to_string()).unwrap();
        std::fs::rename(new, file).unwrap();
    }
}

/// The settings of the server of the fixtures, with these arguments.
pub(crate) fn python(args: &[&str]) -> Value {
    let mut all = vec![fixture()];
    all.extend(args.iter().map(|arg| (*arg).to_owned()));
    json!({ "command": "python3", "args": all })
}

/// The settings of a script.
pub(crate) fn sh(script: &str) -> Value {
    json!({ "command": "sh", "args": ["-c", script] })
}

/// The server of the fixtures.
pub(crate) fn fixture() -> String {
    format!("{}/tests/fixtures/server.py", env!("CARGO_MANIFEST_DIR"))
}

/// Sends a signal to a process.
pub(crate) fn signal(pid: &Value, signal: &str) {
    let pid = pid.as_u64().unwrap().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
}

/// Whether a process runs.
pub(crate) fn runs(pid: u64) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').unwrap().1.trim_start().starts_with(['Z', 'X']))
}

/// When a process started, in clock ticks: field 22 of its `stat`.
pub(crate) fn started(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap().parse().unwrap()
}

/// Waits for a fact.
pub(crate) async fn until(what: &str, fact: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !fact() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::task::yield_now().await;
        // Sleeps because what is waited for happens in other processes.
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A process of the test. It ends with it.
pub(crate) struct Program(Child);

impl Program {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    pub(crate) fn sleeping() -> Self {
        Self::start(Command::new("sleep").arg("600"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// As wrappers and hooks name it.
    pub(crate) fn id(&self) -> Value {
        json!({ "pid": self.pid(), "started": started(self.pid()) })
    }

    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
