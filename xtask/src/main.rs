//! House tasks: `cargo xtask up | test | crash | check | bench | tidy`. One file each; none of them is needed to use Headwater.

mod bench;
mod check;
mod crash;
mod house;
mod languages;
mod peers;
mod program;
mod test;
mod tidy;
mod tools;
mod up;

use clap::{Parser, Subcommand};
use std::{fmt, process::ExitCode};

/// The tasks of this house
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build daemon and plugins in release and start the daemon; what follows goes to `headwater up`
    Up {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
        arguments: Vec<String>,
    },
    /// Set up what the tests need and run all of them; what follows goes to nextest
    Test {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
        arguments: Vec<String>,
    },
    /// Kill the daemon under load again and again, and see that nothing acknowledged is lost
    Crash(crash::Crash),
    /// Formatting, clippy, layers, house rules, documentation, licences
    Check,
    /// Build what is measured, fetch what it is compared with, and run the benchmarks; what follows goes to them
    /// (`--short`, names of benchmarks)
    Bench {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
        arguments: Vec<String>,
    },
    /// The house rules alone
    Tidy,
}

/// Why a task did not succeed: a sentence for the person who started it.
struct Stop(String);

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn main() -> ExitCode {
    let outcome = house::House::find().and_then(|house| match Arguments::parse().task {
        Task::Up { arguments } => up::run(&house, &arguments),
        Task::Test { arguments } => test::run(&house, &arguments),
        Task::Crash(crash) => crash::run(&house, &crash),
        Task::Check => check::run(&house),
        Task::Bench { arguments } => bench::run(&house, &arguments),
        Task::Tidy => tidy::run(&house),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => {
            eprintln!("xtask: {stop}");
            ExitCode::FAILURE
        }
    }
}
