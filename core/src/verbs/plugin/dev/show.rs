//! What the plugin does, line by line: its events, and what the daemon says of it.

use serde_json::Value;
use std::process::Stdio;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

/// The longest piece of an event's data that is shown.
const MOST_DATA: usize = 160;

/// A subscription of ours, by the same command that people use.
pub(super) struct Show {
    name: String,
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Show {
    /// Subscribes to everything; what is not of this source is passed over.
    pub(super) fn start(globals: &headwater_cli::Globals, name: &str) -> Result<Self, String> {
        let cannot = |error: std::io::Error| format!("cannot run `headwater sub`: {error}");
        let mut command = Command::new(std::env::current_exe().map_err(cannot)?);
        command.args(["sub", "*", "--json", "--source", name, "--source", "headwater", "--url", &globals.url]);
        if let Some(token) = &globals.token {
            command.env("HEADWATER_TOKEN", token);
        }
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn().map_err(cannot)?;
        let stdout = child.stdout.take().ok_or("cannot read what `headwater sub` writes")?;
        Ok(Self { name: name.to_owned(), lines: BufReader::new(stdout).lines(), _child: child })
    }

    /// The next line to show.
    pub(super) async fn next(&mut self) -> Result<String, String> {
        loop {
            let line = self.lines.next_line().await.map_err(|error| error.to_string())?;
            let line = line.ok_or("the daemon has gone")?;
            if let Ok(event) = serde_json::from_str(&line)
                && let Some(line) = self.line(&event)
            {
                return Ok(line);
            }
        }
    }

    fn line(&self, event: &Value) -> Option<String> {
        let data = &event["data"];
        let kind = event["type"].as_str()?;
        if event["channel"] != "system_events" {
            let mut data = data.to_string();
            if let Some((cut, _)) = data.char_indices().nth(MOST_DATA) {
                data.truncate(cut);
                data.push('…');
            }
            return Some(format!("{kind} {}", headwater_cli::visible(&data)));
        }
        if let Some(errors) = data["errors"].as_array().filter(|_| kind == "config.refused") {
            let message = |error: &Value| {
                let (file, line) = (error["file"].as_str().unwrap_or_default(), &error["line"]);
                format!("{file}:{line}: {}", error["message"].as_str().unwrap_or_default())
            };
            let messages: Vec<String> = errors.iter().map(message).collect();
            return Some(format!("the daemon does not take the config: {}", messages.join("; ")));
        }
        if data["source"] != self.name.as_str() {
            return None;
        }
        let reason = data["reason"].as_str().map_or_else(String::new, |reason| format!(": {reason}"));
        Some(format!("{kind}{reason}"))
    }
}
