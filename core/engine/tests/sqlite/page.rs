//! `docs/history.md`: each question there is asked of a real file, while the daemon runs and with the connection of a
//! stranger, and finds something.

use crate::world::{World, draft, name, until};
use bytes::Bytes;
use headwater_engine::{Engine, Keep};
use headwater_event::{Evidence, Payload, Retention, Severity, Timestamp};
use rusqlite::{Connection, OpenFlags, types::ValueRef};
use std::{fs, process::Command};

const PAGE: &str = include_str!("../../../../docs/history.md");

/// A file in which every question of the page has an answer.
fn answering(world: &World) -> crate::world::Running {
    let running = world.start_with(|options| options.queue = 5_000);
    let mut drafts = Vec::new();
    for number in 1..=12 {
        let mut build = draft("build", number);
        build.kind = "build.done".into();
        build.time = Timestamp::parse("2026-11-20T09:30:00.123456Z").unwrap();
        build.severity = Some(Severity::Error);
        build.evidence = Some(Evidence::Observed);
        build.attributes = Box::new([("branch".into(), "main".into())]);
        drafts.push(build);
    }
    let mut disk = draft("disk", 1);
    disk.kind = "disk.usage".into();
    disk.retention = Retention::Keep("/".into());
    disk.data = Payload::new(Bytes::from_static(br#"{"used_percent": 61}"#)).unwrap();
    drafts.push(disk);
    running.publish(drafts);
    // More than the queue takes at once: a gap.
    let _ = running.engine.publish((0..100).map(|number| draft("flood", number)).collect()).unwrap().wait();
    until(|| running.engine.stats().pending_events == 0);
    running.publish(vec![draft("flood", 100)]);
    running
}

fn ask(connection: &Connection, question: &str) -> Vec<Vec<String>> {
    let mut statement = connection.prepare(question).unwrap_or_else(|error| panic!("{error}: {question}"));
    let columns = statement.column_count();
    let mut rows = statement.query([]).unwrap();
    let mut found = Vec::new();
    while let Some(row) = rows.next().unwrap_or_else(|error| panic!("{error}: {question}")) {
        let text = |column: usize| match row.get_ref(column).unwrap() {
            ValueRef::Null => "–".into(),
            ValueRef::Integer(number) => number.to_string(),
            ValueRef::Real(number) => number.to_string(),
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
            ValueRef::Blob(_) => panic!("a blob says nothing to a person: {question}"),
        };
        found.push((0..columns).map(text).collect());
    }
    found
}

fn stranger(world: &World) -> Connection {
    Connection::open_with_flags(world.path(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

fn questions() -> impl Iterator<Item = &'static str> {
    PAGE.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap())
}

/// The program that people have, which may be years older than the SQLite inside the daemon.
#[test]
fn the_sqlite3_of_this_machine_answers_them_too() {
    let world = World::new();
    let _running = answering(&world);
    for question in questions() {
        let asked = Command::new("sqlite3").arg("-readonly").arg(world.path()).arg(question).output();
        let Ok(output) = asked else {
            eprintln!("not run: there is no sqlite3 on this machine");
            return;
        };
        let problem = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !output.stdout.is_empty(), "{question}: {problem}");
    }
}

#[test]
fn every_question_of_the_page_has_an_answer() {
    let world = World::new();
    let _running = answering(&world);
    let stranger = stranger(&world);
    let questions: Vec<&str> = PAGE.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(questions.len() > 8, "the page has lost its questions");
    for question in questions {
        let rows = ask(&stranger, question);
        assert!(!rows.is_empty(), "no answer to {question}");
    }
}

#[test]
fn the_views_tell_what_was_published() {
    let world = World::new();
    let running = answering(&world);
    let stranger = stranger(&world);
    let head = running.engine.open(&name("build")).unwrap();
    let event = running.seen.lock().unwrap()[11].clone();
    let row = ask(&stranger, "SELECT * FROM events WHERE channel = 'build' AND offset = 12").remove(0);
    let (epoch, id) = (head.epoch.to_string(), event.id.to_string());
    assert_eq!(
        row[..13],
        [
            "build",
            "12",
            "2026-11-20T09:30:00.123456Z",
            "build.done",
            "test",
            "error",
            "observed",
            "–",
            "–",
            r#"{"branch":"main"}"#,
            "12",
            &epoch,
            &id,
        ]
    );
    assert_eq!(event.time.to_string(), row[2]);
    let latest = ask(&stranger, "SELECT channel, offset, data FROM latest ORDER BY channel");
    assert_eq!(latest, [["build", "12", "12"], ["disk", "1", r#"{"used_percent": 61}"#], ["flood", "101", "100"]]);
    let hours = ask(&stranger, "SELECT * FROM hourly WHERE channel = 'build'");
    assert_eq!(hours, [["build", "build.done", "2026-11-20T09:00:00Z", "12"]]);
    let gaps = ask(&stranger, "SELECT channel, last, missing + first, reason FROM gaps");
    assert_eq!(gaps, [["flood", "100", "101", "corruption"]]);
    let flood = ask(
        &stranger,
        "SELECT first, last, events = (SELECT count(*) FROM events WHERE channel = 'flood') FROM channels WHERE channel = 'flood'",
    );
    assert_eq!(flood, [["1", "101", "1"]]);
    assert_eq!(ask(&stranger, "SELECT key, offset, type FROM snapshots"), [["/", "1", "disk.usage"]]);
    assert_eq!(
        ask(&stranger, "SELECT epoch, first, last FROM epochs WHERE channel = 'build'"),
        [[epoch.as_str(), "1", "–"]]
    );
    // The page names all columns of each view.
    for view in ["events", "hourly", "channels", "gaps", "snapshots", "epochs"] {
        let statement = stranger.prepare(&format!("SELECT * FROM {view}")).unwrap();
        let columns: Vec<_> = statement.column_names().map(|column| format!("`{column}`")).collect();
        assert!(PAGE.contains(&format!("| {} |", columns.join(", "))), "{view}: {columns:?}");
    }
    // And all tables.
    for table in ask(&stranger, "SELECT name FROM sqlite_schema WHERE type = 'table'") {
        assert!(PAGE.contains(&format!("| `{}` |", table[0])), "{table:?}");
    }
    assert_eq!(ask(&stranger, "PRAGMA application_id"), [["1213682770"]]);
    assert_eq!(ask(&stranger, "PRAGMA user_version"), [["1"]]);
}

/// A question for the end of a channel must not read all of it.
#[test]
fn the_quick_way_to_sort_is_quick() {
    let world = World::new();
    let _running = answering(&world);
    let plan = ask(
        &stranger(&world),
        "EXPLAIN QUERY PLAN SELECT time, data FROM events WHERE channel = 'build' ORDER BY at DESC LIMIT 10",
    );
    let plan: Vec<&str> = plan.iter().map(|row| &*row[3]).collect();
    assert!(
        plan.iter().any(|step| step.contains("SEARCH e USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)")),
        "{plan:?}"
    );
    assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE") || step.contains("SCAN e")), "{plan:?}");
}

#[test]
fn a_stranger_may_read_all_the_time_while_the_daemon_writes_and_drops() {
    let world = World::new();
    let running = world.start_with(|options| options.keep = Keep { events: Some(500), ..Keep::default() });
    running.publish(vec![draft("a", 0)]);
    let stranger = stranger(&world);
    std::thread::scope(|scope| {
        let publisher = scope.spawn(|| {
            for number in 1..2_000 {
                running.publish(vec![draft("a", number)]);
            }
        });
        while !publisher.is_finished() {
            let found =
                ask(&stranger, "SELECT count(*), max(offset) - min(offset) + 1 FROM events WHERE channel = 'a'");
            assert_eq!(found[0][0], found[0][1], "a hole was seen");
        }
    });
    until(|| running.engine.open(&name("a")).unwrap().first == 1_501);
    assert!(running.notices().is_empty(), "{:?}", running.notices());
    assert!(fs::metadata(world.path()).unwrap().len() > 0);
}
