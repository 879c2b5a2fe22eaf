//! The listener, HTTP routes, WebSocket sessions and the writer: everything between a client's socket and the router.
//!
//! The binary's `assemble.rs` calls it. It knows no engine, no host and no config file: what it needs of them comes
//! through [`Ports`].

mod gateway;
mod history;
mod http;
mod latency;
mod limits;
mod listener;
mod mcp;
mod metrics;
mod options;
mod origin;
mod ports;
mod publishing;
mod refusal;
mod stats;
mod unix;
mod websocket;

pub use gateway::{GatewayError, serve};
pub use http::{Permission, RouteEntry, routes};
pub use listener::{ListenError, Listener};
pub use mcp::{Absent, ToolEntry, tools};
pub use options::{Limits, Options};
pub use origin::{filter_of, origin_of};
pub use ports::{
    AnswerSink, BoxFuture, CommandAnswer, CommandCall, CommandInfo, FailedSource, FailedWebhook, Info, Ports, Refused,
    ReloadAnswer, ReloadError, ReloadRefused, SourceInfo, SourceState, WebhookInfo, WebhookPosition,
};
pub use unix::{UnixListenError, UnixListener};
