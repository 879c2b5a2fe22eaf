//! `headwater mcp`: the daemon's MCP server on standard input and output, for clients that start their servers. It knows no
//! tool: each message goes to `/mcp` and its answer comes back. While no daemon answers, somebody else does ([`Absent`]).
//!
//! Standard output has the protocol and nothing else. Each request is a connection of its own, so that a daemon that comes
//! back is found by the next one. The end of standard input ends it.
//!
//! | file | owns |
//! |---|---|
//! | `input` | standard input as lines, on a thread of its own |
//! | `message` | what is read of a message: enough to pass it on |
//! | `bridge` | the messages under way, and who withdraws which |
//! | `forward` | one request: to the daemon, or to who answers in its place |
//! | `sse` | messages out of a stream of server-sent events |

mod bridge;
mod forward;
mod input;
mod message;
mod sse;

use crate::{Failure, Globals};
use bridge::Bridge;
use forward::Daemon;
use headwater_client::Client;
use std::{pin::Pin, process::ExitCode, sync::Arc};

/// The headers that would go to a daemon.
pub(crate) type Headers = Vec<(&'static str, String)>;

/// Answers a message where no daemon does: why not, the headers, the message. An empty answer is none.
pub type Absent = Arc<dyn Fn(String, Headers, Vec<u8>) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send>> + Send + Sync>;

/// Serves standard input until it ends.
pub fn serve(globals: &Globals, absent: Absent) -> ExitCode {
    match start(globals, absent) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn start(globals: &Globals, absent: Absent) -> Result<(), Failure> {
    let token = globals.token.as_deref().filter(|token| !token.is_empty());
    let daemon = Daemon::new(Client::new(&globals.url, token)?, absent);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Other(format!("the runtime does not start: {error}")))?;
    let lines = input::lines().map_err(|error| Failure::Other(format!("cannot read standard input: {error}")))?;
    runtime.block_on(Bridge::new(daemon).run(lines, &mut std::io::stdout().lock()));
    Ok(())
}
