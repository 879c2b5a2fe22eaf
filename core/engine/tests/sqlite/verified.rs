//! That verifying finds what is wrong, says where, and finds nothing wrong in a file that is being written.

use crate::world::{World, draft, name, until};
use headwater_engine::{Engine, Keep, VerifyError, verify};
use headwater_event::{Draft, Retention};
use std::{fs, os::unix::fs::FileExt};

const STRIDE: i64 = 1 << 42;

/// 600 events in one channel, some of them snapshots, and a few in another one.
fn with_history() -> World {
    let world = World::new();
    let running = world.start();
    let keyed = |number| Draft { retention: Retention::Keep("k".into()), ..draft("a", number) };
    for number in 0..60 {
        let mut batch: Vec<_> = (0..9).map(|part| draft("a", number * 10 + part)).collect();
        batch.push(keyed(number * 10 + 9));
        running.publish(batch);
    }
    running.publish(vec![draft("b", 1), draft("b", 2)]);
    drop(running);
    world
}

#[test]
fn a_whole_file_is_clean_and_counted() {
    let world = with_history();
    let mut told = Vec::new();
    let report = verify(&world.path(), |done, total| told.push((done, total))).unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.channels, report.events, report.epochs, report.holes, report.snapshots), (2, 602, 2, 0, 1));
    assert!(told.is_sorted() && told.len() > 3, "{told:?}");
    assert_eq!(told.last(), Some(&(1204, 1204)));
}

#[test]
fn whatever_is_wrong_is_found_and_named() {
    for (damage, finding) in [
        ("DELETE FROM event WHERE at = {a} + 5", "channel `a`: offsets 5 to 5 are missing, and not noted as a hole"),
        ("UPDATE event SET data = '{' WHERE at = {a} + 7", "channel `a`: the data of `a` "),
        ("UPDATE event SET data = x'00' WHERE at = {a} + 7", "channel `a`: the data of `a` "),
        ("UPDATE event SET attributes = '[1]' WHERE at = {a} + 7", "channel `a`: the attributes of `a` "),
        ("UPDATE event SET severity = 9 WHERE at = {a} + 7", "channel `a`: the severity of `a` "),
        ("UPDATE event SET id = x'0011' WHERE at = {a} + 7", "channel `a`: the id of `a` "),
        ("UPDATE event SET id = zeroblob(16) WHERE at = {a} + 7", "channel `a`: the id of offset 7 is no UUIDv7"),
        (
            "UPDATE event SET id = (SELECT id FROM event WHERE at = {a} + 300) WHERE at = {b} + 2",
            "channel `b`: the id of offset 2, ",
        ),
        ("UPDATE epoch SET first = 0 WHERE channel = 1", "channel `a`: its epochs do not follow each other"),
        ("INSERT INTO epoch SELECT channel, 2, 9, epoch, began FROM epoch", "channel `a`: one epoch stands for two"),
        ("DELETE FROM epoch WHERE channel = 1", "channel `a`: it has no epoch"),
        ("INSERT INTO hole VALUES(1, 5, 6, 'corruption', 0)", "channel `a`: offset 5 is there, and noted as a hole"),
        (
            "INSERT INTO hole VALUES(1, 700, 720, 'corruption', 0), (1, 710, 711, 'corruption', 0)",
            "channel `a`: the hole from 710 to 711 overlaps another one",
        ),
        ("DELETE FROM channel WHERE id = 2", "there are events of channel number 2, which is unknown"),
        ("UPDATE channel SET name = 'no good' WHERE id = 2", "`no good` is no channel name"),
        (
            "UPDATE span SET latest = latest - 1000000000000",
            "channel `a`: the times of the span from offset 0 are wrong",
        ),
        ("DELETE FROM span WHERE at = {a} + 256", "channel `a`: the times of the span from offset 256 are wrong"),
        ("UPDATE snapshot SET at = at - 10", "channel `a`: the snapshot of `k`, offset 590, is not its last event"),
        ("DROP TABLE span", "no such table: span"),
    ] {
        let world = with_history();
        let damage = damage.replace("{a}", &STRIDE.to_string()).replace("{b}", &(2 * STRIDE).to_string());
        rusqlite::Connection::open(world.path()).unwrap().execute_batch(&damage).unwrap();
        let report = verify(&world.path(), |_, _| {}).unwrap();
        let found: Vec<_> = report.problems.iter().map(ToString::to_string).collect();
        assert!(found.iter().any(|problem| problem.starts_with(finding)), "{damage}: {found:?}");
        assert_eq!(report.problem_count, found.len() as u64);
    }
}

#[test]
fn a_damaged_page_is_found() {
    let world = with_history();
    let file = fs::OpenOptions::new().write(true).open(world.path()).unwrap();
    let pages = file.metadata().unwrap().len() / 4096;
    // A leaf of the events.
    file.write_all_at(&[0x5a; 4096], (pages - 6) * 4096).unwrap();
    let report = verify(&world.path(), |_, _| {}).unwrap();
    assert!(!report.is_clean());
}

#[test]
fn what_is_no_history_cannot_be_verified() {
    let world = World::new();
    let error = verify(&world.path(), |_, _| {}).unwrap_err();
    assert!(matches!(error, VerifyError::Unreadable { .. }), "{error}");
    assert!(!world.path().exists(), "verifying made a file");
    fs::write(world.path(), "notes ".repeat(1_000)).unwrap();
    let error = verify(&world.path(), |_, _| {}).unwrap_err();
    assert!(matches!(error, VerifyError::Foreign { .. }), "{error}");
    let world = with_history();
    rusqlite::Connection::open(world.path()).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    let error = verify(&world.path(), |_, _| {}).unwrap_err();
    assert!(error.to_string().contains("its format is 99"), "{error}");
}

#[test]
fn a_file_that_is_being_written_and_cut_is_clean() {
    let world = World::new();
    let running = world.start_with(|options| options.keep = Keep { events: Some(3_000), ..Keep::default() });
    std::thread::scope(|scope| {
        let publisher = scope.spawn(|| {
            for number in 0..600_u64 {
                let keyed = Draft { retention: Retention::Keep((number % 7).to_string().into()), ..draft("a", number) };
                let batch = (0..40).map(|part| draft(if part % 3 == 0 { "b" } else { "a" }, part)).chain([keyed]);
                running.publish(batch.collect());
            }
        });
        while !publisher.is_finished() {
            let report = verify(&world.path(), |_, _| {}).unwrap();
            assert!(report.is_clean(), "{report:?}");
        }
    });
    until(|| running.engine.open(&name("a")).unwrap().first > 10_000);
    let report = verify(&world.path(), |_, _| {}).unwrap();
    assert!(report.is_clean() && report.events >= 3_000, "{report:?}");
}
