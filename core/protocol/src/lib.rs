//! What clients say and hear: requests, replies, close codes, WebSocket frames, and the dialects that put them in bytes.
//!
//! Knows neither tokio nor sockets: bytes in, values out. The gateway and the client build on it.

mod close;
pub mod cloudevents;
pub mod cursor;
mod dialect;
pub mod dialects;
mod error;
pub mod hooks;
mod moment;
mod percent;
pub mod publish;
mod reply;
mod request;
mod text;
pub mod websocket;

pub use close::CloseCode;
pub use dialect::Dialect;
pub use error::{ErrorCode, RequestError};
pub use moment::moment;
pub use reply::{CommandFailure, FailedChannel, HistoryData, Lost, ReplayState, Reply, Resumed};
pub use request::{
    AggregateSpec, CommandRequest, ConflateBy, FilterSpec, Granularity, HistoryRequest, LagPolicy, OneOrMany, Options,
    Order, Pace, ReplayAction, ReplayRequest, Request, RequestId, Start, StartAt, Subscribe,
};
