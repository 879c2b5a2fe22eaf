//! What may stand in the config: the typed values that the rest of Headwater reads, with their defaults, and the
//! JSON Schema made from them. The doc comments of the fields are the documentation that users read: the default file,
//! `docs/config.md` and editors all show them.

mod bus;
mod editor;
mod gateway;
mod history;
mod source;
mod webhook;

pub use bus::{Log, LogFormat, LogLevel, Plugins, RouterLimits, Supervision};
pub use editor::json_schema_with;
pub use gateway::{Gateway, Limits, listen_refusal};
pub use history::{Durability, History, HistoryChannel, Retention};
pub(crate) use source::{HOST_KEYS, SourceTable};
pub use source::{Isolation, Program, SourceConfig};
pub(crate) use webhook::SECRET_FORMAT;
pub use webhook::{LeastSeverity, SecretRef, Webhook, WebhookFilter};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, sync::LazyLock};

/// The whole config, checked. What a file leaves out has its default.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// The one port and its limits.
    pub gateway: Gateway,
    /// How much of the past the router keeps in memory.
    pub router: RouterLimits,
    /// What is kept on disk.
    pub history: History,
    /// Where plugins are looked for.
    pub plugins: Plugins,
    /// What happens to a source that fails.
    pub supervision: Supervision,
    /// What the daemon logs.
    pub log: Log,
    /// The webhooks by name, disabled ones too.
    pub webhooks: BTreeMap<String, Webhook>,
    /// The sources by name, disabled ones too.
    pub sources: BTreeMap<String, SourceConfig>,
}

impl Config {
    /// What runs when there is no config file: the defaults and the metrics source.
    pub fn builtin() -> Self {
        let mut source = SourceConfig::new("metrics", Program::Plugin("metrics".to_owned()));
        source.settings.insert("interval".to_owned(), "1s".into());
        Self { sources: BTreeMap::from([(source.name.clone(), source)]), ..Self::default() }
    }
}

/// The same as a file: what a main file that may be missing, and is, counts as.
pub(crate) const BUILTIN: &str = "[source.metrics]\ninterval = \"1s\"\n";

/// Headwater's config file: config/headwater.toml, and sources.d/*.toml beside it (those hold [source.NAME] only).
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Headwater config")]
pub(crate) struct Document {
    /// The one port that everything is served on, and its limits.
    pub(crate) gateway: Gateway,
    /// How much of the past the router keeps in memory, for clients that reconnect.
    pub(crate) router: RouterLimits,
    /// The events on disk: for clients that were away for long, for questions about the past, for the time after a restart.
    pub(crate) history: History,
    /// Where plugins are looked for.
    pub(crate) plugins: Plugins,
    /// What happens to a source that fails, and how far one may run ahead.
    pub(crate) supervision: Supervision,
    /// What the daemon writes to its log.
    pub(crate) log: Log,
    /// An HTTP endpoint that gets events, signed as Standard Webhooks says and repeated until it takes them. Any number of
    /// these tables may stand in `headwater.toml`.
    #[serde(rename = "webhook")]
    pub(crate) webhooks: Vec<Webhook>,
    /// The sources, each `[source.NAME]`. The name stands in events, logs and commands.
    #[serde(rename = "source")]
    pub(crate) sources: BTreeMap<String, SourceTable>,
}

impl Document {
    /// Every key with some value: what is not set by default, and one of each table that may be repeated.
    pub(crate) fn full() -> Self {
        let (gateway, history, webhooks) = (Gateway::full(), History::full(), vec![Webhook::full()]);
        Self { gateway, history, webhooks, ..Self::default() }
    }
}

/// The schema, made once.
pub(crate) fn document() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(json_schema);
    &SCHEMA
}

/// The part of it that describes one `[source.NAME]`.
pub(crate) fn source_table() -> &'static Value {
    document().pointer("/$defs/SourceTable").expect("invariant: schemars defines every struct under its name")
}

/// The part of it that describes one `[[webhook]]`.
pub(crate) fn webhook_table() -> &'static Value {
    document().pointer("/$defs/Webhook").expect("invariant: schemars defines every struct under its name")
}

/// The JSON Schema (2020-12) of the config file, for editors and for the check itself.
pub fn json_schema() -> Value {
    let mut schema = schemars::schema_for!(Document);
    schema.insert("$id".to_owned(), "urn:headwater:schema:config".into());
    schema.to_value()
}
