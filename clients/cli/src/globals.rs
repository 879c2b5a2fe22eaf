//! The options that every client verb has.

use clap::{Args, ValueEnum, builder::FalseyValueParser};

/// Where a daemon listens when nobody says otherwise.
pub const DEFAULT_URL: &str = "http://127.0.0.1:8765";

/// Where the daemon is, and how output looks.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Client options")]
pub struct Globals {
    /// Where the daemon listens
    #[arg(long, global = true, env = "HEADWATER_URL", value_name = "URL", default_value = DEFAULT_URL)]
    pub url: String,

    /// The token, where the daemon wants one
    #[arg(long, global = true, env = "HEADWATER_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub token: Option<String>,

    /// Print NDJSON on a terminal too
    #[arg(long, global = true, env = "HEADWATER_JSON", value_parser = FalseyValueParser::new())]
    pub json: bool,

    /// Colours; the variable `NO_COLOR` turns them off too
    #[arg(long, global = true, env = "HEADWATER_COLOR", value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
}

/// When colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Even in a pipe
    Always,
    /// Not at all
    Never,
}
