//! Names and keys that try to be more than names and keys. They are told and typed as they are: nothing in them is run, and
//! no other session is reached.

use super::{Scene, asked, ids, listener};
use headwater_tests::{Tmux, eventually};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// So many names are tried.
const NAMES: usize = 200;

/// Names that would make this file if anything in them were run; and names that look like targets, like options and like
/// other names, or that no screen can show.
fn names(sentinel: &Path) -> Vec<String> {
    let run = format!("touch {}", sentinel.display());
    let shells =
        ["#(@)", "$(@)", "`@`", "; @", "& @", "| @", "&& @", "|| @", "\n@\n", "\r@\r", "';@;'", "\";@;\"", "\\;@\\;"];
    let tmuxes = [
        "#{l:#(@)}",
        "#{E:#(@)}",
        "#{T:#(@)}",
        "#{?1,#(@),}",
        "; run-shell '@'",
        "' ; run-shell '@' ; '",
        "{ run-shell '@' }",
    ];
    let terminals = ["\x1b]2;#(@)\x07", "\x1bk#(@)\x1b\\", "\x1bPtmux;#(@)\x1b\\", "\u{9d}2;$(@)\u{9c}"];
    let run: BTreeSet<String> = shells
        .iter()
        .chain(&tmuxes)
        .chain(&terminals)
        .flat_map(|form| {
            ["X", "aX", "Xa", "-tX", "a'X", "a\"X"].map(|around| around.replace('X', &form.replace('@', &run)))
        })
        .collect();
    let targets = [
        "prod",
        "prod-db",
        "pro",
        "=prod",
        "-t",
        "--",
        "$0",
        "@0",
        "%0",
        "$1:",
        "prod:0.0",
        ":",
        ".",
        "*",
        "?",
        "{last}",
        "!",
        "~",
        "^",
        "+1",
        "-1",
        "12:34",
        "a;",
        ";",
        ";;",
        "\\;",
        "#",
        "##",
        "#{",
        "#{session_name}",
        "#[fg=red]",
    ];
    let texts = [
        " ",
        "  a  ",
        "''",
        "\"",
        "\\",
        "\\n",
        "é✳日本語",
        "👩‍👩‍👧‍👦",
        "e\u{301}\u{302}\u{303}",
        "\u{202e}txt.exe\u{202c}",
        "\u{2066}a\u{2069}",
        "\u{200b}",
        "\u{feff}a",
        "a\tb",
        "a\nb",
        "a\rb",
        "a\0b",
        "\x01\x02\x1f\x7f",
        "\u{85}\u{9f}",
        "{\"type\":\"source.down\"}",
        "</script><script>",
        "' OR 1=1 --",
        "../../etc/passwd",
        "%s%n%x",
        "NaN",
        "null",
    ];
    let mut names: Vec<String> = run.into_iter().collect();
    names.extend(targets.into_iter().chain(texts).map(str::to_owned));
    names.extend(["x", "é", "#("].map(|part| part.repeat(300 / part.chars().count())));
    // A NUL ends an argument: no program can be given one.
    names.retain(|name| !name.contains('\0'));
    names
}

/// A server with the sessions `main`, `prod` (`$1 @1 %1`) and `prod-db` (`$2 @2 %2`).
async fn prod_and_prod_db() -> Tmux {
    let tmux = Tmux::start().await;
    // tmux renames windows by what runs in them, and on a busy machine that is a shell for a while.
    tmux.run(&["set-option", "-g", "-w", "automatic-rename", "off"]).await;
    for name in ["prod", "prod-db"] {
        tmux.run(&["new-session", "-d", "-s", name, "-x", "80", "-y", "24", "cat"]).await;
    }
    tmux
}

/// As people and programs give a name to tmux, which expands what begins with `#`.
fn unexpanded(name: &str) -> String {
    name.replace('#', "##")
}

/// What tmux itself says the name is.
async fn name_of(tmux: &Tmux, format: &str, target: &str) -> String {
    let shown = tmux.try_run(&["display-message", "-p", "-t", target, format]).await;
    let text = String::from_utf8(shown.stdout).unwrap();
    text.strip_suffix('\n').unwrap_or(&text).to_owned()
}

