//! Files that cannot be used: what becomes of them at the start, and of a file that is lost while it is in use.

use crate::world::{World, draft, name, until};
use headwater_engine::{Engine, Notice, OpenError, Page, PageLimit, SqliteEngine, verify};
use headwater_event::{GapReason, Retention};
use rusqlite::Connection;
use std::{
    fs,
    os::unix::fs::{FileExt, PermissionsExt},
};

/// A history with some events, ended in order.
fn with_history(world: &World) {
    let running = world.start();
    for number in 0..200 {
        running.publish(vec![draft("a", number), draft("b", number)]);
    }
}

fn overwrite(world: &World, at: u64, bytes: &[u8]) {
    let file = fs::OpenOptions::new().write(true).open(world.path()).unwrap();
    file.write_all_at(bytes, at).unwrap();
}

/// The file cannot be used: it is moved aside, whole, and a new one works.
fn is_moved_aside(world: &World, reason: &str) {
    let content = fs::read(world.path()).unwrap();
    let running = world.start();
    let moved = running.opened.moved_aside.clone().expect("it was taken as it is");
    assert!(moved.reason.contains(reason), "{moved:?}");
    assert_eq!(fs::read(&moved.to).unwrap(), content, "what was moved aside was changed");
    assert!(moved.to.to_str().unwrap().contains("history.db.corrupt-20"), "{moved:?}");
    assert!(running.opened.fresh && running.engine.heads().is_empty());
    assert_eq!(running.publish(vec![draft("a", 1)])[0].offset, 1);
    let head = running.engine.open(&name("a")).unwrap();
    drop(running);
    assert_eq!(world.start().engine.open(&name("a")).unwrap(), head);
}

#[test]
fn a_text_file_is_moved_aside() {
    let world = World::new();
    fs::write(world.path(), "this is no database, but somebody's notes\n".repeat(50)).unwrap();
    is_moved_aside(&world, "not a database");
}

#[test]
fn random_bytes_are_moved_aside() {
    let world = World::new();
    let bytes: Vec<u8> = (0_u32..20_000).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    fs::write(world.path(), bytes).unwrap();
    is_moved_aside(&world, "not a database");
}

#[test]
fn another_programs_database_is_moved_aside() {
    let world = World::new();
    let foreign = Connection::open(world.path()).unwrap();
    foreign.execute_batch("CREATE TABLE bookmarks(url TEXT); INSERT INTO bookmarks VALUES('x')").unwrap();
    drop(foreign);
    is_moved_aside(&world, "another program");
}

#[test]
fn a_truncated_file_is_moved_aside() {
    let world = World::new();
    with_history(&world);
    let file = fs::OpenOptions::new().write(true).open(world.path()).unwrap();
    file.set_len(3 * 4096 + 100).unwrap();
    is_moved_aside(&world, "malformed");
}

#[test]
fn a_file_whose_tables_are_overwritten_is_moved_aside() {
    let world = World::new();
    with_history(&world);
    overwrite(&world, 100, &[0xff; 3000]);
    is_moved_aside(&world, "malformed");
}

#[test]
fn a_file_without_a_table_is_moved_aside() {
    let world = World::new();
    with_history(&world);
    Connection::open(world.path()).unwrap().execute_batch("DROP TABLE hole").unwrap();
    is_moved_aside(&world, "no such table");
}

#[test]
fn an_empty_file_is_a_new_history() {
    let world = World::new();
    fs::write(world.path(), "").unwrap();
    let running = world.start();
    assert!(running.opened.fresh && running.opened.moved_aside.is_none());
}

#[test]
fn a_later_format_is_refused_and_left_alone() {
    let world = World::new();
    with_history(&world);
    Connection::open(world.path()).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    let error = SqliteEngine::open(world.options()).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error:?}");
    assert!(error.to_string().contains("written by a later Headwater (format 99"), "{error}");
    assert!(world.path().exists());
}

#[test]
fn a_directory_in_its_place_is_an_error() {
    let world = World::new();
    fs::create_dir(world.path()).unwrap();
    let error = SqliteEngine::open(world.options()).unwrap_err();
    assert!(error.to_string().contains("it is not a file"), "{error}");
}

