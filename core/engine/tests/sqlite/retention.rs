//! Which events go, and that nothing else does.

use crate::world::{Running, World, draft, name, until};
use bytes::Bytes;
use headwater_engine::{ChannelRule, Durability, Engine, Keep, Page, PageLimit, verify};
use headwater_event::{ChannelPattern, Draft, Payload, Retention, Timestamp};
use std::time::Duration;

fn keep(events: u64) -> Keep {
    Keep { events: Some(events), ..Keep::default() }
}

fn rule(pattern: &str, store: bool, keep: Keep) -> ChannelRule {
    ChannelRule { pattern: ChannelPattern::parse(pattern).unwrap(), store, keep }
}

/// A draft with this many bytes of payload.
fn large(channel: &str, bytes: usize) -> Draft {
    let text = format!("\"{}\"", "x".repeat(bytes - 2));
    Draft { data: Payload::new(Bytes::from(text)).unwrap(), ..draft(channel, 0) }
}

fn first(running: &Running, channel: &str) -> u64 {
    running.engine.open(&name(channel)).unwrap().first
}

/// What is left can be read without a hole; what is gone is told to be gone.
fn is_whole(running: &Running, channel: &str) {
    let head = running.engine.open(&name(channel)).unwrap();
    let mut next = head.first;
    while next <= head.last {
        let page = running.engine.read(&name(channel), next, PageLimit::default()).unwrap();
        let Page::Events { events, next: then } = page else { panic!("{page:?}") };
        assert!(events.iter().zip(next..).all(|(event, offset)| event.position.offset == offset));
        next = then;
    }
    if head.first > 1 {
        let page = running.engine.read(&name(channel), 1, PageLimit::default()).unwrap();
        assert!(matches!(page, Page::Expired { first } if first == head.first), "{page:?}");
        let page = running.engine.read_back(&name(channel), head.first, PageLimit::default()).unwrap();
        assert!(matches!(page, Page::Expired { first } if first == head.first), "{page:?}");
    }
}

#[test]
fn only_so_many_of_a_channel_are_kept() {
    let world = World::new();
    let running = world.start_with(|options| {
        options.rules = vec![rule("a*", true, keep(100)), rule("*", true, keep(2_500))];
    });
    for _ in 0..30 {
        running.publish((0..100).flat_map(|number| [draft("ab", number), draft("b", number)]).collect());
    }
    until(|| first(&running, "ab") == 2_901 && first(&running, "b") == 501);
    is_whole(&running, "ab");
    is_whole(&running, "b");
    let heads = running.engine.heads();
    drop(running);
    let running = world.start();
    assert_eq!(running.engine.heads(), heads, "what was dropped stays dropped");
    assert!(verify(&world.path(), |_, _| {}).unwrap().is_clean());
}

#[test]
fn what_is_too_old_goes_and_the_numbering_goes_on() {
    let world = World::new();
    let age = Keep { age: Some(Duration::from_millis(300)), ..Keep::default() };
    let running = world.start_with(|options| options.keep = age);
    // Observed long ago and in the future: the publication counts.
    let times = [0, i64::MAX].map(|time| Draft { time: Timestamp(time), ..draft("a", 1) });
    let before = running.publish(times.to_vec())[1];
    assert_eq!(first(&running, "a"), 1);
    until(|| first(&running, "a") == 3);
    let after = running.publish(vec![draft("a", 3)])[0];
    assert_eq!((after.epoch, after.offset), (before.epoch, 3));
    until(|| first(&running, "a") == 4);
    drop(running);
    // Nothing of the channel is left, but how far it had come.
    let running = world.start();
    let last = running.publish(vec![draft("a", 4)])[0];
    assert_eq!((last.epoch, last.offset), (before.epoch, 4));
    is_whole(&running, "a");
    assert!(verify(&world.path(), |_, _| {}).unwrap().is_clean());
}

