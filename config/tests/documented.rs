//! What is written down is what the code does: the default file, the schema for editors, the reference, the examples.

#![allow(clippy::unwrap_used)] // Tests.

mod world;

use expect_test::expect_file;
use headwater_config::{Config, NoCatalog, Paths, Program, default_file, json_schema, load, reference};
use std::collections::BTreeSet;
use world::{World, here};

#[test]
fn the_default_file_is_not_stale() {
    expect_file![here().join("headwater.toml")].assert_eq(&default_file());
}

#[test]
fn the_schema_for_editors_is_not_stale() {
    let text = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    expect_file![here().join("headwater.schema.json")].assert_eq(&text);
}

#[test]
fn the_reference_is_not_stale() {
    expect_file![here().join("../docs/config.md")].assert_eq(&reference());
}

/// What runs without a config and what the default file says must not drift apart.
#[test]
fn the_default_file_is_the_builtin_config() {
    let loaded = load(&Paths::new(here().join("headwater.toml")), &NoCatalog).unwrap();
    assert_eq!(loaded.config, Config::builtin());
    assert_eq!(loaded.warnings, []);
}

/// A line that people are told to uncomment must work, and change nothing when it shows the default.
#[test]
fn every_documented_option_can_be_uncommented() {
    let text: String = default_file()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(option) if option.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()) => format!("{option}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let world = World::new(&[("headwater.toml", text.as_bytes())]);
    let config = load(&world.paths, &NoCatalog).unwrap_or_else(|faults| panic!("{faults}")).config;
    let expected = Config::default();
    // What has no default is shown with an example.
    assert!(config.gateway.socket.is_some() && config.history.path.is_some());
    assert!(config.history.retention.events.is_some());
    let gateway = headwater_config::Gateway { socket: None, ..config.gateway };
    assert_eq!(gateway, expected.gateway);
    let retention = headwater_config::Retention { events: None, ..config.history.retention };
    let kept = config.history.channels;
    let history = headwater_config::History { path: None, retention, channels: Vec::new(), ..config.history };
    assert_eq!(history, expected.history);
    assert_eq!(kept.len(), 1);
    assert!(kept[0].store && kept[0].age.is_some() && kept[0].events.is_some() && kept[0].size.is_some());
    let hook = &config.webhooks["deploys"];
    assert!(hook.enabled && hook.filter.severity.is_some() && hook.filter.expression.is_some());
    assert_eq!(hook.filter.attributes.len(), 1);
    assert_eq!(config.router, expected.router);
    assert_eq!(config.plugins, expected.plugins);
    assert_eq!(config.supervision, expected.supervision);
    assert_eq!(config.log, expected.log);
    let (metrics, builtin) = (&config.sources["metrics"], &Config::builtin().sources["metrics"]);
    assert_eq!(metrics.settings["interval"], builtin.settings["interval"]);
    assert!(metrics.settings["groups"].is_object() && metrics.settings["alerts"][0].is_object(), "examples");
    let common = |s: &headwater_config::SourceConfig| (s.enabled, s.isolation, s.heartbeat, s.grace, s.program.clone());
    assert_eq!(common(metrics), common(builtin));
    assert!(metrics.memory_limit.is_some() && metrics.sha256.is_some() && metrics.log_level.is_some());
    let clock = &config.sources["clock"];
    assert_eq!(clock.program, Program::Exec(vec!["python3".to_owned(), "clock.py".to_owned()]));
    assert!(clock.channels.is_some());
}

#[test]
fn every_option_of_the_schema_is_in_the_default_file() {
    let text = default_file();
    let mut missing = Vec::new();
    for (name, definition) in json_schema()["$defs"].as_object().unwrap() {
        for key in definition["properties"].as_object().unwrap().keys() {
            let documented = text.lines().any(|line| line.starts_with(&format!("#{key} = ")));
            let section = text.lines().any(|line| {
                let header = line.trim_start_matches('#');
                header.starts_with('[') && header.trim_end_matches(']').ends_with(&format!(".{key}"))
            });
            if !documented && !section {
                missing.push(format!("{name}.{key}"));
            }
        }
    }
    assert_eq!(missing, [] as [String; 0]);
}

#[test]
fn the_examples_load() {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(here().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "toml") {
            let loaded = load(&Paths::new(&path), &NoCatalog).unwrap_or_else(|faults| panic!("{faults}"));
            assert_eq!(loaded.warnings, []);
            names.insert(path.file_stem().unwrap().to_str().unwrap().to_owned());
        }
    }
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["clock", "history", "mcp", "minimal", "small", "webhook"]);
}

/// Every code that the golden files show is explained, and every code that is explained has a golden file.
#[test]
fn codes_are_explained_and_shown() {
    let mut shown = BTreeSet::new();
    for entry in std::fs::read_dir(here().join("tests/golden")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        shown.extend(text.match_indices("[E0").map(|(at, _)| text[at + 1..at + 6].to_owned()));
    }
    let text = reference();
    let explained: BTreeSet<String> =
        text.lines().filter_map(|line| line.strip_prefix("| E")).map(|rest| format!("E{}", &rest[..4])).collect();
    assert_eq!(shown, explained);
}