#[test]
fn only_the_owner_can_read_it() {
    let world = World::new();
    let running = world.start();
    running.publish(vec![draft("a", 1)]);
    for suffix in ["", "-wal", "-shm", "-lock"] {
        let path = world.beside(&format!("history.db{suffix}"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn a_copy_that_was_put_back_goes_on_under_new_epochs() {
    let world = World::new();
    with_history(&world);
    let copy = world.beside("copy");
    fs::copy(world.path(), &copy).unwrap();
    let old = {
        let running = world.start();
        running.publish(vec![draft("a", 1)])[0]
    };
    fs::copy(&copy, world.path()).unwrap();
    // As long after the end of the life that it holds as a person needs.
    Connection::open(world.path())
        .unwrap()
        .execute("UPDATE meta SET value = value - 3600000000000 WHERE key = 'closed'", [])
        .unwrap();
    let running = world.start();
    let new = running.publish(vec![draft("a", 2)])[0];
    assert_eq!(new.offset, old.offset);
    assert_ne!(new.epoch, old.epoch, "a position was used for two events");
    assert_eq!(running.engine.kept(&name("a"), old.epoch), Some(200));
}

/// Pages in the middle of the events are overwritten while the daemon runs.
#[test]
fn damage_that_readers_meet_is_told_and_the_file_moved_aside() {
    let world = World::new();
    with_history(&world);
    let pages = fs::metadata(world.path()).unwrap().len() / 4096;
    let running = world.start();
    // All pages but the first ones; what the start has read is in the writer's cache only.
    for page in 12..pages {
        overwrite(&world, page * 4096, &[0x5a; 4096]);
    }
    let read = |next| running.engine.read(&name("a"), next, PageLimit::default());
    assert!(read(1).is_err(), "it was read as if nothing had happened");
    until(|| running.notices().len() > 1);
    let notices = running.notices();
    let [Notice::Corrupt { .. }, Notice::Replaced { moved_to: Some(aside), reason }] = &notices[..] else {
        panic!("{notices:?}")
    };
    assert!(aside.exists() && reason.contains("malformed"), "{notices:?}");
    // From now on it is known what is missing, and nobody runs into it again.
    let page = read(1).unwrap();
    assert!(matches!(page, Page::Missing { to: 200, reason: GapReason::Corruption }), "{page:?}");
    assert_eq!(running.publish(vec![draft("a", 201)])[0].offset, 201);
    assert!(matches!(read(201).unwrap(), Page::Events { next: 202, .. }));
    drop(running);
    assert!(verify(&world.path(), |_, _| {}).unwrap().is_clean());
}

/// Harm prevented: one row that somebody has changed by hand, and the whole channel can be asked for nothing any more.
#[test]
fn a_row_that_is_no_event_is_missing_and_what_is_around_it_is_not() {
    let world = World::new();
    with_history(&world);
    let person = Connection::open(world.path()).unwrap();
    let changed = person.execute("UPDATE event SET data = 'no JSON' WHERE data = '100'", []).unwrap();
    assert_eq!(changed, 2, "one in each channel");
    drop(person);
    let running = world.start();
    let (mut next, mut offsets) = (1, Vec::new());
    while next <= 200 {
        match running.engine.read(&name("a"), next, PageLimit::default()).unwrap() {
            Page::Events { events, next: then } => {
                offsets.extend(events.iter().map(|event| event.position.offset));
                next = then;
            }
            page => {
                assert!(matches!(page, Page::Missing { to: 101, reason: GapReason::Corruption }), "{page:?} at {next}");
                next = 102;
            }
        }
    }
    assert_eq!(offsets, (1..=100).chain(102..=200).collect::<Vec<_>>());
    let page = running.engine.read_back(&name("a"), 102, PageLimit::default()).unwrap();
    assert!(matches!(page, Page::Missing { to: 101, .. }), "{page:?}");
    let notices = running.notices();
    assert!(matches!(&notices[..], [Notice::Corrupt { .. }]), "told once, and the file stays: {notices:?}");
}

#[test]
fn a_file_that_is_removed_while_it_is_in_use_is_begun_anew() {
    let world = World::new();
    let running = world.start();
    let epoch = running.publish(vec![draft("a", 1), draft("a", 2), draft("b", 3)])[0].epoch;
    // It has just looked, so that all are removed before it looks again.
    until(|| running.engine.stats().file_bytes > 0);
    for suffix in ["", "-wal", "-shm"] {
        fs::remove_file(world.beside(&format!("history.db{suffix}"))).unwrap();
    }
    until(|| running.notices().iter().any(|notice| matches!(notice, Notice::Replaced { moved_to: None, .. })));
    until(|| running.engine.stats().failing.is_none());
    // The numbering goes on, and readers are told what is gone.
    let position = running.publish(vec![draft("a", 4)])[0];
    assert_eq!((position.epoch, position.offset), (epoch, 3));
    let page = running.engine.read(&name("a"), 1, PageLimit::default()).unwrap();
    assert!(matches!(page, Page::Missing { to: 2, reason: GapReason::Corruption }), "{page:?}");
    let heads = running.engine.heads();
    drop(running);
    let running = world.start();
    assert!(!running.opened.unclean);
    assert_eq!(running.engine.heads(), heads);
    let page = running.engine.read(&name("a"), 1, PageLimit::default()).unwrap();
    assert!(matches!(page, Page::Missing { to: 2, reason: GapReason::Corruption }), "{page:?}");
    let page = running.engine.read(&name("a"), 3, PageLimit::default()).unwrap();
    assert!(matches!(page, Page::Events { next: 4, .. }), "{page:?}");
    assert!(verify(&world.path(), |_, _| {}).unwrap().is_clean());
}

#[test]
fn a_lock_that_somebody_removes_is_taken_again() {
    let world = World::new();
    let running = world.start();
    running.publish(vec![draft("a", 1)]);
    until(|| running.engine.stats().file_bytes > 0);
    fs::remove_file(world.beside("history.db-lock")).unwrap();
    until(|| world.beside("history.db-lock").exists());
    let error = SqliteEngine::open(world.options()).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    running.publish(vec![draft("a", 2)]);
    assert!(running.notices().is_empty(), "{:?}", running.notices());
}

/// Somebody removes the history, and starts another daemon before this one has seen it.
#[test]
fn a_file_that_another_daemon_has_begun_is_left_to_it() {
    let world = World::new();
    let first = world.start();
    first.publish(vec![draft("a", 1)]);
    until(|| first.engine.stats().file_bytes > 0);
    for suffix in ["", "-wal", "-shm", "-lock"] {
        fs::remove_file(world.beside(&format!("history.db{suffix}"))).unwrap();
    }
    let second = World::at(world.path().parent().unwrap()).start();
    second.publish(vec![draft("b", 1)]);
    until(|| first.engine.stats().failing.is_some_and(|reason| reason.contains("in use by process")));
    assert!(matches!(first.notices()[..], [Notice::Failing { .. }]));
    drop(first);
    assert!(second.notices().is_empty());
    assert_eq!(second.publish(vec![draft("b", 2)])[0].offset, 2);
    drop(second);
    assert!(verify(&world.path(), |_, _| {}).unwrap().is_clean());
}

/// The writer finds the file damaged, again and again: it begins another one.
#[test]
fn a_file_that_is_damaged_while_it_is_in_use_is_moved_aside() {
    let world = World::new();
    with_history(&world);
    let running = world.start();
    let person = Connection::open(world.path()).unwrap();
    person.execute_batch("DROP TABLE span; DROP TABLE snapshot").unwrap();
    drop(person);
    until(|| {
        let mut keyed = draft("a", 201);
        keyed.retention = Retention::Keep("k".into());
        let _ = running.engine.publish(vec![keyed]).unwrap().wait();
        running.notices().iter().any(|notice| matches!(notice, Notice::Replaced { moved_to: Some(_), .. }))
    });
    assert!(matches!(running.notices().first(), Some(Notice::Failing { .. })));
    until(|| matches!(running.notices().last(), Some(Notice::Recovered { .. })));
    let position = running.publish(vec![draft("a", 202)])[0];
    assert_eq!(running.engine.kept(&name("a"), position.epoch), Some(position.offset));
    let page = running.engine.read(&name("a"), 1, PageLimit::default()).unwrap();
    assert!(matches!(page, Page::Missing { to: 200, .. }), "{page:?}");
    drop(running);
    assert!(verify(&world.path(), |_, _| {}).unwrap().is_clean());
}
