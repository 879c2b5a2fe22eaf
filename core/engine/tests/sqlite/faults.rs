//! A disk that is full, that fails, or that somebody else holds: live events go on, publishers are told, and it works again
//! without a restart.
//!
//! The full disk is a small file system of its own, which a child of this test program mounts in a namespace of its own;
//! the failing one is a limit on the size of files (`RLIMIT_FSIZE`), under which a write is an I/O error.

use crate::world::{Running, World, draft, name, until};
use bytes::Bytes;
use headwater_engine::{Durability, Engine, EngineError, Notice, OpenError, Page, PageLimit, SqliteEngine, verify};
use headwater_event::{Draft, GapReason, Payload};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::{fs, path::Path, process::Command, time::Duration};

/// Tells a child which disk it is on.
const DISK: &str = "HEADWATER_TEST_DISK";

/// A draft with so many bytes of payload.
fn large(bytes: usize) -> Draft {
    let text = format!("\"{}\"", "x".repeat(bytes - 2));
    Draft { data: Payload::new(Bytes::from(text)).unwrap(), ..draft("a", 0) }
}

/// Publishes until one is not acknowledged as kept, and gives the reason.
fn until_refused(running: &Running) -> String {
    for _ in 0..2_000 {
        match running.engine.publish(vec![large(10_000)]).unwrap().wait() {
            Ok(_) => {}
            Err(EngineError::Down(reason)) => return reason,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the disk never failed");
}

fn seen(running: &Running) -> usize {
    running.seen.lock().unwrap().len()
}

/// What must hold from the first failed write to the end of the next life. `mend` makes the disk work again.
fn survives(world: &World, running: Running, reason: &str, mend: impl FnOnce()) {
    let told = until_refused(&running);
    assert!(told.contains("the history cannot be written") && told.contains(reason), "{told}");
    until(|| !running.notices().is_empty());
    assert!(running.engine.stats().failing.is_some());
    // Live events go on, more than the queue holds; every ack tells that they are not kept.
    let before = seen(&running);
    for _ in 0..30 {
        let outcome = running.engine.publish(vec![large(10_000)]).unwrap().wait();
        assert!(matches!(outcome, Err(EngineError::Down(_))), "{outcome:?}");
    }
    assert_eq!(seen(&running), before + 30);
    let last = running.engine.open(&name("a")).unwrap().last;
    assert_eq!(last, seen(&running) as u64);
    // What waits can be read, what found no room is known to be missing.
    let page = running.engine.read(&name("a"), last, PageLimit::default()).unwrap();
    assert!(matches!(page, Page::Missing { to, reason: GapReason::Corruption } if to == last), "{page:?}");
    let notices = running.notices();
    assert!(matches!(&notices[..], [Notice::Failing { .. }]), "told once: {notices:?}");
    let stats = running.engine.stats();
    assert!(stats.pending_bytes <= 100_000 && stats.lost >= 20, "{stats:?}");

    mend();
    until(|| running.notices().len() > 1);
    let notices = running.notices();
    let [_, Notice::Recovered { lost }] = notices[..] else { panic!("{notices:?}") };
    assert_eq!(lost, running.engine.stats().lost);
    let after = running.publish(vec![draft("a", 1)])[0];
    assert_eq!(after.offset, last + 1, "the numbering went on");
    let first_lost = last + 1 - lost;
    let same = |running: &Running| {
        let mut next = 1;
        while next < first_lost {
            let page = running.engine.read(&name("a"), next, PageLimit::default()).unwrap();
            let Page::Events { next: then, .. } = page else { panic!("{page:?} at {next}") };
            next = then;
        }
        let page = running.engine.read(&name("a"), first_lost, PageLimit::default()).unwrap();
        assert!(matches!(page, Page::Missing { to, reason: GapReason::Corruption } if to == last), "{page:?}");
        let page = running.engine.read_back(&name("a"), last + 1, PageLimit::default()).unwrap();
        assert!(matches!(page, Page::Missing { to, .. } if to == first_lost), "{page:?}");
        let page = running.engine.read(&name("a"), last + 1, PageLimit::default()).unwrap();
        assert!(matches!(page, Page::Events { next, .. } if next == last + 2), "{page:?}");
    };
    same(&running);
    drop(running);
    let report = verify(&world.path(), |_, _| {}).unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.holes, report.missing), (1, lost));
    let running = world.start();
    assert!(!running.opened.unclean);
    assert_eq!(running.engine.open(&name("a")).unwrap().epoch, after.epoch);
    same(&running);
}

