//! `config/headwater.toml`: every option with its explanation and its default, written from the schema.

use crate::outline::{self, Entry, Section};
use std::fmt::Write;

/// The widest comment line.
const WIDTH: usize = 100;

const HEAD: &str = r#"#:schema ./headwater.schema.json

# Headwater's config. `headwater up --config PATH` reads it, and sources.d/*.toml beside it.
#
# Save it while the daemon runs: the changes are applied at once, only the sources that changed are
# started anew, and no client is disconnected. A mistake is explained and changes nothing.
# `headwater check` looks for mistakes, `headwater diff` shows what a reload would change.
#
# Every option stands here with its default. To change one, remove the `#` before it.
# Durations have a unit ("250ms", "5s", "1h 30m"), sizes too ("64KiB", "8MiB").
"#;

const SOURCES: &str = r"
# The sources, each in a table of its own: [source.NAME]. The name stands in events, logs and
# commands. `headwater plugin list` shows the plugins that there are, and
# `headwater plugin inspect NAME` their settings.
";

const METRICS: &str = r#"
# CPU, memory, disk and network of this machine.
[source.metrics]
# A setting of the plugin itself: how often it measures. Others are the names of groups of processes
# (`groups`) and alerts; `headwater plugin inspect metrics` shows them all.
interval = "1s"
# The following keys are the host's; every source has them.
"#;

/// Tables of the plugin stand behind its keys.
const METRICS_TABLES: &str = r#"
# Which processes are counted together; `{session}`, `{window}` and `{pane}` stand for a pane's own.
#[source.metrics.groups]
#panes = "pane {session}" # an example

# An alert: a figure that is past a bound for some time. Any number of these tables may follow.
#[[source.metrics.alerts]]
#name = "hot" # an example
#metric = "cpu_usage_percent"
#above = 95.0
#for = "5m"
#clear = 80.0
"#;

const SHIPPED: &str = r"
# What happens in tmux: sessions, windows, panes, and which coding agent works or waits.
# `headwater source enable tmux` writes this table; docs/tmux.md explains its settings.
#[source.tmux]

# Who of your coding agents works, waits, is done or died, from their hooks and their panes.
# `headwater source enable agents` writes this table; docs/agents.md explains its settings.
#[source.agents]

# MCP servers: which there are, how well each of them is, and when that changes. What config files of
# other programs name is told and not executed; docs/mcp.md says how that is allowed.
#[source.mcp]
";

const PROGRAM: &str = r"
# A source in any language: a program that writes one JSON event per line.
#[source.clock]
";

/// The documented default config.
pub fn default_file() -> String {
    let mut text = HEAD.to_owned();
    for Section { header, repeated, description, options, .. } in outline::sections() {
        text.push('\n');
        comment(&mut text, &description);
        let _ = writeln!(text, "{}{header}", if repeated { "#" } else { "" });
        for entry in options {
            option(&mut text, &entry);
        }
    }
    text.push_str(SOURCES);
    let (program, others): (Vec<Entry>, Vec<Entry>) =
        outline::source_options().into_iter().partition(|entry| matches!(entry.key.as_str(), "exec" | "channels"));
    text.push_str(METRICS);
    for entry in others {
        option(&mut text, &entry);
    }
    text.push_str(METRICS_TABLES);
    text.push_str(SHIPPED);
    text.push_str(PROGRAM);
    for entry in program {
        option(&mut text, &entry);
    }
    text
}

/// A blank line, what it means, and the option, commented out.
fn option(text: &mut String, entry: &Entry) {
    text.push('\n');
    comment(text, &entry.description);
    let mut notes: Vec<&str> = Vec::new();
    notes.extend(entry.default.is_none().then_some("an example"));
    notes.extend(entry.range.as_deref());
    let notes = if notes.is_empty() { String::new() } else { format!(" # {}", notes.join(", ")) };
    let _ = writeln!(text, "#{}{notes}", entry.line());
}

/// Comment lines, broken between words.
fn comment(text: &mut String, words: &str) {
    let mut line = String::from("#");
    for word in words.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(text, "{line}");
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(text, "{line}");
}
