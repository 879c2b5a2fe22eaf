//! `cargo xtask crash`: the journeys in which the daemon is killed under load, for as many rounds as somebody wants to wait
//! for. `cargo xtask test` runs a few.

use crate::{Stop, house::House, program, tools};
use clap::Args;

/// How many rounds each durability has, and how many minutes they may take; `tests/journeys/crashing.rs` reads them.
const ROUNDS: &str = "HEADWATER_CRASH_ROUNDS";
const MINUTES: &str = "HEADWATER_CRASH_MINUTES";

#[derive(Args)]
pub(crate) struct Crash {
    /// How often the daemon is killed at each durability
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long that may take; then it has failed
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    minutes: u32,
}

pub(crate) fn run(house: &House, crash: &Crash) -> Result<(), Stop> {
    tools::system(&[tools::KILL])?;
    program::run(&mut house.cargo(&["build", "--package", "headwater", "--bins"]))?;
    let mut journeys = house.cargo(&["test", "--package", "headwater-tests", "--test", "journeys", "--"]);
    // One after the other, so that each round has the whole machine; what they count is printed.
    journeys.args(["crashing::killed_again_and_again", "--nocapture", "--test-threads=1"]);
    program::run(journeys.env(ROUNDS, crash.rounds.to_string()).env(MINUTES, crash.minutes.to_string()))
}
