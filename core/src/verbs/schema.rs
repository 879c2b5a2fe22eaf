//! `headwater schema`: JSON Schemas for editors and tools.

use crate::{args::SchemaOf, assemble::discovery, exit, say::say};
use std::process::ExitCode;

pub(crate) fn run(of: &SchemaOf) -> ExitCode {
    let schema = match of {
        SchemaOf::Config => headwater_config::json_schema(),
        SchemaOf::Plugin { plugin } => match discovery(&[]).find(plugin) {
            Ok(found) => match found.manifest.config_schema {
                Some(schema) => schema,
                None => return exit::fail(exit::FAILURE, format!("plugin `{plugin}` says nothing of its settings")),
            },
            Err(error) => return exit::fail(exit::FAILURE, error),
        },
    };
    say(format_args!("{schema:#}"));
    ExitCode::SUCCESS
}
