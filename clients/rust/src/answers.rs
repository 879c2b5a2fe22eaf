//! The answers of the HTTP routes, as far as this client reads them. Unknown fields are ignored, so that a newer daemon
//! is understood.

use serde::Deserialize;
use serde_json::value::RawValue;

/// The answer to a publish.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Published {
    /// How many events the engine has taken.
    pub accepted: u64,
    /// Where each of them stands, in the order they were given.
    #[serde(default)]
    pub positions: Vec<PublishedAt>,
}

/// Where a published event stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PublishedAt {
    /// The channel.
    pub channel: String,
    /// The epoch, 16 hexadecimal digits.
    pub epoch: String,
    /// The offset.
    pub offset: u64,
}

/// The answer to a reload, or to the dry run of one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Reloaded {
    /// `applied` or `unchanged`; of a dry run `would_apply`.
    pub status: String,
    /// The number of this reload since the daemon's start.
    #[serde(default)]
    pub reload: Option<u64>,
    /// One line for each change.
    #[serde(default)]
    pub changes: Vec<String>,
    /// The sources that were, or would be, restarted.
    #[serde(default)]
    pub restarted: Vec<String>,
    /// The sources that run on.
    #[serde(default)]
    pub kept: Vec<String>,
    /// The sources that did not take their new table.
    #[serde(default)]
    pub failed: Vec<FailedSource>,
    /// The webhooks that should run and cannot.
    #[serde(default)]
    pub failed_webhooks: Vec<FailedWebhook>,
    /// How many connections ended by it.
    #[serde(default)]
    pub clients_dropped: u64,
    /// Milliseconds.
    #[serde(default)]
    pub took_ms: Option<u64>,
}

/// A source that did not take its new table, and why.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FailedSource {
    /// Its name.
    pub source: String,
    /// One line.
    pub reason: String,
}

/// A webhook that cannot run, and why.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FailedWebhook {
    /// Its name.
    pub webhook: String,
    /// One line.
    pub reason: String,
}

/// A channel, as `/v1/channels` lists it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ChannelSummary {
    /// Its name.
    pub channel: String,
    /// The epoch, 16 hexadecimal digits.
    #[serde(default)]
    pub epoch: String,
    /// The first offset that is held.
    #[serde(default)]
    pub first: u64,
    /// The last offset; 0 when there is none yet.
    #[serde(default)]
    pub head: u64,
    /// How many events are held.
    #[serde(default)]
    pub events: u64,
    /// About how many bytes they take.
    #[serde(default)]
    pub bytes: u64,
}

/// A source, as `/v1/sources` lists it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SourceSummary {
    /// Its name in the config.
    pub name: String,
    /// `up`, `starting`, `down`, `backoff`, `quarantined` or `disabled`.
    pub state: String,
    /// The plugin.
    #[serde(default)]
    pub plugin: Option<String>,
    /// The command, for a source that is no plugin.
    #[serde(default)]
    pub exec: Option<Exec>,
    /// The plugin's version.
    #[serde(default)]
    pub version: Option<String>,
    /// The process that runs it.
    #[serde(default)]
    pub pid: Option<u32>,
    /// How often it was started again.
    #[serde(default)]
    pub restarts: u64,
    /// How many events it has published.
    #[serde(default)]
    pub events: u64,
    /// How many events it could not publish.
    #[serde(default)]
    pub dropped: u64,
    /// Why it is in this state.
    #[serde(default)]
    pub reason: Option<String>,
}

/// A command and its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Exec {
    /// As a list.
    List(Vec<String>),
    /// In one string.
    Line(String),
}

impl std::fmt::Display for Exec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::List(words) => f.write_str(&words.join(" ")),
            Self::Line(line) => f.write_str(line),
        }
    }
}

/// Lists as they come: each entry raw, for those who pass it on.
#[derive(Deserialize)]
pub(crate) struct Channels {
    pub(crate) channels: Vec<Box<RawValue>>,
}

/// As [`Channels`].
#[derive(Deserialize)]
pub(crate) struct Sources {
    pub(crate) sources: Vec<Box<RawValue>>,
}

/// As [`Channels`].
#[derive(Deserialize)]
pub(crate) struct Events {
    pub(crate) events: Vec<Box<RawValue>>,
}
