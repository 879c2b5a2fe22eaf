//! Write a Headwater event source: one dependency, one file.
//!
//! A source is a type with a [`Source`] impl, exported by [`export_source!`] from a crate of type `cdylib`. It gets its
//! settings (a [`config`] type) and a [`Context`] to emit events, take commands and read the bus. `docs/plugin-guide.md`
//! tells the rest; `headwater-testkit` runs a source in a test, without a daemon.
//!
//! ```
//! use headwater_plugin::prelude::*;
//!
//! /// How long the machine is up.
//! #[config]
//! struct Config {
//!     /// How often to look.
//!     #[default = "10s"]
//!     every: Period,
//! }
//!
//! struct Uptime;
//! impl Source for Uptime {
//!     type Config = Config;
//!     async fn run(config: Config, mut ctx: Context) -> Result<()> {
//!         while let Some(_turn) = ctx.every(config.every).await {
//!             let uptime = std::fs::read_to_string("/proc/uptime")?;
//!             ctx.emit("uptime", "uptime.read", &json!({ "uptime": uptime.trim() })).await?;
//!         }
//!         Ok(())
//!     }
//! }
//! export_source!(Uptime { emits: ["uptime"] });
//! # fn main() {}
//! ```

// The macros write `::headwater_plugin`, also in this crate's own tests.
#[cfg(test)]
extern crate self as headwater_plugin;

mod attributes;
mod command;
mod context;
mod current;
mod drops;
mod emit;
mod event;
mod export;
mod instance;
mod json;
mod link;
mod log;
pub mod manifest;
mod panics;
mod period;
pub mod prelude;
mod registry;
pub mod schema;
mod source;
mod subscription;
pub mod wire;

pub use attributes::{config, payload};
pub use command::{Command, Failure, Progress};
pub use context::{Context, Turn};
pub use emit::{EmitError, Emitter, EventBuilder};
pub use event::{Evidence, Position, Severity};
pub use period::{Period, PeriodError};
pub use schema::ConfigType;
pub use source::{Error, Result, Source};
pub use subscription::{BusEvent, Delivery, Gap, Subscription};

pub use serde;
pub use serde_json;
pub use tokio;
pub use tracing;

/// The examples of the guide, compiled as this crate's documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/plugin-guide.md")]
pub mod guide {}

/// What the macros' output and the testkit need. No author calls it, and it may change with any release.
#[doc(hidden)]
pub mod __private {
    pub use crate::export::{Exported, describe, table};
    pub use headwater_abi as abi;
    pub use serde;
}
