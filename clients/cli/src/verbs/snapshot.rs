//! `headwater snapshot`: the last retained event of each key.

use crate::{Failure, SnapshotArgs, clock::Clock, line::Lines, run::Session};
use jiff::Timestamp;
use std::collections::HashSet;

pub(crate) async fn run(args: &SnapshotArgs, session: &mut Session) -> Result<(), Failure> {
    // Two patterns may fit one channel; each event is printed once.
    let mut seen = HashSet::new();
    let mut lines = session.terminal.human.then(|| Lines::new(session.terminal, Clock::local(), true));
    for pattern in &args.channels {
        for event in session.client.snapshot(pattern).await? {
            if !seen.insert((event.channel().to_owned(), event.position())) {
                continue;
            }
            match &mut lines {
                Some(lines) => {
                    let line = lines.event(&event, Timestamp::now());
                    session.output.line(&line);
                }
                None => session.json(event.line()),
            }
        }
    }
    if session.terminal.human && seen.is_empty() {
        session.output.line("nothing is retained there");
    }
    Ok(())
}
