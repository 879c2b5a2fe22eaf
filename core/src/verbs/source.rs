//! `headwater source`: `enable` and `disable` edit the config file, which the daemon watches; the rest asks the daemon.

use crate::{
    args::{SourceArgs, SourceVerb},
    assemble::discovery,
    catalog::Knowledge,
    exit,
    say::say,
};
use headwater_config::{Edit, EditError, NoCatalog, Paths, load_for_start, set_source_enabled};
use headwater_host::Discovery;
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
    // A config that is named may be another than that of the daemon that runs.
    let asked = enabled && args.config.config.is_none();
    let plugins = plugins(&paths);
    match set_source_enabled(&paths, &args.name, enabled, &Knowledge(&plugins)) {
        Ok(Edit::Written(file)) => {
            say(format_args!("{word} source.{} in {}", args.name, file.display()));
            if asked { started(&args.name, globals) } else { ExitCode::SUCCESS }
        }
        Ok(Edit::Unchanged) => {
            say(format_args!("source.{} is {word} already", args.name));
            if asked { started(&args.name, globals) } else { ExitCode::SUCCESS }
        }
        Err(error @ EditError::NoPlugin { .. }) => {
            let mut names: Vec<String> =
                plugins.list().into_iter().filter_map(|found| Some(found.manifest.ok()?.name)).collect();
            names.sort();
            names.dedup();
            let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let name = &args.name;
            let own = "a source that runs something else says so in its table, by `plugin` or `exec`";
            exit::fail(exit::CONFIG, format_args!("source.{name}: {error} (there are: {there}); {own}"))
        }
        Err(error) => exit::fail(exit::CONFIG, error),
    }
}

/// The plugins that a source may run, also those in directories that the config names.
fn plugins(paths: &Paths) -> Discovery {
    let loaded = load_for_start(paths, &NoCatalog);
    discovery(&loaded.map(|loaded| loaded.config.plugins.directories).unwrap_or_default())
}

/// Says whether the source runs now: the daemon starts it by itself, a moment after the config has changed.
fn started(name: &str, globals: &headwater_cli::Globals) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return ExitCode::SUCCESS };
    match runtime.block_on(headwater_cli::source_started(globals, name)) {
        Ok(said) => {
            say(format_args!("{said}"));
            ExitCode::SUCCESS
        }
        // Without a daemon it is enabled all the same.
        Err(headwater_cli::Failure::Away(_)) => {
            say(format_args!("no daemon runs; it starts with the next one"));
            ExitCode::SUCCESS
        }
        Err(failure) => exit::fail(exit::FAILURE, failure),
    }
}
