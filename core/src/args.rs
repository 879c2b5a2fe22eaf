//! The command line. Every option can also be given as `HEADWATER_*`.

use crate::place;
use clap::{Args, Parser, Subcommand, ValueEnum};
use headwater_config::Paths;
use std::{net::SocketAddr, path::PathBuf};

/// The word by which the daemon runs itself as the host of one plugin. Nobody else does, so it is no verb.
pub(crate) const PLUGIN_HOST: &str = "plugin-host";

/// A plugin-driven event bus: sources in, WebSocket and HTTP out.
#[derive(Debug, Parser)]
#[command(name = "headwater", version, max_term_width = 100)]
pub(crate) struct Headwater {
    #[command(flatten)]
    pub(crate) globals: headwater_cli::Globals,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run the daemon
    Up(UpArgs),
    /// Check the config without running anything; exit code 78 when it is wrong
    Check(ConfigArgs),
    /// Print a JSON Schema
    #[command(subcommand)]
    Schema(SchemaOf),
    /// Find, inspect, start and develop plugins
    #[command(subcommand)]
    Plugin(PluginVerb),
    /// See, enable, disable and restart sources
    #[command(subcommand)]
    Source(SourceVerb),
    /// Prove that the history file is whole; exit code 1 when it is not
    Verify(VerifyArgs),
    /// Be an MCP server on standard input and output, for coding agents: the daemon's tools
    Mcp,
    #[command(flatten)]
    Client(headwater_cli::Verb),
}

/// Which config.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigArgs {
    /// The config file; its `sources.d` is read too [default: `$XDG_CONFIG_HOME/headwater/headwater.toml`; to enable and
    /// disable sources, that of the daemon that runs]
    #[arg(long, value_name = "PATH", env = "HEADWATER_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

impl ConfigArgs {
    /// Where the config is: the given file, or the user's, which need not exist.
    pub(crate) fn paths(&self) -> Paths {
        match &self.config {
            Some(main) => Paths::new(main),
            None => Paths::or_builtin(place::user_config()),
        }
    }
}

/// Options of the daemon.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Listen here and not where the config says
    #[arg(long, value_name = "ADDR", env = "HEADWATER_LISTEN")]
    pub(crate) listen: Option<SocketAddr>,
    /// Where the daemon keeps what it needs while it runs [default: `$XDG_STATE_HOME/headwater`]
    #[arg(long, value_name = "DIR", env = "HEADWATER_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// How the log is written [default: as the config says, `human`]
    #[arg(long, value_enum, value_name = "FORMAT", env = "HEADWATER_LOG_FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
}

/// Which history.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The history file [default: that of the daemon that runs, else that of this config and state directory]
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Where the daemon keeps what it needs while it runs [default: `$XDG_STATE_HOME/headwater`]
    #[arg(long, value_name = "DIR", env = "HEADWATER_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Which schema.
#[derive(Debug, Subcommand)]
pub(crate) enum SchemaOf {
    /// Of the config file, for editors
    Config,
    /// Of a plugin's settings
    Plugin {
        /// Its name, or the path of its file
        plugin: String,
    },
}

/// What to do with plugins.
#[derive(Debug, Subcommand)]
pub(crate) enum PluginVerb {
    /// List the plugins that can be found, without running them
    List(ConfigArgs),
    /// Show one plugin's manifest, without running it
    Inspect {
        /// Its name, or the path of its file
        plugin: String,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Make a new plugin in a directory of its name
    New {
        /// Its name: lower-case letters, digits, `-` and `_`
        name: String,
        /// The `headwater-plugin` crate to depend on [default: the one that this command was built with]
        #[arg(long, value_name = "DIR", env = "HEADWATER_PLUGIN_API")]
        plugin_api: Option<PathBuf>,
    },
    /// Build the plugin in this directory, run it in the daemon, show its events, and again at each change
    Dev(DevArgs),
}

/// Options of `plugin dev`.
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// The plugin's directory
    #[arg(default_value = ".")]
    pub(crate) directory: PathBuf,
    /// A setting of the source, as `key=value` in TOML; can be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,
    /// Build with optimisation
    #[arg(long)]
    pub(crate) release: bool,
}

/// What to do with sources.
#[derive(Debug, Subcommand)]
pub(crate) enum SourceVerb {
    #[command(flatten)]
    Client(headwater_cli::SourceVerb),
    /// Enable a source in the config file; its comments are kept
    Enable(SourceArgs),
    /// Disable a source in the config file; its comments are kept
    Disable(SourceArgs),
}

/// Which source, in which config.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// The source's name
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Headwater::command().debug_assert();
    }
}