#[test]
fn only_so_many_bytes_of_a_channel_are_kept() {
    let world = World::new();
    let bounded = |options: &mut headwater_engine::SqliteOptions| {
        options.keep = Keep { size: Some(50_000), ..Keep::default() };
    };
    {
        let running = world.start_with(bounded);
        for _ in 0..20 {
            running.publish((0..50).map(|_| large("a", 1_000)).collect());
        }
        // 1,000 bytes and what a row costs beside them.
        until(|| first(&running, "a") == 954);
        is_whole(&running, "a");
    }
    // Counted anew from what is in the file, whole spans and rest.
    let running = world.start_with(bounded);
    running.publish((0..600).map(|_| large("b", 100)).collect());
    running.publish(vec![large("a", 20_000)]);
    until(|| first(&running, "a") == 973 && first(&running, "b") == 285);
    is_whole(&running, "a");
    is_whole(&running, "b");
}

#[test]
fn a_channel_that_is_not_stored_is_only_numbered() {
    let world = World::new();
    let not_stored = |options: &mut headwater_engine::SqliteOptions| {
        options.rules = vec![rule("secret*", false, Keep::default())];
    };
    let position = {
        let running = world.start_with(not_stored);
        let mut keyed = draft("secret", 1);
        keyed.retention = Retention::Keep("k".into());
        let position = running.publish(vec![keyed, draft("a", 1), draft("secret", 2)])[2];
        let page = running.engine.read(&name("secret"), 1, PageLimit::default()).unwrap();
        assert!(matches!(page, Page::Expired { first: 3 }), "{page:?}");
        assert_eq!(first(&running, "secret"), 3);
        position
    };
    let report = verify(&world.path(), |_, _| {}).unwrap();
    assert_eq!((report.events, report.snapshots, report.is_clean()), (1, 0, true));
    // After a clean end the numbering goes on; after another one nobody knows how far it had come.
    let running = world.start_with(not_stored);
    let next = running.publish(vec![draft("secret", 3)])[0];
    assert_eq!((next.epoch, next.offset), (position.epoch, 3));
    drop(running);
    world.as_if_killed();
    let running = world.start_with(not_stored);
    let after = running.publish(vec![draft("secret", 4)])[0];
    assert_ne!(after.epoch, position.epoch);
    assert_eq!(running.engine.kept(&name("secret"), position.epoch), None);
}

#[test]
fn what_an_earlier_config_has_stored_goes_and_comes_not_back_as_a_mystery() {
    let world = World::new();
    {
        let running = world.start();
        let mut keyed = draft("a", 1);
        keyed.retention = Retention::Keep("k".into());
        running.publish(vec![keyed, draft("a", 2)]);
    }
    {
        let running = world.start_with(|options| options.rules = vec![rule("a", false, Keep::default())]);
        running.publish(vec![draft("a", 3)]);
        until(|| running.engine.stats().expired == 2);
        assert_eq!(running.engine.retained().unwrap().len(), 0);
    }
    let running = world.start();
    assert_eq!(running.publish(vec![draft("a", 4)])[0].offset, 4);
    assert_eq!(first(&running, "a"), 4);
    is_whole(&running, "a");
    assert!(verify(&world.path(), |_, _| {}).unwrap().is_clean());
}

#[test]
fn the_file_keeps_its_size_and_the_oldest_of_all_channels_go() {
    let world = World::new();
    let limit = 3 << 20;
    let running = world.start_with(|options| options.total_size = Some(limit));
    // A quiet channel, then busy ones.
    running.publish(vec![large("quiet", 1_000)]);
    for _ in 0..120 {
        running.publish((0..100).map(|number| large(["a", "b", "c"][number % 3], 1_000)).collect());
    }
    until(|| first(&running, "quiet") == 2);
    let stranger = rusqlite::Connection::open(world.path()).unwrap();
    let pragma = |name| stranger.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap() as u64;
    until(|| (pragma("page_count") - pragma("freelist_count")) * 4096 <= limit / 32 * 31);
    until(|| std::fs::metadata(world.path()).unwrap().len() < limit + (1 << 20));
    for channel in ["a", "b", "c"] {
        let head = running.engine.open(&name(channel)).unwrap();
        assert!((2_700..3_600).contains(&head.first), "{head:?}");
        is_whole(&running, channel);
    }
    drop(running);
    assert!(verify(&world.path(), |_, _| {}).unwrap().is_clean());
}