/// Nothing has come to `prod-db`, by whatever name.
async fn prod_db_is_as_it_was(tmux: &Tmux) {
    assert_eq!(tmux.run(&["capture-pane", "-p", "-t", "%2"]).await, "", "nothing was typed into it");
    let there = tmux.run(&["list-panes", "-s", "-t", "$2", "-F", "#{session_name} #{window_id} #{pane_id}"]).await;
    assert_eq!(there, "prod-db @2 %2");
}

/// First of all: where it is run, the file is there. A test that could not see that would be no test.
async fn the_sentinel_works(tmux: &Tmux) {
    let sentinel = tmux.path("run-by-tmux");
    tmux.run(&["rename-window", "-t", "@0", &format!("#(touch {})", sentinel.display())]).await;
    let run = async || {
        // tmux runs it in the background, and once a second at most.
        tmux.run(&["display-message", "-p", &format!("#(touch {})", sentinel.display())]).await;
        sentinel.exists().then_some(())
    };
    eventually("what tmux expands, it runs", run).await;
}

#[tokio::test]
async fn two_hundred_names_are_told_and_none_is_run() {
    let tmux = prod_and_prod_db().await;
    the_sentinel_works(&tmux).await;
    let sentinel = tmux.path("sentinel");
    let names = names(&sentinel);
    assert!(names.len() >= NAMES, "{}", names.len());
    let mut scene = Scene::with(tmux, "").await;
    let (mut sessions, mut windows) = (0, 0);
    let mut called = BTreeMap::new();
    for format in ["#{session_name}", "#{window_name}"] {
        called.insert(format, name_of(&scene.tmux, format, "%1").await);
    }
    for name in &names {
        for (command, target, format, kind) in [
            ("rename-session", "$1", "#{session_name}", "session.renamed"),
            ("rename-window", "@1", "#{window_name}", "window.renamed"),
        ] {
            // tmux may refuse it, and changes what it does not like in names.
            scene.tmux.try_run(&[command, "-t", target, "--", &unexpanded(name)]).await;
            let after = name_of(&scene.tmux, format, "%1").await;
            let before = called.insert(format, after.clone()).unwrap();
            if before == after {
                continue;
            }
            let renamed = scene.next(kind).await;
            assert_eq!((&renamed["data"]["old_name"], &renamed["data"]["new_name"]), (&json!(before), &json!(after)));
            assert!(ids(&renamed).starts_with("$1"), "{renamed}");
            *(if kind == "session.renamed" { &mut sessions } else { &mut windows }) += 1;
        }
    }
    println!("{sessions} names of sessions and {windows} of windows were told, of {}", names.len());
    assert!(sessions > NAMES / 2 && windows > NAMES * 3 / 4, "most of them are names: {sessions}, {windows}");
    // The source has looked at all of them, and still answers.
    let list = asked(&mut scene.client, "list", json!({})).await;
    assert_eq!(list["result"]["sessions"].as_array().map(Vec::len), Some(3), "{list}");
    assert!(!sentinel.exists(), "a name was run");
    prod_db_is_as_it_was(&scene.tmux).await;
}

/// A program in a pane gives its window a name by an escape sequence, and tmux takes it as it is.
#[tokio::test]
async fn programs_that_give_hostile_names_and_titles_are_told() {
    let tmux = prod_and_prod_db().await;
    tmux.run(&["set-option", "-g", "allow-rename", "on"]).await;
    let sentinel = tmux.path("sentinel");
    let names = names(&sentinel);
    let mut scene = Scene::with(tmux, "").await;
    for name in &names {
        scene.tmux.types("%1", format!("\x1bk{name}\x1b\\\x1b]2;{name}\x1b\\\r").as_bytes()).await;
    }
    // The first one has not read for long, and may have been given up.
    scene.client = listener(&scene.daemon).await;
    scene.tmux.types("%1", b"\x1bkthe end\x1b\\\r").await;
    scene.next_with("window.renamed", "new_name", "the end").await;
    assert!(!sentinel.exists(), "a name or a title was run");
    prod_db_is_as_it_was(&scene.tmux).await;
}

