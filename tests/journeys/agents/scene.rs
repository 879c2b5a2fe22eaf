//! A scene: a daemon that watches a tmux server and hears hooks, an agent with those hooks, its model, and the story.

use super::{
    Program,
    program::model,
    story::{Story, Word},
};
use expect_test::ExpectFile;
use headwater_tests::{Client, Daemon, Tmux, World, built};
use serde_json::{Value, json};
use std::{
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// How long an agent may take to draw something: they are large, and machines are busy.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a hook may take here, in milliseconds. In the usual 50 ms a machine that is busy with other tests would lose reports, as
/// is promised; more than this, and Codex gives a hook up.
const WITHIN_MS: &str = "2500";

/// How long a part of the story may take. Panes tell something all the time, so that waiting for events alone would not end.
const PART: Duration = Duration::from_mins(2);

/// Agents and all that is around them. What is typed and seen is typed and seen in the pane of the one that was started last.
pub(super) struct Scene {
    daemon: Daemon,
    client: Client,
    tmux: Tmux,
    model: Model,
    story: Story,
    settled: Vec<Program>,
    program: Program,
    pane: String,
}

impl Scene {
    /// No agent runs yet.
    pub(super) async fn new() -> Self {
        let tmux = Tmux::start().await;
        let world = World::new().tmux(&tmux, "").plugin("agents", &built("libheadwater_plugin_agents.so"), "");
        let daemon = world.start().await;
        let model = Model::start().await;
        for name in ["home", "project"] {
            std::fs::create_dir(daemon.path(name)).unwrap();
        }
        let mut client = daemon.client().await;
        client.subscribe_with(json!({"channels": ["agent", "task", "tmux"], "from": "earliest"})).await;
        client.next_of("tmux.mode").await;
        let (story, settled, program, pane) = (Story::default(), Vec::new(), Program::Claude, String::new());
        Self { daemon, client, tmux, model, story, settled, program, pane }
    }

    /// What comes now is a new part of the story.
    pub(super) fn part(&mut self, heading: &str) {
        self.story.part(heading);
    }

    /// Starts an agent in a window of its own, in an environment that holds nothing of this machine's user. Before it starts
    /// for the first time it gets its settings and its hooks.
    pub(super) async fn start(&mut self, program: Program) {
        self.program = program;
        let mut variables = program.variables(&self.daemon, &self.model.url);
        let project = self.daemon.path("project").display().to_string();
        if !self.settled.contains(&program) {
            self.settled.push(program);
            program.settle(&self.daemon, &project, &self.model.url);
            let mut install = self.daemon.command(&["hook", "install", program.name(), "--within-ms", WITHIN_MS]);
            let installed = install.envs(variables.iter().map(|(name, value)| (*name, value))).output().await.unwrap();
            assert!(installed.status.success(), "{installed:?}");
        }
        let home = self.daemon.path("home").display().to_string();
        variables.extend([("HOME", home), ("LANG", "C.UTF-8".to_owned()), ("SHELL", "/bin/sh".to_owned())]);
        let kept = ["PATH", "TERM", "TMUX", "TMUX_PANE"].map(|name| format!("{name}=\"${name}\"")).join(" ");
        let variables = variables.iter().map(|(name, value)| format!("'{name}={value}'")).collect::<Vec<_>>().join(" ");
        let line = format!("exec env -i {kept} {variables} {}", program.command().join(" "));
        let window = ["new-window", "-P", "-F", "#{pane_id}", "-c", &project, "sh", "-c", &line];
        self.pane = self.tmux.run(&window).await;
    }

    /// Waits until this stands on the agent's screen.
    pub(super) async fn shows(&self, text: &str) {
        self.look(text, None).await;
    }

    /// Presses a key that may be pressed again, until this stands on the agent's screen.
    pub(super) async fn presses_until(&self, key: &str, text: &str) {
        self.look(text, Some(key)).await;
    }

    async fn look(&self, text: &str, key: Option<&str>) {
        let begun = Instant::now();
        loop {
            let screen = self.tmux.run(&["capture-pane", "-p", "-t", &self.pane]).await.replace('\u{a0}', " ");
            if screen.contains(text) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "gave up waiting for {text:?} on the screen:\n{screen}");
            if let Some(key) = key {
                self.presses(key).await;
            }
            // Sleeps because a screen does not tell when it changes.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the agent is ready for a prompt.
    pub(super) async fn ready(&self) {
        self.shows(self.program.ready()).await;
    }

    /// Waits until the agent asks whether it may run its command.
    pub(super) async fn asks(&self) {
        self.shows(self.program.asks()).await;
    }

    /// Presses a key, by tmux's name for it.
    pub(super) async fn presses(&self, key: &str) {
        self.tmux.run(&["send-keys", "-t", &self.pane, key]).await;
    }

    /// Gives the agent a line, as people paste one, and Enter once it stands there.
    pub(super) async fn says(&self, line: &str) {
        self.tmux.run(&["set-buffer", "--", line]).await;
        self.tmux.run(&["paste-buffer", "-p", "-d", "-t", &self.pane]).await;
        self.shows(&format!("{} {line}", self.program.sign())).await;
        self.presses("Enter").await;
    }

    /// Ends the agent's process, as the kernel does when memory is short.
    pub(super) async fn kill(&self) {
        let pid = self.tmux.run(&["display-message", "-p", "-t", &self.pane, "#{pane_pid}"]).await;
        assert!(Command::new("kill").args(["-9", &pid]).status().await.unwrap().success());
    }

    /// Reads on until all of these have been told, in any order.
    pub(super) async fn until(&mut self, awaited: &[Word<'_>]) {
        let mut awaited = awaited.to_vec();
        let begun = Instant::now();
        while !awaited.is_empty() {
            assert!(begun.elapsed() < PART, "gave up waiting for {awaited:?}");
            let event = self.client.next().await;
            let before = awaited.len();
            awaited.retain(|word| !word.is(&event));
            // What is seen in a pane may be over too soon to be seen: of that, only what is awaited belongs to the story.
            if event["type"] != "agent.status" || awaited.len() < before {
                self.story.tell(&event);
            }
        }
    }

    /// The agents as the source knows them.
    pub(super) async fn agents(&self) -> Vec<Value> {
        let output = self.daemon.headwater(&["agents"]).await;
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The agent's pane.
    pub(super) fn pane(&self) -> &str {
        &self.pane
    }

    /// The tmux server.
    pub(super) fn tmux(&self) -> &Tmux {
        &self.tmux
    }

    /// The daemon and its world.
    pub(super) fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// Compares the story with the golden one.
    pub(super) fn is(&self, golden: &ExpectFile) {
        golden.assert_eq(&self.story.to_string());
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut tmux = std::process::Command::new("tmux");
            tmux.arg("-S").arg(self.tmux.socket()).args(["capture-pane", "-p", "-t", &self.pane]);
            let screen = tmux.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
            eprintln!("the story so far:\n{}\nthe screen:\n{}", self.story, screen.unwrap_or_default());
        }
    }
}

/// The model.
struct Model {
    url: String,
    _process: Child,
}

impl Model {
    async fn start() -> Self {
        let mut python = Command::new("python3");
        // It ends with its standard input, so also when this test is killed.
        python.arg(model()).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = python.spawn().expect("Python is installed");
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        let url = said.next_line().await.unwrap().expect("the model says where it listens");
        Self { url, _process: process }
    }
}
