//! Who may import what: the table of ARCHITECTURE.md, held against what cargo says of the workspace.
//!
//! Cargo itself forbids cycles; this forbids every arrow that the table does not draw. A new arrow is a change of the
//! architecture: it changes the table here and in ARCHITECTURE.md, in a commit of its own.

use cargo_metadata::{DependencyKind, MetadataCommand};
use std::{collections::BTreeMap, path::Path};

/// A crate's room, and the rooms it may import.
const TABLE: [(&str, &[&str]); 19] = [
    ("plugin-api/abi", &[]),
    ("plugin-api/macros", &[]),
    ("core/event", &[]),
    ("config", &[]),
    ("plugin-api", &["plugin-api/abi", "plugin-api/macros"]),
    ("plugin-api/testkit", &["plugin-api"]),
    ("core/protocol", &["core/event"]),
    ("core/engine", &["core/event"]),
    ("core/filter", &["core/event"]),
    ("core/router", &["core/event", "core/engine"]),
    ("core/follow", &["core/event", "core/filter", "core/router"]),
    ("core/history", &["core/event", "core/filter", "core/router"]),
    ("core/webhooks", &["core/event", "core/filter", "core/follow", "core/protocol"]),
    ("core/host", &["plugin-api/abi", "config", "core/event"]),
    (
        "core/gateway",
        &["config", "core/event", "core/filter", "core/follow", "core/history", "core/protocol", "core/router"],
    ),
    (
        "core",
        &[
            "core/event",
            "core/protocol",
            "core/engine",
            "core/filter",
            "core/follow",
            "core/history",
            "core/webhooks",
            "core/router",
            "core/host",
            "core/gateway",
            "config",
            "clients/cli",
        ],
    ),
    ("clients/rust", &["core/event", "core/protocol"]),
    ("clients/cli", &["clients/rust", "core/event", "core/protocol"]),
    // Every folder of plugins/ is this row.
    ("plugins/*", &["plugin-api"]),
];

/// What a crate may import for its own tests besides.
const IN_TESTS: [(&str, &[&str]); 5] = [
    ("plugins/*", &["plugin-api/testkit"]),
    // The gateway's tests need a router, and a router needs some engine; the gateway itself knows none.
    ("core/gateway", &["core/engine"]),
    ("core/follow", &["core/engine"]),
    ("core/history", &["core/engine"]),
    ("core/webhooks", &["core/engine", "core/router"]),
];

/// Rooms that look at the others from outside: they may import anything, and nobody may import them.
const OUTSIDE: [&str; 3] = ["tests", "bench", "xtask"];

/// One crate of the workspace imports another.
#[derive(Debug, Clone, PartialEq)]
struct Arrow {
    from: String,
    to: String,
    in_tests: bool,
}

impl Arrow {
    fn new(from: &str, to: &str, in_tests: bool) -> Self {
        Self { from: from.to_owned(), to: to.to_owned(), in_tests }
    }
}

/// What is wrong with these rooms and arrows, a sentence each.
fn breaches(rooms: &[String], arrows: &[Arrow]) -> Vec<String> {
    let mut breaches = Vec::new();
    for room in rooms.iter().filter(|room| !outside(room) && row(&TABLE, room).is_none()) {
        breaches.push(format!("{room} has no row in the table of tests/layers.rs"));
    }
    for Arrow { from, to, in_tests } in arrows {
        if outside(to) {
            breaches.push(format!("{from} imports {to}, which nobody may import"));
            continue;
        }
        let allowed = row(&TABLE, from).is_some_and(|allowed| allowed.contains(&to.as_str()));
        let for_tests = *in_tests && row(&IN_TESTS, from).is_some_and(|allowed| allowed.contains(&to.as_str()));
        if !(outside(from) || allowed || for_tests) {
            let tests = if *in_tests { " in its tests" } else { "" };
            breaches.push(format!("{from} imports {to}{tests}, and the table draws no such arrow"));
        }
    }
    breaches
}

fn outside(room: &str) -> bool {
    OUTSIDE.iter().any(|outside| room == *outside || room.starts_with(&format!("{outside}/")))
}

fn row<'a>(table: &'a [(&str, &'a [&'a str])], room: &str) -> Option<&'a [&'a str]> {
    let name = if room.starts_with("plugins/") { "plugins/*" } else { room };
    table.iter().find(|(row, _)| *row == name).map(|(_, allowed)| *allowed)
}

/// The rooms of this workspace, and every arrow between them.
fn workspace() -> (Vec<String>, Vec<Arrow>) {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let metadata =
        MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("cargo describes the workspace");
    let room = |path: &Path| {
        let path = path.strip_prefix(&metadata.workspace_root).expect("a member stands in the workspace");
        path.to_str().expect("a room has a readable name").to_owned()
    };
    let rooms: BTreeMap<&str, String> = metadata
        .packages
        .iter()
        .map(|package| {
            let folder = package.manifest_path.parent().expect("a manifest stands in a folder");
            (package.name.as_str(), room(folder.as_std_path()))
        })
        .collect();
    let mut arrows = Vec::new();
    for package in &metadata.packages {
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_some()) {
            let to = rooms.get(dependency.name.as_str()).expect("what has a path is a member");
            let in_tests = dependency.kind == DependencyKind::Development;
            arrows.push(Arrow::new(&rooms[package.name.as_str()], to, in_tests));
        }
    }
    (rooms.into_values().collect(), arrows)
}

#[test]
fn every_import_is_an_arrow_of_the_table() {
    let (rooms, arrows) = workspace();
    // Were nothing found, nothing could be wrong with it.
    assert!(rooms.len() > 15 && arrows.len() > 20, "cargo told of too little: {rooms:?} {arrows:?}");
    assert!(arrows.contains(&Arrow::new("core/router", "core/engine", false)));
    let breaches = breaches(&rooms, &arrows);
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn a_wrong_arrow_is_named() {
    let (rooms, _) = workspace();
    for (arrow, named) in [
        (Arrow::new("core/gateway", "core/engine", false), "core/gateway imports core/engine"),
        (Arrow::new("core/host", "core/router", true), "core/host imports core/router in its tests"),
        (Arrow::new("plugins/metrics", "core/event", false), "plugins/metrics imports core/event"),
        (Arrow::new("plugins/metrics", "plugin-api/testkit", false), "plugins/metrics imports plugin-api/testkit"),
        (Arrow::new("clients/cli", "tests", true), "nobody may import"),
        (Arrow::new("core/event", "bench", false), "nobody may import"),
    ] {
        let breaches = breaches(&rooms, std::slice::from_ref(&arrow));
        assert_eq!(breaches.len(), 1, "{arrow:?}: {breaches:?}");
        assert!(breaches[0].contains(named), "{breaches:?}");
    }
    let with_room = [rooms, vec!["core/telemetry".to_owned()]].concat();
    assert!(breaches(&with_room, &[])[0].contains("core/telemetry has no row"));
}
