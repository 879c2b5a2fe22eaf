//! What the real programs said to a real tmux, recorded and given to a pane again: the statuses that come of it stand
//! between the lines of the recordings, after `=>`. `UPDATE_EXPECT=1` writes them anew; read what changed.
//!
//! A recording has, with its second, what was run, titles, operating system commands, moments of output (one a second at
//! most) and the last lines of the screen whenever they changed. Of a spinner in the title, one turn a second is kept.

use super::{process, shipped};
use crate::watch::{Change, Observation, PaneAgent, Process};
use std::{
    fmt::Write,
    fs,
    path::Path,
    time::{Duration, Instant},
};

struct Replay {
    pane: PaneAgent,
    start: Instant,
    now: Instant,
    /// What the screen says, for when the pane wants to know.
    screen: String,
    /// The recording, with what is said about it.
    written: String,
}

impl Replay {
    fn new() -> Self {
        let start = Instant::now() + Duration::from_hours(1);
        Self { pane: PaneAgent::new(shipped()), start, now: start, screen: String::new(), written: String::new() }
    }

    /// Until then, the pane is asked whenever it wants to be, as the source does.
    fn pass(&mut self, until: Instant) {
        while let Some(due) = self.pane.due(self.now).filter(|due| *due <= until) {
            self.now = due.max(self.now);
            let change = self.pane.observe(Observation::Nothing, self.now);
            self.say(change);
            self.look();
        }
        self.now = until;
    }

    fn see(&mut self, observation: Observation<'_>) {
        let change = self.pane.observe(observation, self.now);
        self.say(change);
        self.look();
    }

    /// Reads the screen again if the pane wants to know it.
    fn look(&mut self) {
        if let Some(lines) = self.pane.wants_tail(self.now).filter(|_| !self.screen.is_empty()) {
            let from = self.screen.trim_end().rmatch_indices('\n').nth(lines - 1).map_or(0, |(at, _)| at + 1);
            let change = self.pane.observe(Observation::Tail(&self.screen[from..]), self.now);
            assert_eq!(self.pane.wants_tail(self.now), None, "it was told");
            self.say(change);
        }
    }

    fn say(&mut self, change: Option<Change>) {
        let Some(change) = change else { return };
        let seconds = self.now.duration_since(self.start).as_secs_f64();
        let rule = change.rule.map(|rule| format!(" by {rule}")).unwrap_or_default();
        let from = change.from.map(|from| format!(" from {}", from.as_str())).unwrap_or_default();
        writeln!(self.written, "=> {seconds:.3} {}{from}{rule}", change.status.as_str()).unwrap();
    }

    fn run(mut self, recording: &str) -> String {
        let mut lines = recording.lines().filter(|line| !line.starts_with("=>")).peekable();
        while let Some(line) = lines.next() {
            if line.starts_with('#') {
                writeln!(self.written, "{line}").unwrap();
                continue;
            }
            let (at, what) = line.split_once(' ').unwrap();
            self.pass(self.start + Duration::from_secs_f64(at.parse().unwrap()));
            writeln!(self.written, "{line}").unwrap();
            let (what, text) = what.split_once(' ').unwrap_or((what, ""));
            match what {
                "run" => {
                    let argv: Vec<&str> = text.split(' ').collect();
                    let process = Process { age: Some(Duration::ZERO), ..process(&shipped(), 7, &argv) };
                    assert!(process.agent.is_some(), "{line}");
                    self.see(Observation::Foreground(Some(&process)));
                }
                "gone" => self.see(Observation::Foreground(None)),
                "title" => self.see(Observation::Title(text)),
                "osc" => {
                    let (code, text) = text.split_once(';').unwrap();
                    self.see(Observation::Osc(code.parse().unwrap(), text));
                }
                "output" => self.see(Observation::Output),
                "tail" => {
                    self.screen.clear();
                    while let Some(shown) = lines.next_if(|line| line.starts_with('|')) {
                        writeln!(self.written, "{shown}").unwrap();
                        writeln!(self.screen, "{}", shown.get(2..).unwrap_or_default()).unwrap();
                    }
                    // The screen changes by output.
                    self.see(Observation::Output);
                }
                _ => panic!("{line}"),
            }
        }
        self.pass(self.now + Duration::from_secs(20));
        self.written
    }
}

#[track_caller]
fn replay(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/watch/tests/recordings").join(name);
    let recording = fs::read_to_string(&path).unwrap();
    let written = Replay::new().run(&recording);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &written).unwrap();
    }
    let statuses = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with("=>") || line.starts_with("# "));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(statuses(&written), statuses(&recording), "{name}");
    assert_eq!(written, recording, "{name}");
}

#[test]
fn claude_code() {
    replay("claude.txt");
}

/// In forty columns, and with its titles switched off: only the screen is left.
#[test]
fn claude_code_without_titles_in_a_narrow_pane() {
    replay("claude-narrow.txt");
}

#[test]
fn codex() {
    replay("codex.txt");
}

/// It says nothing outside its screen.
#[test]
fn opencode() {
    replay("opencode.txt");
}

#[test]
fn gemini() {
    replay("gemini.txt");
}
