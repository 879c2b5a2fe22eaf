//! The arguments of `headwater mcp-wrap`.

use clap::Args;
use std::ffi::OsString;

/// A server to run, and what it is called.
#[derive(Args, Clone, Debug)]
pub struct WrapArgs {
    /// The server's name in the clients' config files [default: taken from the command]
    #[arg(long, env = "HEADWATER_NAME", value_name = "NAME")]
    pub name: Option<String>,

    /// The server's command and its arguments, as its client would run them
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}
