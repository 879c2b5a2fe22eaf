//! The config file: what may stand in it, how it is read, explained when it is wrong, compared and watched.
//!
//! `load` reads `headwater.toml` and `sources.d/*.toml` and gives a [`Config`], or every fault at once with its place.
//! [`diff`] says what a reload changes. The daemon and the CLI call this crate; it knows neither plugins nor sockets:
//! what a plugin's settings may be, it asks the [`Catalog`] that it is given.

mod catalog;
mod check;
mod codes;
mod default_file;
mod diagnostic;
mod diff;
mod edit;
mod files;
mod load;
mod masked;
mod nearest;
mod outline;
mod period;
mod placing;
mod reference;
mod render;
mod schema;
mod size;
mod sources;
mod syntax;
mod text;
mod toml_text;
mod watch;
mod webhooks;

pub use catalog::{Catalog, ExpressionFault, Lookup, NoCatalog};
pub use default_file::default_file;
pub use diagnostic::{Diagnostic, Diagnostics, Level};
pub use diff::{Change, ChangeKind, Diff, diff};
pub use edit::{Edit, EditError, set_source_enabled};
pub use files::{Fingerprint, Paths};
pub use load::{Loaded, load, load_for_start};
pub use nearest::nearest;
pub use period::{Period, PeriodError};
pub use reference::reference;
pub use schema::{
    Config, Durability, Gateway, History, HistoryChannel, Isolation, LeastSeverity, Limits, Log, LogFormat, LogLevel,
    Plugins, Program, Retention, RouterLimits, SecretRef, SourceConfig, Supervision, Webhook, WebhookFilter,
    json_schema, json_schema_with, listen_refusal,
};
pub use size::{Size, SizeError};
pub use watch::{Changed, Watcher};
