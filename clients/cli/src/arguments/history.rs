//! The arguments of `headwater history` and of `headwater history export`.

use super::FilterArgs;
use clap::{Args, Subcommand, ValueEnum, builder::FalseyValueParser};
use headwater_client::HistoryQuery;
use std::path::PathBuf;

/// What to print.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct HistoryArgs {
    /// Or what else to do with it.
    #[command(subcommand)]
    pub verb: Option<HistoryVerb>,

    /// Which events.
    #[command(flatten)]
    pub which: Which,

    /// End after so many events or points
    #[arg(long, env = "HEADWATER_LIMIT", value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,

    /// The newest first
    #[arg(long, env = "HEADWATER_DESC", value_parser = FalseyValueParser::new())]
    pub desc: bool,

    /// Not the events but what each stretch of time came to: second, minute, hour, day
    #[arg(long, env = "HEADWATER_GRANULARITY", value_name = "STRETCH", value_parser = ["second", "minute", "hour", "day"])]
    pub granularity: Option<String>,

    /// Measure a number in the data, as in 'cpu' or 'system.cpu.usage'; several can be given
    #[arg(long = "metric", env = "HEADWATER_METRIC", value_name = "NAME", value_delimiter = ',')]
    pub metrics: Vec<String>,
}

/// What is done with the past.
#[derive(Subcommand, Clone, Debug)]
pub enum HistoryVerb {
    /// Write it to a file
    Export(ExportArgs),
}

/// What is written, and how.
#[derive(Args, Clone, Debug)]
pub struct ExportArgs {
    /// Which events.
    #[command(flatten)]
    pub which: Which,

    /// The form of the file [default: as its name ends, else ndjson]
    #[arg(long, env = "HEADWATER_FORMAT", value_name = "FORMAT")]
    pub format: Option<ExportFormat>,

    /// Where to; `-` is the standard output. A file is there when all of it is
    #[arg(long, short, env = "HEADWATER_OUTPUT", value_name = "FILE")]
    pub output: PathBuf,

    /// CSV with a column for each field of the data, instead of one with its JSON
    #[arg(long, env = "HEADWATER_FLATTEN", value_parser = FalseyValueParser::new())]
    pub flatten: bool,
}

/// The form of an exported file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// One event a line, as JSON
    Ndjson,
    /// A table with a line of headings
    Csv,
}

/// Which events of the past.
#[derive(Args, Clone, Debug)]
pub struct Which {
    /// A channel or a pattern, as in: tmux 'workflow:*'
    #[arg(required = true, value_name = "CHANNEL")]
    pub channel: Option<String>,

    /// From this time on: RFC 3339, or how long ago, as in 1h
    #[arg(long, env = "HEADWATER_SINCE", value_name = "TIME")]
    pub since: Option<String>,

    /// Until this time, which no longer belongs to it
    #[arg(long, env = "HEADWATER_UNTIL", value_name = "TIME")]
    pub until: Option<String>,

    /// Which of their events.
    #[command(flatten)]
    pub filter: FilterArgs,
}

impl Which {
    /// The question, oldest first and without a limit.
    pub(crate) fn query(&self) -> HistoryQuery {
        HistoryQuery {
            channel: self.channel.clone().unwrap_or_default(),
            since: self.since.clone(),
            until: self.until.clone(),
            types: self.filter.types.clone(),
            severity: self.filter.severity,
            attributes: self.filter.attributes.iter().cloned().collect(),
            sources: self.filter.sources.clone(),
            expression: self.filter.expression.clone(),
            ..HistoryQuery::default()
        }
    }
}
