//! `[source.NAME]`: the keys that the host reads. All others are the plugin's own settings.

use crate::{Period, Size, period, size};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{path::PathBuf, time::Duration};

/// The keys of a source's table that are the host's. A plugin cannot have settings of these names.
pub(crate) const HOST_KEYS: [&str; 11] = [
    "plugin",
    "exec",
    "enabled",
    "isolation",
    "channels",
    "heartbeat",
    "grace",
    "memory_limit",
    "sha256",
    "description",
    "log_level",
];

/// One source, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceConfig {
    /// The name in `[source.NAME]`.
    pub name: String,
    /// What runs.
    pub program: Program,
    /// Whether it should run.
    pub enabled: bool,
    /// Where a plugin runs. A program of its own (`exec`) is a process anyhow.
    pub isolation: Isolation,
    /// The channels it may publish to, in place of those its manifest names.
    pub channels: Option<Vec<String>>,
    /// The time it has to answer whether it is alive.
    pub heartbeat: Duration,
    /// The time it gets to stop before it is killed.
    pub grace: Duration,
    /// The most memory its process may take, in bytes.
    pub memory_limit: Option<u64>,
    /// The SHA-256 (64 lower-case hex digits) that the plugin's file must have.
    pub sha256: Option<String>,
    /// The least important log line that it may write, if not the daemon's own level.
    pub log_level: Option<String>,
    /// A line for people.
    pub description: Option<String>,
    /// Where an `exec` program runs: the directory of the file that defines it. Empty for a plugin.
    pub directory: PathBuf,
    /// The plugin's own settings, as they were written.
    pub settings: Map<String, Value>,
}

/// What a source runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// A plugin: its name, or the absolute path of its file.
    Plugin(String),
    /// A program that writes NDJSON, and its arguments.
    Exec(Vec<String>),
}

/// Where a plugin runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
#[allow(missing_docs)] // The names say it; docs would only blow the enum up in the JSON Schema.
pub enum Isolation {
    #[default]
    Process,
    Thread,
}

impl SourceConfig {
    /// Whether a source runs when nothing is said.
    pub(crate) const ENABLED: bool = true;

    /// An enabled source with defaults for everything else.
    pub fn new(name: &str, program: Program) -> Self {
        let defaults = SourceTable::default();
        Self {
            name: name.to_owned(),
            program,
            enabled: defaults.enabled,
            isolation: defaults.isolation,
            channels: None,
            heartbeat: defaults.heartbeat,
            grace: defaults.grace,
            memory_limit: None,
            sha256: None,
            log_level: None,
            description: None,
            directory: PathBuf::new(),
            settings: Map::new(),
        }
    }

    /// Whether going from `self` to `new` needs the running source to be started anew. A new description does not, nor
    /// does a new log level: that is sent to it.
    pub fn needs_restart(&self, new: &Self) -> bool {
        let calm = Self { description: new.description.clone(), log_level: new.log_level.clone(), ..self.clone() };
        calm != *new
    }
}

/// One source: a plugin or a program, what it may do, and its settings.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct SourceTable {
    /// The plugin that runs: its name, or a path to its file (relative to this file). Defaults to the source's own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1), example = &"metrics")]
    pub(crate) plugin: Option<String>,
    /// Instead of a plugin: a program in any language that writes one JSON event per line, and its arguments. It runs in
    /// the directory of this file.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>", length(min = 1), example = ["python3", "clock.py"])]
    pub(crate) exec: Option<Vec<String>>,
    /// Whether it runs. `headwater source enable NAME` and `disable NAME` change this key.
    pub(crate) enabled: bool,
    /// Where a plugin runs: "process" gives it a process of its own, so that its crash is its own; "thread" is inside
    /// the daemon: quicker, and a crash there is the daemon's.
    pub(crate) isolation: Isolation,
    /// The channels it may publish to, names or patterns, in place of those the plugin itself names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>", example = ["clock", "clock:*"])]
    pub(crate) channels: Option<Vec<String>>,
    /// The time it has to answer whether it is alive. One question left unanswered for longer, and it is replaced. A
    /// program (`exec`) is asked only if it says that it answers.
    #[serde(with = "period::plain")]
    #[schemars(with = "Period", extend("x-minimum" = "100ms", "x-maximum" = "1h"))]
    pub(crate) heartbeat: Duration,
    /// The time it gets to stop by itself before it is killed.
    #[serde(with = "period::plain")]
    #[schemars(with = "Period", extend("x-minimum" = "0s", "x-maximum" = "10m"))]
    pub(crate) grace: Duration,
    /// The most memory its process may take. What it asks for beyond is refused to it, which ends most programs; then it
    /// is started again. No limit by default.
    #[serde(with = "size::optional", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Size", extend("minimum" = 16_777_216), example = &"256MiB")]
    pub(crate) memory_limit: Option<u64>,
    /// The SHA-256 that the plugin's file must have: 64 hex digits, as `sha256sum` prints them. Another file is not loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", extend("format" = "sha256"), example = &EXAMPLE_SHA256)]
    pub(crate) sha256: Option<String>,
    /// A line for people, shown by `headwater source list`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", example = &"CPU and memory of this machine")]
    pub(crate) description: Option<String>,
    /// The least important log line that it may write: error, warn, info, debug or trace. The daemon's own by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "crate::LogLevel", example = &"debug")]
    pub(crate) log_level: Option<String>,
    /// The settings of the plugin.
    #[serde(flatten)]
    pub(crate) settings: Map<String, Value>,
}

const EXAMPLE_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

impl Default for SourceTable {
    fn default() -> Self {
        Self {
            plugin: None,
            exec: None,
            enabled: SourceConfig::ENABLED,
            isolation: Isolation::default(),
            channels: None,
            heartbeat: Duration::from_secs(10),
            grace: Duration::from_secs(10),
            memory_limit: None,
            sha256: None,
            description: None,
            log_level: None,
            settings: Map::new(),
        }
    }
}
