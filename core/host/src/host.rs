//! The host: owns every source's task, applies a config to them, routes commands to them, ends them.

use crate::{
    command::{Accepted, Answer, CommandRefused, CommandTarget},
    plugin::discovery::Discovery,
    ports::Ports,
    status::SourceStatus,
};
use headwater_config::{SourceConfig, Supervision};
use serde_json::value::RawValue;
use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, sync::Arc};

/// What a host is made with.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// Where plugins are looked for.
    pub discovery: Discovery,
    /// Where private copies of plugins are kept while they run: a directory of ours, on a file system that may execute.
    pub state_dir: PathBuf,
    /// The command that runs [`plugin_host_main`](crate::plugin_host_main); the host appends its arguments.
    pub child_command: Vec<OsString>,
    /// Backoff, quarantine and the window of events.
    pub supervision: Supervision,
}

/// What applying a config did. Every source of the config stands in exactly one list, but those that failed stand in
/// `failed` besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Sources that were not there.
    pub started: Vec<String>,
    /// Sources that are gone, or disabled now.
    pub stopped: Vec<String>,
    /// Sources that run with a new table.
    pub restarted: Vec<String>,
    /// Sources that nothing happened to.
    pub kept: Vec<String>,
    /// Sources that did not come up, with the reason in one line. One that ran before runs on as it was.
    pub failed: Vec<(String, String)>,
}

/// Why a source was not restarted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestartRefused {
    /// No such source.
    #[error("there is no source `{name}`{}", .suggestion.as_ref().map_or_else(String::new, |s| format!("; did you mean `{s}`?")))]
    Unknown {
        /// What was asked.
        name: String,
        /// The nearest name.
        suggestion: Option<String>,
    },
    /// `enabled = false`.
    #[error("the source `{0}` is disabled; set `enabled = true` in its table")]
    Disabled(String),
    /// It did not come up again.
    #[error("the source `{name}` did not start: {reason}")]
    Failed {
        /// The source.
        name: String,
        /// Why.
        reason: String,
    },
    /// The host is shutting down.
    #[error("the host is shutting down")]
    Ending,
}

/// The owner of all sources.
pub struct Host {
    _private: (),
}

impl Host {
    /// A host without sources.
    pub fn new(_options: HostOptions, _ports: Arc<dyn Ports>) -> Arc<Self> {
        unimplemented!()
    }

    /// Brings the sources into line with a config: only what changed is restarted. Returns when each changed source is
    /// up or has failed.
    pub async fn apply(&self, _sources: &BTreeMap<String, SourceConfig>) -> Applied {
        unimplemented!()
    }

    /// Sends a command to the source that declares it. `answers` is called from the source's task, once per answer, and
    /// must not block.
    pub fn command(
        &self,
        _target: &CommandTarget,
        _parameters: &RawValue,
        _caller: Option<&str>,
        _answers: Box<dyn Fn(Answer) + Send + Sync>,
    ) -> Result<Accepted, CommandRefused> {
        unimplemented!()
    }

    /// Every source of the config, by name.
    pub fn statuses(&self) -> Vec<SourceStatus> {
        unimplemented!()
    }

    /// Restarts a source: also the way out of quarantine.
    pub async fn restart(&self, _name: &str) -> Result<(), RestartRefused> {
        unimplemented!()
    }

    /// Stops all sources at once, each with its grace; one that overruns is killed and logged by name.
    pub async fn shutdown(&self) {
        unimplemented!()
    }
}