/// Panes are named by their ids. Whatever else is given as one is refused, and reaches nothing.
#[tokio::test]
async fn two_hundred_targets_reach_no_pane() {
    let tmux = prod_and_prod_db().await;
    let sentinel = tmux.path("sentinel");
    let names = names(&sentinel);
    let mut scene = Scene::with(tmux, "allow_send_keys = true").await;
    for name in names.iter().filter(|name| *name != "%0") {
        for (command, more) in [("capture", json!({})), ("send_keys", json!({"text": "x", "enter": true}))] {
            let mut parameters = more;
            parameters["pane"] = name.as_str().into();
            let refused = asked(&mut scene.client, command, parameters).await;
            assert_eq!(refused["error_code"], "VALIDATION_ERROR", "{name:?}: {refused}");
        }
    }
    for pane in ["%0", "%1", "%2"] {
        assert_eq!(scene.run(&["capture-pane", "-p", "-t", pane]).await, "", "{pane}");
    }
    assert!(!sentinel.exists(), "a target was run");
}

/// The pane's program writes down what it reads: exactly that was typed, there and nowhere else.
#[tokio::test]
async fn two_hundred_texts_are_typed_as_they_are() {
    let tmux = prod_and_prod_db().await;
    let (sentinel, typed) = (tmux.path("sentinel"), tmux.path("typed"));
    // Without the terminal's own line, which has an end and takes some characters for itself.
    let reads = format!("stty raw -echo; touch {0}; exec cat >{0}", typed.display());
    tmux.run(&["new-window", "-d", "-t", "$1:", &reads]).await;
    eventually("its program reads", async || typed.exists().then_some(())).await;
    let names = names(&sentinel);
    let mut scene = Scene::with(tmux, "allow_send_keys = true").await;
    let mut expected = String::new();
    for name in &names {
        let answer = asked(&mut scene.client, "send_keys", json!({"pane": "%3", "text": name})).await;
        if name.chars().any(char::is_control) {
            // A line break would be Enter.
            assert_eq!(answer["error_code"], "VALIDATION_ERROR", "{name:?}: {answer}");
        } else {
            assert_eq!(answer["type"], "command_completed", "{name:?}: {answer}");
            expected += name;
        }
    }
    for name in &names {
        let is_key = name.len() == 1 && name.chars().all(|c| c.is_ascii_alphanumeric());
        let answer = asked(&mut scene.client, "send_keys", json!({"pane": "%3", "keys": [name]})).await;
        assert!(is_key || answer["error_code"] == "VALIDATION_ERROR", "{name:?}: {answer}");
    }
    eventually("all is read", async || (fs::read(&typed).unwrap().len() >= expected.len()).then_some(())).await;
    assert_eq!(fs::read_to_string(&typed).unwrap(), expected);
    assert!(!sentinel.exists(), "a text was run");
    prod_db_is_as_it_was(&scene.tmux).await;
}

/// `prod` as a target would find `prod-db` when `prod` is gone.
#[tokio::test]
async fn a_session_that_is_gone_is_not_taken_for_another_one() {
    let mut scene = Scene::with(prod_and_prod_db().await, "allow_send_keys = true\nsessions = [\"prod\"]").await;
    scene.tmux.types("%2", b"in prod-db\r").await;
    scene.tmux.types("%1", b"in prod\r").await;
    let output = scene.next("pane.output").await;
    assert_eq!(ids(&output), "$1 @1 %1", "only the session of that very name is read");
    scene.run(&["kill-session", "-t", "$1"]).await;
    assert_eq!(ids(&scene.next("session.removed").await), "$1");
    let refused = asked(&mut scene.client, "send_keys", json!({"pane": "%1", "text": "x"})).await;
    assert_eq!(refused["error_code"], "RESOURCE_NOT_FOUND", "{refused}");
    scene.run(&["rename-window", "-t", "@2", "seen"]).await;
    let next: Value = scene.next("window.renamed").await;
    assert_eq!((ids(&next).as_str(), &next["data"]["session"]), ("$2 @2", &json!("prod-db")));
    assert!(!scene.run(&["capture-pane", "-p", "-t", "%2"]).await.contains('x'));
}
