//! The arguments of `headwater agents`.

use clap::{Args, builder::FalseyValueParser};

/// Which agents are shown, and for how long.
#[derive(Args, Clone, Copy, Debug)]
pub struct AgentsArgs {
    /// Go on, and show each change as it happens
    #[arg(long, env = "HEADWATER_WATCH", value_parser = FalseyValueParser::new())]
    pub watch: bool,
}
