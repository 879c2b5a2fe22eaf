//! `headwater mcp`: the command line's bridge, and the gateway's tools for the time in which no daemon answers. Only here do
//! the two meet.

use headwater_cli::Globals;
use headwater_gateway::Absent;
use std::{process::ExitCode, sync::Arc};

pub(crate) fn run(globals: &Globals) -> ExitCode {
    let absent = Arc::new(Absent::default());
    let answer: headwater_cli::Absent = Arc::new(move |why, headers, message| {
        let absent = absent.clone();
        Box::pin(async move { absent.answer(&why, &headers, message).await })
    });
    headwater_cli::mcp(globals, answer)
}
