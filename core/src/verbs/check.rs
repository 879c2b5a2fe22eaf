//! `headwater check`: everything that a reload would say of the config, without a daemon.

use crate::{args::ConfigArgs, assemble::discovery, catalog::Knowledge, exit, say::say};
use headwater_config::load;
use std::process::ExitCode;

pub(crate) fn run(args: &ConfigArgs) -> ExitCode {
    let (paths, coloured) = (args.paths(), exit::coloured());
    match load(&paths, &Knowledge(&discovery(&[]))) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                eprintln!("{}", if coloured { warning.coloured() } else { warning.plain() });
            }
            let enabled = loaded.config.sources.values().filter(|source| source.enabled).count();
            let all = loaded.config.sources.len();
            let missing = if paths.main.exists() { "" } else { " (no such file: the built-in config)" };
            say(format_args!("{}{missing}: fine, {all} sources, {enabled} enabled", paths.main.display()));
            ExitCode::SUCCESS
        }
        Err(diagnostics) => {
            eprintln!("{}", if coloured { diagnostics.coloured() } else { diagnostics.plain() });
            ExitCode::from(exit::CONFIG)
        }
    }
}
