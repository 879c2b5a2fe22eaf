//! The `headwater` command: the daemon (`up`), the verbs that work on files, and, from `headwater-cli`, the verbs that
//! talk to a running daemon. Nothing is done here but to choose.

mod args;
mod assemble;
mod bus;
mod catalog;
mod daemon;
mod exit;
mod history;
mod logging;
mod place;
mod reading;
mod reload;
mod say;
mod shutdown;
mod up;
mod verbs;
mod webhooks;

use args::{Headwater, PLUGIN_HOST, Verb};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before the command line is read: a child that only hosts a plugin needs none of what reading it takes in memory.
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == PLUGIN_HOST) {
        return headwater_host::plugin_host_main(words);
    }
    // And a hook is waited for by the agent that runs it.
    if let Some(code) = headwater_cli::hook_run(std::env::args_os().skip(1)) {
        return code;
    }
    let Headwater { globals, verb } = Headwater::parse();
    match verb {
        Verb::Up(args) => up::run(args),
        Verb::Check(args) => verbs::check::run(&args),
        Verb::Schema(of) => verbs::schema::run(&of),
        Verb::Plugin(verb) => verbs::plugin::run(verb, &globals),
        Verb::Source(verb) => verbs::source::run(verb, &globals),
        Verb::Verify(args) => verbs::verify::run(&args, &globals),
        Verb::Mcp => verbs::mcp::run(&globals),
        Verb::Client(verb) => headwater_cli::run(verb, &globals),
    }
}
