//! Plugin discovery, pre-flight, loading, supervision and isolation.
//!
//! The binary makes one [`Host`], gives it [`Ports`] into the bus and applies the config's sources to it. The host knows
//! no router and no gateway: events go out through the ports, and what reading sources want comes in through a
//! [`DeliverySink`]. `headwater plugin-host` is [`plugin_host_main`], the other end of the link.

mod child;
mod command;
pub mod discovery;
mod elf;
mod host;
mod manifest;
mod ports;
pub mod preflight;
mod status;

pub use child::plugin_host_main;
pub use command::{Accepted, Answer, CommandError, CommandRefused, CommandTarget, Progress};
pub use discovery::{Discovery, Found, NotFound, Plugin};
pub use elf::Malformed;
pub use host::{Applied, Host, HostOptions, RestartRefused};
pub use manifest::{CommandInfo, Manifest};
pub use ports::{DeliverySink, Ports, PublishRefused, SinkClosed, SubscriptionHandle};
pub use preflight::Unfit;
pub use status::{SourceState, SourceStatus};
