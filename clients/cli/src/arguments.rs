//! The arguments of the client verbs, as clap reads them. Every option can also be set by a `HEADWATER_` variable of its
//! name; a flag on the command line wins.

mod agents;
mod history;
mod hook;
mod mcp_wrap;

pub use agents::AgentsArgs;
pub use history::{ExportArgs, ExportFormat, HistoryArgs, HistoryVerb, Which};
pub use hook::{HookVerb, HookedAgent, InstallArgs, PlaceArgs, ReportOptions, RunArgs, StatusArgs, UninstallArgs};
pub use mcp_wrap::WrapArgs;

use clap::{Args, Subcommand, builder::FalseyValueParser};
use headwater_client::Start;
use headwater_event::{Epoch, Position, Severity};

/// A verb that talks to a running daemon.
#[derive(Subcommand, Clone, Debug)]
pub enum Verb {
    /// Print events as they happen
    Sub(SubscribeArgs),
    /// Publish events
    Pub(PublishArgs),
    /// Have the daemon read its config again
    Reload,
    /// Show what a reload would change
    Diff,
    /// Look at channels
    #[command(subcommand)]
    Channel(ChannelVerb),
    /// Print the last retained event of each key
    Snapshot(SnapshotArgs),
    /// Print what was: events of the past, or what they come to
    History(Box<HistoryArgs>),
    /// Ask a source to do something
    Command(CommandArgs),
    /// Show who is working, waiting, done and dead, since when, and in which pane
    Agents(AgentsArgs),
    /// Have coding agents report what they do
    #[command(subcommand)]
    Hook(HookVerb),
    /// Run an MCP server as its client would, and report how long its answers take
    McpWrap(WrapArgs),
    /// What is done to sources; the binary adds verbs of its own to these and so offers them itself
    #[command(skip)]
    Source(SourceVerb),
}

/// What is done to sources of a running daemon.
#[derive(Subcommand, Clone, Debug)]
pub enum SourceVerb {
    /// List sources with their state
    List,
    /// Stop a source and start it again
    Restart {
        /// Its name in the config
        name: String,
    },
}

/// What is done to channels.
#[derive(Subcommand, Clone, Copy, Debug)]
pub enum ChannelVerb {
    /// List channels with what they hold
    List,
}

/// Which events, and from where.
#[derive(Args, Clone, Debug)]
pub struct SubscribeArgs {
    /// Channels and patterns, as in: tmux 'workflow:*'
    #[arg(required = true, value_name = "CHANNEL")]
    pub channels: Vec<String>,

    /// Which of their events.
    #[command(flatten)]
    pub filter: FilterArgs,

    /// Start with what was observed at this time or later: RFC 3339, or how long ago, as in 5m
    #[arg(long, env = "HEADWATER_SINCE", value_name = "TIME", conflicts_with_all = ["from", "history"])]
    pub since: Option<String>,

    /// Where to start: latest, earliest, or EPOCH:OFFSET to go on after that event
    #[arg(long, env = "HEADWATER_FROM", value_name = "PLACE", default_value = "latest", value_parser = start)]
    pub from: Start,

    /// Print what is still held before what is new
    #[arg(long, env = "HEADWATER_HISTORY", value_parser = FalseyValueParser::new())]
    pub history: bool,

    /// End after so many events
    #[arg(long, env = "HEADWATER_COUNT", value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,

    /// End when the connection ends, instead of coming back
    #[arg(long, env = "HEADWATER_NO_RECONNECT", value_parser = FalseyValueParser::new())]
    pub no_reconnect: bool,
}

/// Which events of a channel: all parts must agree.
#[derive(Args, Clone, Debug, Default)]
pub struct FilterArgs {
    /// Only types that fit this glob, as in 'pane.*'; several widen
    #[arg(long = "type", env = "HEADWATER_TYPE", value_name = "GLOB", value_delimiter = ',')]
    pub types: Vec<String>,

    /// Only this severity and worse: debug, info, warning, error, critical
    #[arg(long, env = "HEADWATER_SEVERITY", value_name = "LEVEL")]
    pub severity: Option<Severity>,

    /// Only events with this attribute, whose value may be a glob; several narrow
    #[arg(long = "attribute", env = "HEADWATER_ATTRIBUTE", value_name = "NAME=VALUE", value_parser = pair)]
    pub attributes: Vec<(String, String)>,

    /// Only events of this source; several widen
    #[arg(long = "source", env = "HEADWATER_SOURCE", value_name = "NAME", value_delimiter = ',')]
    pub sources: Vec<String>,

    /// Only events for which this CEL expression holds, as in 'data.percent > 90'
    #[arg(long = "where", env = "HEADWATER_WHERE", value_name = "EXPRESSION", allow_hyphen_values = true)]
    pub expression: Option<String>,
}

/// What is published.
#[derive(Args, Clone, Debug)]
pub struct PublishArgs {
    /// The channel; `-` alone reads whole events from standard input, one JSON object each
    pub channel: String,

    /// What happened, as in: deploy.finished
    #[arg(value_name = "TYPE")]
    pub kind: Option<String>,

    /// The payload as JSON; without it, or with `-`, each JSON value on standard input is one event
    pub data: Option<String>,

    /// How bad it is: debug, info, warning, error, critical
    #[arg(long, env = "HEADWATER_SEVERITY", value_name = "LEVEL")]
    pub severity: Option<Severity>,

