//! HTTP: one table of routes, the checks before them, what each answers, and the way from HTTP to WebSocket.
//!
//! | file | owns |
//! |---|---|
//! | `table` | every route and socket, with the permission it needs; the axum router is built from it |
//! | `connection` | one connection from accept to its end, or to the hand-over to the shards |
//! | `socket` | the bytes of a connection, with a limit to stalling |
//! | `app` | what handlers share |
//! | `guard` | Host, Origin, counting |
//! | `problem`, `answer` | the forms of answers |
//! | `upgrade` | the WebSocket handshake |
//! | `ingest`, `items`, `cloudevents` | `POST /v1/events` |
//! | `hooks` | `POST /v1/hooks/{emitter}` and `POST /v1/logs` |
//! | `stream`, `query`, `ndjson`, `sse`, `gzip` | `GET /v1/events` |
//! | `asyncapi` | what this daemon offers, for machines |
//! | `mcp` | `POST /mcp`, the way to the MCP server |
//! | `health`, `channels`, `history`, `sources`, `reload`, `scrape` | the other routes |

mod answer;
mod app;
mod asyncapi;
mod channels;
mod cloudevents;
mod connection;
mod guard;
mod gzip;
mod health;
mod history;
mod hooks;
pub(crate) mod ingest;
mod items;
mod mcp;
pub(crate) mod ndjson;
pub(crate) mod problem;
mod process;
mod query;
mod reload;
mod scrape;
mod socket;
mod sources;
mod sse;
mod stream;
mod table;
mod upgrade;
mod webhooks;

pub(crate) use app::App;
#[cfg(test)]
pub(crate) use app::tests::app as quiet_app;
pub(crate) use connection::{Admission, serve};
pub use table::{Permission, RouteEntry, routes};
