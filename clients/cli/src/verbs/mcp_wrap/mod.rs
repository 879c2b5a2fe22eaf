//! `headwater mcp-wrap -- COMMAND`: stands between an MCP client and the server that it runs, and times what they say.
//!
//! Two threads copy bytes, one each way ([`copy`]), and do nothing else. What has been written goes as a copy to a third
//! ([`tap`], [`observe`]), which reads of each message its method, its id and little more ([`scan`]), joins answers with
//! questions ([`exchange`]) and hands the figures to a fourth, which alone knows of a daemon ([`publish`]). What the later
//! ones cannot take they drop and count: nothing ever waits for them.

mod child;
mod copy;
mod exchange;
mod name;
mod observe;
mod priority;
mod publish;
mod report;
mod scan;
mod tap;

use crate::{Globals, WrapArgs, failure::say};
use child::{Child, Ending};
use copy::Way;
use observe::Observer;
use publish::Publisher;
use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

/// What the last report may take after the server's end. Its client waits for ours.
const FAREWELL: Duration = Duration::from_millis(300);

/// Runs the server, and ends as it ended.
pub(crate) fn run(args: &WrapArgs, globals: &Globals) -> ExitCode {
    let (mut child, pipes) = match Child::start(&args.command) {
        Ok(started) => started,
        Err(failed) => {
            say(&format!("headwater: {}", crate::text::visible(&failed.to_string())));
            return ExitCode::from(failed.code());
        }
    };
    let server = args.name.clone().unwrap_or_else(|| name::of(&args.command));
    let identity = report::Identity::new(server, child.pid());
    let (tap, copies) = tap::tap();
    let publisher = Publisher::start(globals);
    let observer = Observer::start(identity, copies, publisher);

    let (ended, copying) = copy::start(pipes, &tap);
    let ending = child.wait();
    // What the server has written is in the pipe; whoever it has left behind is not waited for.
    drop(ended);
    copying.finish();
    if let Some(observer) = observer {
        tap.end(ending);
        observer.finish(Instant::now() + FAREWELL);
    }
    match ending {
        Ending::Code(code) => ExitCode::from(code),
        Ending::Signal(signal) => child::die_of(signal),
    }
}

impl Way {
    /// The other one.
    fn back(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }
}