    /// A flat string to filter by; can be given several times
    #[arg(long = "attribute", env = "HEADWATER_ATTRIBUTE", value_name = "NAME=VALUE", value_parser = pair)]
    pub attributes: Vec<(String, String)>,

    /// Keep it as the last one of this key, for `snapshot` and late subscribers
    #[arg(long, env = "HEADWATER_KEY", value_name = "KEY")]
    pub key: Option<String>,
}

/// Which channels' retained events.
#[derive(Args, Clone, Debug)]
pub struct SnapshotArgs {
    /// Channels and patterns
    #[arg(required = true, value_name = "CHANNEL")]
    pub channels: Vec<String>,
}

/// What a source is asked to do.
#[derive(Args, Clone, Debug)]
pub struct CommandArgs {
    /// The command, or SOURCE/COMMAND where several sources have it
    pub name: String,

    /// Its parameters, a JSON object
    #[arg(value_name = "JSON")]
    pub parameters: Option<String>,
}

/// `NAME=VALUE`.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("an attribute is NAME=VALUE, as in session=api".to_owned()),
    }
}

fn start(text: &str) -> Result<Start, String> {
    let position = || {
        let (epoch, offset) = text.split_once(':')?;
        Some(Position { epoch: Epoch::parse(epoch)?, offset: offset.parse().ok()? })
    };
    match text {
        "latest" => Ok(Start::Latest),
        "earliest" => Ok(Start::Earliest),
        _ => position().map(Start::After).ok_or_else(|| {
            "a place is latest, earliest, or EPOCH:OFFSET as events carry them, such as 00000000000000ab:12".to_owned()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Globals;
    use clap::{CommandFactory, Parser};

    /// As the binary puts it together.
    #[derive(Parser, Debug)]
    #[command(name = "headwater")]
    struct Program {
        #[command(flatten)]
        globals: Globals,
        #[command(subcommand)]
        verb: Verbs,
    }

    #[derive(Subcommand, Debug)]
    enum Verbs {
        #[command(flatten)]
        Client(Verb),
        /// Sources
        #[command(subcommand)]
        Source(Sources),
    }

    #[derive(Subcommand, Debug)]
    enum Sources {
        #[command(flatten)]
        Client(SourceVerb),
        /// One that the binary adds
        Enable { name: String },
    }

    fn parse(line: &str) -> Result<Program, clap::Error> {
        Program::try_parse_from(std::iter::once("headwater").chain(line.split(' ')))
    }

    #[test]
    fn the_binary_can_flatten_the_verbs() {
        Program::command().debug_assert();
        assert!(matches!(parse("source list").unwrap().verb, Verbs::Source(Sources::Client(SourceVerb::List))));
        assert!(matches!(parse("source enable x").unwrap().verb, Verbs::Source(Sources::Enable { .. })));
        assert_eq!(parse("reload --url http://box:1").unwrap().globals.url, "http://box:1");
        assert_eq!(parse("--token t reload").unwrap().globals.token.as_deref(), Some("t"));
    }

    #[test]
    fn sub_takes_everything() {
        let line = "sub tmux workflow:* --type pane.*,agent.* --type x --severity warning --attribute session=api* \
                    --source tmux --from 00000000000000ab:12 --history --count 3 --no-reconnect --json";
        let program = parse(&line.split_whitespace().collect::<Vec<_>>().join(" ")).unwrap();
        let Verbs::Client(Verb::Sub(args)) = program.verb else { panic!() };
        assert_eq!(args.channels, ["tmux", "workflow:*"]);
        assert_eq!(args.filter.types, ["pane.*", "agent.*", "x"]);
        assert_eq!(args.filter.severity, Some(Severity::Warning));
        assert_eq!(args.filter.attributes, [("session".into(), "api*".into())]);
        assert_eq!(args.from, Start::After(Position { epoch: Epoch(0xab), offset: 12 }));
        assert!(args.history && args.no_reconnect && program.globals.json);
        assert_eq!((args.filter.sources, args.count), (vec!["tmux".to_owned()], Some(3)));
    }

    #[test]
    fn what_makes_no_sense_says_what_would() {
        for (line, words) in [
            ("sub", "CHANNEL"),
            ("sub a --from yesterday", "earliest"),
            ("sub a --attribute session", "NAME=VALUE"),
            ("sub a --severity loud", "critical"),
            ("sub a --count 0", "0"),
            ("pub", "CHANNEL"),
            ("command", "NAME"),
            ("history", "CHANNEL"),
            ("history a --granularity week", "minute"),
            ("history a --limit 0", "0"),
            ("history export a", "--output"),
            ("history export --output x", "CHANNEL"),
            ("history a --desc export b --output x", "export"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.to_string().contains(words), "{line}: {error}");
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn every_option_has_its_variable() {
        let command = Program::command();
        let verbs = command.get_subcommands().flat_map(clap::Command::get_arguments);
        for option in command.get_arguments().chain(verbs).filter(|a| a.get_long().is_some() && a.get_id() != "help") {
            let long = option.get_long().expect("filtered above").replace('-', "_").to_uppercase();
            let variable = option.get_env().and_then(|name| name.to_str()).map(str::to_owned);
            assert_eq!(variable, Some(format!("HEADWATER_{long}")));
        }
    }
}
