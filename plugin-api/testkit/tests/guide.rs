//! The plugin guide says what is true: its programs stand elsewhere in this repository and run there, and the source that it
//! declares and tests is this one. (Its other examples are compiled as documentation of the SDK.)
#![allow(clippy::unwrap_used)] // all of it is a test

use headwater_plugin::prelude::*;
use headwater_testkit::prelude::*;
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, Command as Process, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

/// What a program of the guide may take for one line. Far above what it needs.
const PATIENCE: Duration = Duration::from_secs(20);

#[config]
struct Config {
    mount: String,
    every: Period,
}

#[config]
struct SetInterval {
    every: Period,
}

struct Disk;

impl Source for Disk {
    type Config = Config;

    async fn run(mut config: Config, mut ctx: Context) -> Result<()> {
        while let Some(turn) = ctx.every(config.every).await {
            let data = json!({ "used_percent": 61 });
            match turn.command() {
                None => ctx.retain("disk", "disk.usage", &config.mount, &data).await?,
                Some(command) if command.name == "set_interval" => {
                    config.every = command.parse::<SetInterval>()?.every;
                    command.complete(());
                }
                Some(command) => command.complete(&data),
            }
        }
        Ok(())
    }
}

// the guide: declaring
export_source!(Disk {
    emits: ["disk", "disk:*"],
    reads: ["agents"],
    commands: [
        /// Looks at once.
        measure,
        /// Changes how often the source looks.
        set_interval: SetInterval,
        /// Removes old files.
        clean(operate),
    ],
});
// the guide: end

// the guide: testing
#[tokio::test]
async fn it_measures_when_it_is_asked() {
    let mut run = Testkit::start::<Disk>(json!({ "mount": "/", "every": "1h" }));
    let event = run.next_event().await;
    assert_eq!(event.kind, "disk.usage");
    assert_eq!(run.snapshot("disk", "/"), Some(event));
    let answers = run.command("measure", json!({})).await;
    assert!(answers.completed()["used_percent"].is_number());
    assert_eq!(run.stop().await, Outcome::Stopped);
}
// the guide: end

#[tokio::test]
async fn the_declared_source_is_what_the_guide_says() {
    let mut run = Testkit::start::<Disk>(json!({ "mount": "/", "every": "1h" }));
    let commands = run.manifest()["commands"].clone();
    assert_eq!(commands[0], json!({ "name": "measure", "permission": "control", "description": "Looks at once." }));
    assert_eq!(commands[2]["permission"], "operate");
    run.command("set_interval", json!({ "every": "1ms" })).await.completed();
    run.next_event().await;
    run.next_event().await;
}

fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The guide's blocks in this language.
fn blocks(language: &str) -> Vec<String> {
    let guide = read("docs/plugin-guide.md");
    let mut found = Vec::new();
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        if let Some(tag) = line.strip_prefix("```").filter(|tag| !tag.is_empty()) {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            if tag.split(',').next() == Some(language) {
                found.push(body.join("\n") + "\n");
            }
        }
    }
    found
}

#[test]
fn the_whole_plugin_of_the_guide_is_the_template_and_has_at_most_25_lines() {
    let template = read("plugins/template/src/lib.rs");
    assert_eq!(blocks("rust")[0], template, "docs/plugin-guide.md shows another file than `plugin new` writes");
    let lines = template.lines().filter(|line| !line.trim().is_empty()).count();
    assert!(lines <= 25, "the template has {lines} lines that are not blank");
    let manifest = read("plugins/template/Cargo.toml");
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split('[').next().unwrap();
    assert_eq!(dependencies.trim().lines().count(), 1, "one dependency is enough: {dependencies}");
}

#[test]
fn what_the_guide_declares_and_tests_is_in_this_file() {
    let here = read("plugin-api/testkit/tests/guide.rs");
    let shown = blocks("rust");
    for name in ["declaring", "testing"] {
        let region = here.split(&format!("// the guide: {name}\n")).nth(1).unwrap();
        let region = region.split("// the guide: end\n").next().unwrap();
        let shows = shown.iter().any(|block| block.trim_end().ends_with(region.trim_end()));
        assert!(shows, "docs/plugin-guide.md does not show this:\n{region}");
    }
}

/// A program that speaks lines, as the daemon sees it.
struct Program {
    child: Child,
    to: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Program {
    fn start(path: &str) -> Self {
        let mut child = Process::new("python3")
            .arg(repository(path))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || out.lines().map_while(std::io::Result::ok).try_for_each(|line| sender.send(line)));
        Self { to: child.stdin.take(), child, lines }
    }

    fn tell(&mut self, message: &Value) {
        writeln!(self.to.as_ref().unwrap(), "{message}").unwrap();
    }

    fn hear(&self) -> Value {
        serde_json::from_str(&self.lines.recv_timeout(PATIENCE).expect("the program says something")).unwrap()
    }

    fn hear_where(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        std::iter::repeat_with(|| self.hear()).find(wanted).unwrap()
    }

    /// Its exit code and what it wrote to standard error.
    fn end(mut self) -> (Option<i32>, String) {
        drop(self.to.take());
        let output = self.child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[test]
fn the_python_source_of_the_guide_runs() {
    assert_eq!(blocks("python"), [read("tests/exec/clock.py")], "docs/plugin-guide.md shows another file");
    let mut clock = Program::start("tests/exec/clock.py");
    let hello = clock.hear();
    assert_eq!((&hello["headwater"], &hello["emits"]), (&json!(1), &json!(["clock"])));
    clock.tell(&json!({ "kind": "config", "settings": { "every_seconds": 0.01 } }));
    for _ in 0..3 {
        let event = clock.hear();
        assert_eq!((&event["channel"], &event["type"]), (&json!("clock"), &json!("clock.tick")));
        assert!(event["data"]["unix"].as_f64() > Some(1.0e9), "{event}");
    }
    clock.tell(&json!({ "kind": "command", "request": 7, "name": "now", "parameters": {} }));
    assert_eq!(clock.hear_where(|line| line["reply"] == 7)["status"], "completed");
    clock.tell(&json!({ "kind": "heartbeat", "request": 8 }));
    assert_eq!(clock.hear_where(|line| line["reply"] == 8)["status"], "alive");
    clock.tell(&json!({ "kind": "stop" }));
    assert_eq!(clock.end(), (Some(0), "bye\n".into()));
}

#[test]
fn the_python_source_ends_when_its_input_does() {
    let mut clock = Program::start("tests/exec/clock.py");
    clock.hear();
    clock.tell(&json!({ "kind": "config", "settings": {} }));
    clock.hear();
    assert_eq!(clock.end(), (Some(0), "bye\n".into()));
}
