//! `headwater source`: `enable` and `disable` edit the config file, which the daemon watches; the rest asks the daemon.

use crate::{
    args::{SourceArgs, SourceVerb},
    exit,
    say::say,
};
use headwater_config::{Edit, Paths, set_source_enabled};
use std::process::ExitCode;

pub(crate) fn run(verb: SourceVerb, globals: &headwater_cli::Globals) -> ExitCode {
    match verb {
        SourceVerb::Client(verb) => headwater_cli::run(headwater_cli::Verb::Source(verb), globals),
        SourceVerb::Enable(args) => set(&args, globals, true),
        SourceVerb::Disable(args) => set(&args, globals, false),
    }
}

/// The config to edit: the given one, that of the daemon that runs, or the user's.
fn paths(args: &SourceArgs, globals: &headwater_cli::Globals) -> Result<Paths, String> {
    if args.config.config.is_some() {
        return Ok(args.config.paths());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    match runtime.block_on(headwater_cli::daemon_info(globals)) {
        Ok(info) => {
            let main = info["config_files"][0].as_str().filter(|main| !main.is_empty());
            Ok(main.map_or_else(|| args.config.paths(), Paths::or_builtin))
        }
        Err(headwater_cli::Failure::Away(_)) => Ok(args.config.paths()),
        Err(failure) => Err(failure.to_string()),
    }
}

fn set(args: &SourceArgs, globals: &headwater_cli::Globals, enabled: bool) -> ExitCode {
    let word = if enabled { "enabled" } else { "disabled" };
    let paths = match paths(args, globals) {
        Ok(paths) => paths,
        Err(error) => return exit::fail(exit::FAILURE, error),
    };
    match set_source_enabled(&paths, &args.name, enabled) {
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
