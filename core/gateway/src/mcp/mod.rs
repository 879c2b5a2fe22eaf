//! The bus as an MCP server: one more door, with the same bounds, checks and errors as HTTP. `http/mcp.rs` is its route;
//! `headwater mcp` brings it to stdio and, while no daemon runs, answers with [`Absent`].
//!
//! Stateless: each request stands alone, in the era of `initialize` as in the one after it, so that there are no sessions to
//! bound, to resume or to lose when the daemon comes back. What a client has to remember is a cursor, which it is given.
//!
//! | file | owns |
//! |---|---|
//! | `door` | from an HTTP request to rmcp and back |
//! | `server` | what rmcp asks of a server: who we are, the list of tools, a call |
//! | `tools` | the one table of tools, with the permission that each needs |
//! | `caller` | who calls, and what it may; the place where tokens will be asked |
//! | `calls` | calls under way, as a client that withdraws one names it |
//! | `arguments`, `schema` | what tools take, and how clients are told |
//! | `fault` | what a model is told when a call comes to nothing |
//! | `which`, `event` | which events are meant, and how they are told within bounds |
//! | `read`, `wait`, `publish`, `channels`, `agents`, `command` | tools for agents |
//! | `rooms` | the five tools that older clients know by name |

mod agents;
mod arguments;
mod caller;
mod calls;
mod channels;
mod command;
mod door;
mod event;
mod fault;
mod publish;
mod read;
mod rooms;
mod schema;
mod server;
mod tools;
mod wait;
mod which;

pub(crate) use caller::Caller;
pub(crate) use calls::{Calls, withdrawn};
pub(crate) use command::COMMANDS;
pub use door::Absent;
pub(crate) use door::Door;
pub use tools::{ToolEntry, tools};
pub(crate) use wait::WAITS;
