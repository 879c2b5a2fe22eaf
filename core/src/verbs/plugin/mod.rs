//! `headwater plugin`: finding, inspecting, starting and developing plugins.

mod dev;
mod list;
mod new;

use crate::args::PluginVerb;
use std::process::ExitCode;

pub(crate) fn run(verb: PluginVerb, globals: &headwater_cli::Globals) -> ExitCode {
    match verb {
        PluginVerb::List(config) => list::list(&config),
        PluginVerb::Inspect { plugin, config } => list::inspect(&plugin, &config),
        PluginVerb::New { name, plugin_api } => new::run(&name, plugin_api),
        PluginVerb::Dev(args) => dev::run(&args, globals),
    }
}
