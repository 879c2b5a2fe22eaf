//! Plugin discovery, pre-flight, loading, supervision and isolation.
//!
//! The binary makes one [`Host`], gives it [`Ports`] into the bus and applies the config's sources to it. The host knows
//! no router and no gateway: events go out through the ports, and what reading sources want comes in through a
//! [`DeliverySink`]. `headwater plugin-host` is [`plugin_host_main`], the other end of the link.

mod command;
mod host;
mod instance;
mod link;
mod plugin;
mod ports;
mod process;
mod records;
mod running;
mod source;
mod status;

pub use command::{Accepted, Answer, CommandError, CommandRefused, CommandTarget, Progress};
pub use host::{Applied, Host, HostOptions, RestartRefused};
pub use instance::child::plugin_host_main;
pub use plugin::{
    discovery::{Discovery, Found, NotFound, Plugin},
    elf::Malformed,
    manifest::{CommandInfo, Manifest},
    preflight::{Unfit, check, check_file},
};
pub use ports::{DeliverySink, Ports, PublishRefused, SinkClosed, SubscriptionHandle};
pub use status::{SourceState, SourceStatus};
