//! What the gateway asks of the rest of the daemon: commands, sources, reload, and what it is.
//!
//! `assemble.rs` implements [`Ports`] over the host and the config; the gateway knows neither. Its tests bring their own.

use bytes::Bytes;
use headwater_protocol::{CommandFailure, ErrorCode};
use serde::Serialize;
use std::{pin::Pin, sync::Arc};

/// A boxed future that a task of its own may await.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Where the answers to one command go. Called from any thread, never blocks, and may be called after the client has
/// gone. After [`CommandAnswer::Completed`] or [`CommandAnswer::Failed`] nothing follows.
pub type AnswerSink = Arc<dyn Fn(CommandAnswer) + Send + Sync>;

/// The daemon as the gateway sees it.
pub trait Ports: Send + Sync + 'static {
    /// Hands a command to the source that declares it. Quick: the answers come by the sink. `Err` when no source was
    /// given the command; then the sink is never called.
    fn command(&self, call: CommandCall, answers: AnswerSink) -> Result<(), Refused>;

    /// Every source of the running config, disabled ones too, by name.
    fn sources(&self) -> Vec<SourceInfo>;

    /// Every webhook of the running config, disabled ones too, by name.
    fn webhooks(&self) -> Vec<WebhookInfo> {
        Vec::new()
    }

    /// Ends a source's instance and starts a new one; done when the new one has been started. Runs to its end although
    /// the client that asked may be gone.
    fn restart_source(&self, name: String) -> BoxFuture<Result<(), Refused>>;

    /// Reads the config again and applies what changed; with `dry_run` it only says what would. Runs to its end although
    /// the client that asked may be gone.
    fn reload(&self, dry_run: bool) -> BoxFuture<Result<ReloadAnswer, ReloadRefused>>;

    /// What this daemon is.
    fn info(&self) -> Info;

    /// Whether work can be sent here: started, and not on the way out.
    fn ready(&self) -> bool;
}

/// A command of a client.
#[derive(Clone, Debug)]
pub struct CommandCall {
    /// `command`, or `source/command` where two sources declare the same one.
    pub target: String,
    /// A JSON object.
    pub parameters: Bytes,
    /// Which connection asked, for the log and the source.
    pub connection: Arc<str>,
}

/// One answer to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandAnswer {
    /// The source has taken it.
    Accepted {
        /// What the source says.
        message: Option<String>,
        /// Milliseconds.
        estimated_completion_ms: Option<u64>,
    },
    /// The source is at work.
    Progress {
        /// A JSON object: `current_step`, `step_number`, `total_steps`, `completion_percent`, each if known.
        progress: String,
        /// A JSON value.
        details: Option<String>,
    },
    /// The source is done.
    Completed {
        /// A JSON value.
        result: String,
    },
    /// The source failed, or ended before it answered.
    Failed(CommandFailure),
}

/// Why something was not begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct Refused {
    /// What kind of error.
    pub code: ErrorCode,
    /// The place.
    pub message: String,
    /// The fix.
    pub suggested_action: Option<String>,
}

/// What a source is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceState {
    /// Running.
    Up,
    /// Started, has not said that it runs.
    Starting,
    /// Not running, and nothing is going to start it: it could not be loaded.
    Down,
    /// Failed; the next try is set.
    Backoff,
    /// Failed too often.
    Quarantined,
    /// `enabled = false`.
    Disabled,
}

impl SourceState {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Starting => "starting",
            Self::Down => "down",
            Self::Backoff => "backoff",
            Self::Quarantined => "quarantined",
            Self::Disabled => "disabled",
        }
    }
}

