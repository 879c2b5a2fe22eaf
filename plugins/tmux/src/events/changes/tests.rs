//! Each step that is an event, with the ids that it must carry.

use super::*;
use crate::tree::{Pane, Session, Window, diff::diff, id::Id};
use std::collections::BTreeMap;

fn server() -> Server {
    Server { pid: 4711, started: 1_700_000_000, socket: "/tmp/s".into(), version: "3.3a".into() }
}

fn tree(session: &str, windows: &[(u32, u32, &str)], panes: &[(u32, u32, u32)]) -> Tree {
    let links: BTreeMap<_, _> = windows.iter().map(|(index, id, _)| (*index, Id(*id))).collect();
    let current = links.keys().next().copied();
    let session =
        Session { name: session.into(), path: Some("/home".into()), windows: links, current, ..Session::default() };
    let window = |name: &&str| Window { name: (*name).to_owned(), active: None };
    let pane = |window: u32, index: u32| Pane {
        window: Id(window),
        index,
        size: (24, 80),
        pid: Some(99),
        title: "vm".into(),
        command: "sh".into(),
        path: "/".into(),
        dead: None,
    };
    Tree {
        sessions: BTreeMap::from([(Id(1), session)]),
        windows: windows.iter().map(|(_, id, name)| (Id(*id), window(name))).collect(),
        panes: panes.iter().map(|(id, window, index)| (Id(*id), pane(*window, *index))).collect(),
    }
}

fn between(old: &Tree, new: &Tree) -> Vec<(&'static str, Value)> {
    let told = events(&server(), old, new, &diff(old, new));
    told.iter().map(|told| (told.kind, Value::Object(told.data()))).collect()
}

/// What every event about `work`'s window 0 has.
fn with(more: Value) -> Value {
    let mut data = json!({
        "server": { "pid": 4711, "started": 1_700_000_000, "socket": "/tmp/s" },
        "session": "work", "session_id": "$1", "window": 0, "window_id": "@2",
    });
    let Value::Object(more) = more else { panic!() };
    more.into_iter().for_each(|(key, value)| data[&key] = value);
    data
}

#[test]
fn what_appears_is_told_from_the_outside_in_and_goes_from_the_inside_out() {
    let full = tree("work", &[(0, 2, "shell")], &[(3, 2, 0)]);
    let kinds = |told: Vec<(&'static str, Value)>| told.into_iter().map(|(kind, _)| kind).collect::<Vec<_>>();
    let created = between(&Tree::default(), &full);
    assert_eq!(created[0].1["session_info"], json!({ "attached": false }));
    assert_eq!((&created[0].1["windows"], &created[0].1["path"]), (&json!(1), &json!("/home")));
    assert_eq!(created[1].1, with(json!({ "name": "shell", "window_info": { "name": "shell" } })));
    let pane = json!({ "pane_id": "%3", "pane": 0, "pid": 99, "title": "vm", "command": "sh", "path": "/" });
    assert_eq!(created[2].1, with(pane));
    assert_eq!(kinds(created), ["session.created", "window.created", "pane.created"]);
    let removed = between(&full, &Tree::default());
    assert_eq!(removed[1].1, with(json!({})), "by the names that it had");
    assert_eq!(kinds(removed), ["pane.removed", "window.removed", "session.removed"]);
}

#[test]
fn names_titles_and_commands_are_told_with_what_they_were() {
    let old = tree("work", &[(0, 2, "shell")], &[(3, 2, 0)]);
    let mut new = old.clone();
    new.sessions.get_mut(&Id(1)).unwrap().name = "play".into();
    assert_eq!(between(&old, &new)[0].0, "session.renamed");
    assert_eq!(between(&old, &new)[0].1["old_name"], "work");
    assert_eq!(between(&old, &new)[0].1["session"], "play");
    let mut new = old.clone();
    new.windows.get_mut(&Id(2)).unwrap().name = "agent".into();
    let renamed = with(json!({ "old_name": "shell", "new_name": "agent" }));
    assert_eq!(between(&old, &new), [("window.renamed", renamed)]);
    let mut new = old.clone();
    let pane = new.panes.get_mut(&Id(3)).unwrap();
    (pane.title, pane.command) = ("✳ ready".into(), "claude".into());
    let at = |more: Value| {
        let mut data = with(more);
        (data["pane_id"], data["pane"]) = (json!("%3"), json!(0));
        data
    };
    let title = at(json!({ "title": "✳ ready", "previous": "vm" }));
    let command = at(json!({ "command": "claude", "previous": "sh" }));
    assert_eq!(between(&old, &new), [("pane.title", title), ("pane.command", command)]);
}

#[test]
fn clients_come_and_go() {
    let old = tree("work", &[(0, 2, "shell")], &[]);
    let mut new = old.clone();
    new.sessions.get_mut(&Id(1)).unwrap().attached = 1;
    assert_eq!(between(&old, &new)[0].0, "session.attached");
    assert_eq!(between(&new, &old)[0].0, "session.detached");
    assert_eq!(between(&Tree::default(), &new)[1].0, "session.attached", "a session that begins with a client");
}

#[test]
fn a_window_is_activated_when_another_one_is_current_and_not_when_it_moves() {
    let old = tree("work", &[(0, 2, "a"), (1, 5, "b")], &[]);
    let mut new = old.clone();
    new.sessions.get_mut(&Id(1)).unwrap().current = Some(1);
    let told = between(&old, &new);
    assert_eq!((told.len(), told[0].0, &told[0].1["window_id"]), (1, "window.activated", &json!("@5")));
    let moved = tree("work", &[(1, 2, "a"), (4, 5, "b")], &[]);
    assert_eq!(between(&old, &moved), []);
}
