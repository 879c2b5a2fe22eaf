//! `headwater plugin list` and `inspect`: what can be found and what it says of itself, without running a line of it.

use crate::{args::ConfigArgs, assemble::discovery, exit, say::say};
use headwater_cli::{ColorChoice, Column, Table, Terminal};
use headwater_config::{NoCatalog, load_for_start};
use headwater_host::{Discovery, Found, Manifest};
use serde_json::{Value, json};
use std::{path::PathBuf, process::ExitCode};

/// With the directories that the config names, as far as it can be read.
fn found_by(config: &ConfigArgs) -> Discovery {
    let directories: Vec<PathBuf> =
        load_for_start(&config.paths(), &NoCatalog).map(|loaded| loaded.config.plugins.directories).unwrap_or_default();
    discovery(&directories)
}

pub(crate) fn list(config: &ConfigArgs) -> ExitCode {
    let discovery = found_by(config);
    let all = discovery.list();
    let terminal = Terminal::of_stdout(ColorChoice::Auto, false);
    if !terminal.human {
        for found in &all {
            say(format_args!("{}", describe(found)));
        }
        return ExitCode::SUCCESS;
    }
    if all.is_empty() {
        say(format_args!("no plugins in:"));
        for directory in discovery.directories() {
            say(format_args!("  {}", directory.display()));
        }
        return ExitCode::SUCCESS;
    }
    let mut table =
        Table::new(&[Column::text("NAME"), Column::text("VERSION"), Column::text("DESCRIPTION"), Column::text("FILE")]);
    for found in &all {
        let file = found.path.display().to_string();
        match &found.manifest {
            Ok(manifest) => {
                table.row(&[&manifest.name, &manifest.version, manifest.description.as_deref().unwrap_or(""), &file]);
            }
            Err(unfit) => table.row(&["✗", "", &unfit.to_string(), &file]),
        }
    }
    for line in table.lines(terminal.width, terminal.style) {
        say(line);
    }
    ExitCode::SUCCESS
}

fn describe(found: &Found) -> serde_json::Value {
    match &found.manifest {
        Ok(manifest) => json!({"path": found.path, "manifest": shown(manifest)}),
        Err(unfit) => json!({"path": found.path, "error": unfit.to_string()}),
    }
}

/// A manifest as it is shown, in the words of the manifest itself; what the plugin does not say is absent.
fn shown(manifest: &Manifest) -> Value {
    let commands: Vec<Value> = manifest
        .commands
        .iter()
        .map(|c| {
            known([
                ("name", json!(c.name)),
                ("permission", json!(c.permission)),
                ("description", json!(c.description)),
                ("parameters", json!(c.parameters)),
            ])
        })
        .collect();
    known([
        ("name", json!(manifest.name)),
        ("version", json!(manifest.version)),
        ("description", json!(manifest.description)),
        ("abi", json!(manifest.abi)),
        ("panic", json!(manifest.panic)),
        ("emits", json!(manifest.emits)),
        ("reads", json!(manifest.reads)),
        ("commands", json!(commands)),
        ("rustc", json!(manifest.rustc)),
        ("target", json!(manifest.target)),
        ("sdk", json!(manifest.sdk)),
        ("config_schema", json!(manifest.config_schema)),
    ])
}

fn known<const N: usize>(fields: [(&str, Value); N]) -> Value {
    fields.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(crate) fn inspect(plugin: &str, config: &ConfigArgs) -> ExitCode {
    match found_by(config).find(plugin) {
        Ok(found) => {
            say(format_args!("{:#}", json!({"path": found.path, "manifest": shown(&found.manifest)})));
            ExitCode::SUCCESS
        }
        Err(error) => exit::fail(exit::FAILURE, error),
    }
}