#[test]
fn space_is_given_back() {
    let world = World::new();
    {
        let running = world.start();
        for _ in 0..100 {
            running.publish((0..100).map(|_| large("a", 1_000)).collect());
        }
    }
    let before = std::fs::metadata(world.path()).unwrap().len();
    assert!(before > 10_000_000, "{before}");
    let running = world.start_with(|options| options.keep = keep(10));
    // To the next events it leaves a megabyte.
    until(|| first(&running, "a") == 9_991);
    until(|| std::fs::metadata(world.path()).unwrap().len() < 2 << 20);
    is_whole(&running, "a");
}

#[test]
fn snapshots_stay_when_their_events_go_and_are_bounded_themselves() {
    let world = World::new();
    let keyed =
        |number: u64| Draft { retention: Retention::Keep(format!("key {number}").into()), ..draft("a", number) };
    {
        let running = world.start_with(|options| {
            options.keep = keep(5);
            options.snapshots = 300;
        });
        running.publish((0..1_200).map(keyed).collect());
        running.publish(vec![keyed(950)]);
        until(|| first(&running, "a") == 1_197 && running.engine.retained().unwrap().len() <= 300);
    }
    let running = world.start();
    let retained = running.engine.retained().unwrap();
    assert!(retained.iter().any(|event| event.retention == Retention::Keep("key 950".into())));
    assert!(retained.iter().all(|event| event.position.offset > 900), "the newest are kept");
    assert!((270..=300).contains(&retained.len()), "{}", retained.len());
    drop(running);
    // By bytes: a new life counts them first.
    let running = world.start_with(|options| options.snapshot_bytes = 1_000);
    until(|| running.engine.retained().unwrap().len() < 110);
    assert!(running.engine.retained().unwrap().len() > 70);
    drop(running);
    assert!(verify(&world.path(), |_, _| {}).unwrap().is_clean());
}

#[test]
fn names_that_were_used_once_do_not_keep_new_ones_out() {
    let world = World::new();
    let bounded = |options: &mut headwater_engine::SqliteOptions| {
        options.max_channels = 8;
        options.keep.age = Some(Duration::from_millis(1));
        options.durability = Durability::Durable;
    };
    let (mut epochs, mut forgotten) = (std::collections::HashSet::new(), false);
    for life in 0..7 {
        let running = world.start_with(bounded);
        for number in 0..2 {
            let position = running.publish(vec![draft(&format!("life:{life}:{number}"), 1)])[0];
            assert!(epochs.insert(position.epoch));
        }
        let again = running.publish(vec![draft("life:0:0", 1)])[0];
        if life > 0 && again.offset == 1 {
            forgotten = true;
            assert!(epochs.insert(again.epoch), "a forgotten channel had its epoch again");
        }
        until(|| running.engine.heads().iter().all(|head| head.first == head.last + 1));
    }
    assert!(forgotten);
    assert!(verify(&world.path(), |_, _| {}).unwrap().is_clean());
}

#[test]
fn readers_and_writers_go_on_while_much_is_dropped() {
    let world = World::new();
    {
        let running = world.start();
        for _ in 0..200 {
            running.publish((0..100).map(|number| draft("a", number)).collect());
        }
    }
    let running = world.start_with(|options| options.keep = keep(100));
    let mut published = 20_000;
    until(|| {
        let begins = first(&running, "a");
        published += 1;
        assert_eq!(running.publish(vec![draft("a", 0)])[0].offset, published);
        // Whatever has been dropped meanwhile, it is never a hole and never damage.
        match running.engine.read(&name("a"), begins, PageLimit::default()).unwrap() {
            Page::Events { events, .. } => assert_eq!(events[0].position.offset, begins),
            Page::Expired { first } => assert!(first > begins),
            page @ Page::Missing { .. } => panic!("{page:?}"),
        }
        begins > 19_000
    });
    assert!(running.notices().is_empty(), "{:?}", running.notices());
}