/// One source, in the shape of `GET /v1/sources`.
#[derive(Clone, Debug, Serialize)]
pub struct SourceInfo {
    /// As in the config.
    pub name: String,
    /// What it is doing.
    pub state: SourceState,
    /// The plugin's name or path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// The command line of a source that is a program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<Vec<String>>,
    /// The plugin's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `process` or `thread`.
    pub isolation: &'static str,
    /// Of its process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// How many instances there have been.
    pub generation: u64,
    /// How many of them were started because one failed.
    pub restarts: u64,
    /// Events published since the daemon started.
    pub events: u64,
    /// Events that it produced and the daemon refused or could not take.
    pub dropped: u64,
    /// Patterns of the channels that it may publish to; empty where nobody has said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
    /// The commands that it takes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<CommandInfo>,
    /// Why it is not up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// RFC 3339: when it came into this state.
    pub since: String,
}

/// A command that a source takes, as its manifest has it.
#[derive(Clone, Debug, Serialize)]
pub struct CommandInfo {
    /// Its name.
    pub name: String,
    /// The permission that a caller needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
    /// One line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The JSON Schema of its parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<serde_json::Value>,
}

/// One webhook, in the shape of `GET /v1/webhooks`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct WebhookInfo {
    /// As in the config.
    pub name: String,
    /// `sending`, `retrying`, `disabled`, `gone`, `failed` or `stopped`.
    pub state: &'static str,
    /// Where it posts to, without the query.
    pub url: String,
    /// Events that the endpoint took since the daemon started.
    pub delivered: u64,
    /// Gaps that it was told of.
    pub gaps: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Events that went to the dead-letter channel.
    pub dead_letters: u64,
    /// Attempts at the present event that have failed, while it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// RFC 3339: when it is tried next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<String>,
    /// RFC 3339: when the endpoint last took something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success: Option<String>,
    /// Why the last attempt that failed did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Why it cannot run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The last event that the endpoint has, per channel.
    pub positions: Vec<WebhookPosition>,
}

/// How far a webhook has come in a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WebhookPosition {
    /// Its name.
    pub channel: String,
    /// 16 hexadecimal digits.
    pub epoch: String,
    /// Of the last event.
    pub offset: u64,
}

/// What a reload did.
#[derive(Clone, Debug, Default)]
pub struct ReloadAnswer {
    /// How many reloads have been applied, this one included.
    pub reload: u64,
    /// One line each, `~ source.metrics.interval 1s → 5s`. Empty: nothing changed.
    pub changes: Vec<String>,
    /// Sources that were restarted.
    pub restarted: Vec<String>,
    /// Sources that were left alone.
    pub kept: Vec<String>,
    /// Sources that did not take their new table; what they ran before goes on.
    pub failed: Vec<FailedSource>,
    /// Webhooks that should run and cannot.
    pub failed_webhooks: Vec<FailedWebhook>,
    /// Connections that the daemon closed for it.
    pub clients_dropped: u64,
    /// Milliseconds from reading to applied.
    pub took_ms: u64,
}

/// A source that did not take its new table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedSource {
    /// As in the config.
    pub source: String,
    /// One line.
    pub reason: String,
}

/// A webhook that cannot run: its secret is not where the config says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedWebhook {
    /// As in the config.
    pub webhook: String,
    /// One line.
    pub reason: String,
}

/// Why a config was not taken. The running one stays.
#[derive(Clone, Debug, Default)]
pub struct ReloadRefused {
    /// All errors with their lines, as a terminal shows them.
    pub diagnostics: String,
    /// The same, for programs.
    pub errors: Vec<ReloadError>,
}

/// One error in a config.
#[derive(Clone, Debug, Serialize)]
pub struct ReloadError {
    /// `E0102`.
    pub code: String,
    /// As found.
    pub file: String,
    /// From 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// From 1, in characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// What this daemon is, as far as the gateway does not know it itself.
#[derive(Clone, Debug, Default)]
pub struct Info {
    /// Of the daemon.
    pub version: String,
    /// Those that the running config came from, absolute.
    pub config_files: Vec<String>,
    /// The directory of further sources, absolute.
    pub sources_dir: String,
    /// The history file, absolute; `None` where none is kept.
    pub history_file: Option<String>,
    /// Whether the last try to load the config succeeded.
    pub last_reload_successful: bool,
    /// How many reloads have been applied since the start.
    pub reloads: u64,
}
