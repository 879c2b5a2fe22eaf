//! The settings.

use headwater_plugin::prelude::*;

/// Agents and their tasks.
#[config]
#[derive(Debug)]
pub struct Config {
    /// How often `hive_status_update` comes when nothing changes.
    #[default = "5s"]
    pub(crate) status_interval: Period,
}
