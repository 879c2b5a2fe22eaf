//! The watch as its callers see it: rules that are refused, panes that say what the real programs said.

mod programs;
mod properties;
mod replay;
mod rules;
mod statuses;

use super::{Process, Rules, Settings};
use std::{sync::Arc, time::Duration};

/// The shipped rules.
fn shipped() -> Arc<Rules> {
    Arc::new(Rules::new(&Settings::default()).unwrap())
}

/// A process that was started a minute ago and runs this.
fn process(rules: &Rules, pid: u32, argv: &[&str]) -> Process {
    Process {
        pid,
        started: 1_000,
        age: Some(Duration::from_mins(1)),
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        agent: rules.agent_of(argv).map(str::to_owned),
    }
}