/// Runs a test of this program in a child, on a disk that `prepare` makes.
fn in_child(prepare: &str, test: &str, disk: &Path) -> std::process::Output {
    Command::new("unshare")
        .args(["-r", "-m", "sh", "-c", prepare, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(DISK, disk)
        .output()
        .unwrap()
}

fn passes_in_child(test: &str) {
    let namespaces = Command::new("unshare").args(["-r", "-m", "true"]).status();
    if !namespaces.is_ok_and(|status| status.success()) {
        // The failing disk below shows most of the same without privileges.
        eprintln!("not run: this machine lets nobody mount a file system in a namespace of their own");
        return;
    }
    let disk = tempfile::tempdir().unwrap();
    let prepare = r#"mount -t tmpfs -o size=4m tmpfs "$HEADWATER_TEST_DISK" && exec "$@""#;
    let output = in_child(prepare, test, disk.path());
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// What takes the rest of the disk, and its removal.
fn ballast(disk: &Path, leave: u64) {
    let file = disk.join("ballast");
    let mut size = 4 << 20;
    // Takes all, then gives some back.
    while size > 0 && fs::write(&file, vec![0; size as usize]).is_err() {
        size -= 4096;
    }
    let file = fs::OpenOptions::new().write(true).open(file).unwrap();
    let taken = file.metadata().unwrap().len();
    file.set_len(taken.saturating_sub(leave)).unwrap();
}

#[test]
fn a_full_disk_stops_acks_and_not_events() {
    passes_in_child("faults::child_on_a_full_disk");
}

#[test]
fn child_on_a_full_disk() {
    let Some(disk) = std::env::var_os(DISK) else { return };
    let disk = Path::new(&disk);
    for durability in [Durability::Flush(Duration::from_millis(10)), Durability::Durable] {
        let world = World::at(disk);
        let running = world.start_with(|options| {
            options.durability = durability;
            options.queue = 100_000;
        });
        running.publish(vec![large(10_000)]);
        ballast(disk, 200_000);
        survives(&world, running, "database or disk is full", || fs::remove_file(disk.join("ballast")).unwrap());
        world.remove();
    }
}

#[test]
fn a_disk_that_is_full_at_the_start_costs_history_and_no_position() {
    passes_in_child("faults::child_that_starts_on_a_full_disk");
}

#[test]
fn child_that_starts_on_a_full_disk() {
    let Some(disk) = std::env::var_os(DISK) else { return };
    let disk = Path::new(&disk);
    // A file that does not exist yet cannot be made.
    ballast(disk, 0);
    let world = World::at(disk);
    let error = SqliteEngine::open(world.options()).unwrap_err();
    assert!(
        matches!(&error, OpenError::Unavailable { reason, .. } if reason.contains("full") || reason.contains("space")),
        "{error}"
    );
    fs::remove_file(disk.join("ballast")).unwrap();

    let old = world.start().publish(vec![draft("a", 1)])[0];
    // Room for the `-shm`, without which no file can be opened, and for less than a page in the `-wal`.
    ballast(disk, 36_864);
    // Nothing can be written, not even that a new life has begun: so it has other epochs.
    let new = {
        let running = world.start();
        assert!(running.opened.failing.is_some() && !running.opened.unclean, "{:?}", running.opened);
        let outcome = running.engine.publish(vec![draft("a", 2)]).unwrap().wait();
        assert!(outcome.is_err(), "{outcome:?}");
        let handed_back = running.seen.lock().unwrap()[0].position;
        assert_eq!(handed_back.offset, 2);
        assert_ne!(handed_back.epoch, old.epoch);
        assert_eq!(running.engine.kept(&name("a"), old.epoch), Some(1));
        handed_back
    };
    // It could write nothing at all, and the next life uses none of its positions.
    let running = world.start();
    assert!(running.opened.failing.is_some());
    let _ = running.engine.publish(vec![draft("a", 3)]).unwrap().wait();
    let handed_back = running.seen.lock().unwrap()[0].position;
    assert!(handed_back.epoch != old.epoch && handed_back.epoch != new.epoch);
    fs::remove_file(disk.join("ballast")).unwrap();
    until(|| running.engine.stats().failing.is_none());
    assert_eq!(running.publish(vec![draft("a", 4)])[0].offset, 3);
    drop(running);
    let running = world.start();
    assert!(!running.opened.unclean);
    let page = running.engine.read(&name("a"), 1, PageLimit::default()).unwrap();
    assert!(matches!(page, Page::Events { next: 4, .. }), "{page:?}");
    assert!(verify(&world.path(), |_, _| {}).unwrap().is_clean());
}

#[test]
fn an_io_error_stops_acks_and_not_events() {
    let output = Command::new("sh")
        // Beyond the limit a write is an error, and not the end of the process.
        .args(["-c", r#"trap "" XFSZ; exec "$@""#, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "faults::child_with_io_errors", "--nocapture", "--test-threads=1"])
        .env(DISK, "limited")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn child_with_io_errors() {
    if std::env::var_os(DISK).is_none_or(|disk| disk != "limited") {
        return;
    }
    let limit = |bytes| setrlimit(Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    let world = World::new();
    let running = world.start_with(|options| options.queue = 100_000);
    limit(Some(1 << 20));
    survives(&world, running, "disk I/O error", || limit(None));
}

#[test]
fn at_memory_a_failing_disk_costs_no_ack() {
    let world = World::new();
    let running = world.start_with(|options| {
        options.durability = Durability::Memory;
        options.queue = 20_000;
    });
    let other = hold(&world);
    for number in 0..100 {
        running.publish(vec![draft("a", number)]);
        if number == 10 {
            until(|| !running.notices().is_empty());
        }
    }
    assert!(running.engine.stats().lost > 0);
    drop(other);
    until(|| running.notices().len() > 1);
    assert!(matches!(running.notices()[..], [Notice::Failing { .. }, Notice::Recovered { lost: 1.. }]));
}

/// Somebody writes to the file, and does not end.
fn hold(world: &World) -> rusqlite::Connection {
    let other = rusqlite::Connection::open(world.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

#[test]
fn somebody_who_holds_the_file_is_waited_for_and_told_of() {
    let world = World::new();
    let running = world.start();
    running.publish(vec![draft("a", 1)]);
    let other = hold(&world);
    let outcome = running.engine.publish(vec![draft("a", 2)]).unwrap().wait();
    let Err(EngineError::Down(reason)) = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("database is locked"), "{reason}");
    drop(other);
    until(|| running.notices().len() == 2);
    assert!(matches!(&running.notices()[..], [Notice::Failing { .. }, Notice::Recovered { lost: 0 }]));
    let page = running.engine.read(&name("a"), 1, PageLimit::default()).unwrap();
    assert!(matches!(page, Page::Events { next: 3, .. }), "an event that waited is kept after all: {page:?}");
}

#[test]
fn more_than_the_queue_holds_is_a_gap_that_everybody_is_told_of() {
    let world = World::new();
    let running = world.start_with(|options| options.queue = 5_000);
    let outcome = running.engine.publish((0..100).map(|number| draft("a", number)).collect()).unwrap().wait();
    let Err(EngineError::Down(reason)) = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("slower than events come"), "{reason}");
    assert_eq!(seen(&running), 100, "live they all went out");
    until(|| running.notices().len() == 2 || matches!(running.notices()[..], [Notice::Recovered { .. }]));
    let lost = running.engine.stats().lost;
    assert!((1..100).contains(&lost));
    assert!(matches!(running.notices().last(), Some(Notice::Recovered { lost: told }) if *told == lost));
    let page = running.engine.read(&name("a"), 101 - lost, PageLimit::default()).unwrap();
    assert!(matches!(page, Page::Missing { to: 100, reason: GapReason::Corruption }), "{page:?}");
    drop(running);
    let report = verify(&world.path(), |_, _| {}).unwrap();
    assert_eq!((report.is_clean(), report.holes, report.missing), (true, 1, lost));
}

#[test]
fn closing_while_the_disk_fails_ends_and_is_no_clean_end() {
    let world = World::new();
    let running = world.start();
    let epoch = running.publish(vec![draft("a", 1)])[0].epoch;
    let other = hold(&world);
    drop(running.engine.publish(vec![draft("a", 2)]).unwrap());
    drop(running);
    drop(other);
    let running = world.start();
    assert!(running.opened.unclean);
    let position = running.publish(vec![draft("a", 3)])[0];
    assert_eq!(position.offset, 2);
    assert_ne!(position.epoch, epoch, "a reader may have seen offset 2 of this epoch");
}

#[test]
fn after_closing_nothing_is_taken_and_nobody_waits() {
    let world = World::new();
    let running = world.start();
    let acks: Vec<_> = (0..50).map(|number| running.engine.publish(vec![draft("a", number)]).unwrap()).collect();
    running.engine.close();
    assert!(acks.into_iter().all(|ack| ack.wait().is_ok()));
    let error = running.engine.publish(vec![draft("a", 1)]).unwrap_err();
    assert!(matches!(&error, EngineError::Down(reason) if reason.contains("closed")), "{error}");
    running.engine.close();
}
