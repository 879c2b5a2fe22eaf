//! `headwater source`: `enable` and `disable` edit the config file, which the daemon watches; the rest asks the daemon.

use crate::{
    args::{SourceArgs, SourceVerb},
    exit,
    say::say,
};
use headwater_config::{Edit, set_source_enabled};
use std::process::ExitCode;

pub(crate) fn run(verb: SourceVerb, globals: &headwater_cli::Globals) -> ExitCode {
    match verb {
        SourceVerb::Client(verb) => headwater_cli::run(headwater_cli::Verb::Source(verb), globals),
        SourceVerb::Enable(args) => set(&args, true),
        SourceVerb::Disable(args) => set(&args, false),
    }
}

fn set(args: &SourceArgs, enabled: bool) -> ExitCode {
    let word = if enabled { "enabled" } else { "disabled" };
    match set_source_enabled(&args.config.paths(), &args.name, enabled) {
        Ok(Edit::Written(file)) => {
            say(format_args!("{word} source.{} in {}", args.name, file.display()));
            ExitCode::SUCCESS
        }
        Ok(Edit::Unchanged) => {
            say(format_args!("source.{} is {word} already", args.name));
            ExitCode::SUCCESS
        }
        Err(error) => exit::fail(exit::CONFIG, error),
    }
}
