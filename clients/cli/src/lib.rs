//! The client verbs of the `headwater` command: `sub`, `pub`, `reload`, `diff`, `source`, `channel`, `snapshot`,
//! `command`, `history`, `agents`, `hook`, `mcp`, `mcp-wrap`.
//!
//! The binary flattens [`Verb`] and [`Globals`] into its own arguments and hands both to [`run`]. Tables, colours and the
//! rendering of hostile text are public too: the binary's own verbs print by the same rules.

mod arguments;
mod clock;
mod csv;
mod failure;
mod globals;
mod info;
mod line;
mod node;
mod output;
mod progress;
mod run;
// The client's tests and these have one scripted daemon.
#[cfg(test)]
#[path = "../../rust/tests/client/scripted.rs"]
#[allow(clippy::unwrap_used, dead_code)]
mod scripted;
mod signals;
#[cfg(test)]
mod stories;
mod style;
mod table;
mod terminal;
mod text;
mod values;
mod verbs;

pub use arguments::{
    AgentsArgs, ChannelVerb, CommandArgs, ExportArgs, ExportFormat, FilterArgs, HistoryArgs, HistoryVerb, HookVerb,
    HookedAgent, InstallArgs, PlaceArgs, PublishArgs, ReportOptions, RunArgs, SnapshotArgs, SourceVerb, StatusArgs,
    SubscribeArgs, UninstallArgs, Verb, Which, WrapArgs,
};
pub use failure::Failure;
pub use globals::{ColorChoice, DEFAULT_URL, Globals};
pub use info::{daemon_info, source_started};
pub use output::Output;
pub use progress::Progress;
pub use run::run;
pub use style::Style;
pub use table::{Align, Column, Table};
pub use terminal::Terminal;
pub use text::visible;
pub use verbs::hook::{run::hook_run, status::hooks_missing};
pub use verbs::mcp::{Absent, serve as mcp};
