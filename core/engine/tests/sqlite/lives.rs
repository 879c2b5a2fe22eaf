//! What survives from one life of the engine to the next.

use crate::world::{World, draft, name};
use headwater_engine::{Engine, OpenError, Page, PageLimit, SqliteEngine};
use headwater_event::{Evidence, Retention, Severity, Timestamp};

fn payloads(page: Page) -> Vec<String> {
    let Page::Events { events, .. } = page else { panic!("{page:?}") };
    events.iter().map(|event| String::from_utf8(event.data.as_bytes().to_vec()).unwrap()).collect()
}

#[test]
fn a_restart_goes_on_in_the_same_epoch_and_has_all_events() {
    let world = World::new();
    let before = {
        let running = world.start();
        assert!(running.opened.fresh);
        (0..5).map(|number| running.publish(vec![draft("a", number)])[0]).last().unwrap()
    };
    let running = world.start();
    assert!(!running.opened.fresh && !running.opened.unclean, "{:?}", running.opened);
    let after = running.publish(vec![draft("a", 5)])[0];
    assert_eq!((after.epoch, after.offset), (before.epoch, 6));
    let page = running.engine.read(&name("a"), 1, PageLimit::default()).unwrap();
    let Page::Events { events, next: 7 } = &page else { panic!("{page:?}") };
    assert!(events.iter().all(|event| event.position.epoch == before.epoch));
    assert_eq!(payloads(page), ["0", "1", "2", "3", "4", "5"]);
}

#[test]
fn an_event_comes_back_as_it_was() {
    let world = World::new();
    let mut full = draft("a", 1);
    full.time = Timestamp(-5);
    full.severity = Some(Severity::Critical);
    full.evidence = Some(Evidence::Polled);
    full.attributes = Box::new([("z\"\n".into(), "ü".into()), ("a".into(), "".into()), ("a".into(), "2".into())]);
    full.retention = Retention::Keep("".into());
    let mut gone = draft("a", 2);
    gone.retention = Retention::Forget("k".into());
    let original = {
        let running = world.start();
        running.publish(vec![full, gone]);
        running.seen.lock().unwrap().clone()
    };
    let running = world.start();
    let page = running.engine.read(&name("a"), 1, PageLimit::default()).unwrap();
    let Page::Events { events, .. } = page else { panic!("{page:?}") };
    assert_eq!(format!("{events:?}"), format!("{original:?}"));
}

/// Many events go into the file with one statement: what one of them has must not turn up with another.
#[test]
fn events_that_are_written_together_keep_apart_what_is_their_own() {
    let world = World::new();
    let special = |number: u64| {
        let mut draft = draft(if number % 9 == 4 { "b" } else { "a" }, number);
        // Each place of a statement has everything once, and each of it alone, and nothing.
        let bit = |bit: u64| (number / 16 + number) & bit != 0;
        draft.severity = bit(1).then_some(Severity::Warning);
        draft.evidence = bit(2).then_some(Evidence::Inferred);
        draft.retention = match (bit(4), bit(8)) {
            (false, _) => Retention::None,
            (true, false) => Retention::Keep(format!("k{number}").into()),
            (true, true) => Retention::Forget(format!("k{number}").into()),
        };
        draft.attributes = if bit(16) { Box::new([("n".into(), number.to_string().into())]) } else { Box::default() };
        draft
    };
    let original = {
        let running = world.start();
        running.publish((0..700).map(special).collect());
        for number in 700..760 {
            running.publish(vec![special(number)]);
        }
        running.seen.lock().unwrap().clone()
    };
    let running = world.start();
    for channel in ["a", "b"] {
        let page = running.engine.read(&name(channel), 1, PageLimit::default()).unwrap();
        let Page::Events { events, .. } = page else { panic!("{page:?}") };
        let expected: Vec<_> = original.iter().filter(|event| event.channel.as_str() == channel).collect();
        assert_eq!(events.len(), expected.len());
        for (event, expected) in events.iter().zip(expected) {
            assert_eq!(format!("{event:?}"), format!("{expected:?}"));
        }
    }
}

#[test]
fn a_channel_without_events_has_the_same_epoch_after_a_restart() {
    let world = World::new();
    let before = world.start().engine.open(&name("quiet")).unwrap();
    let running = world.start();
    assert_eq!(running.engine.open(&name("quiet")).unwrap(), before);
    assert_eq!(running.engine.kept(&name("quiet"), before.epoch), Some(0));
}

#[test]
fn snapshots_are_there_after_a_restart() {
    let world = World::new();
    let keyed = |number, retention| {
        let mut draft = draft("doors", number);
        draft.retention = retention;
        draft
    };
    {
        let running = world.start();
        let keep = |key: &str| Retention::Keep(key.into());
        running.publish(vec![keyed(1, keep("front")), keyed(2, keep("back")), keyed(3, keep("front"))]);
        running.publish(vec![keyed(4, keep("cellar")), draft("doors", 5)]);
        running.publish(vec![keyed(6, Retention::Forget("back".into()))]);
    }
    let running = world.start();
    let retained = running.engine.retained().unwrap();
    let kept: Vec<_> = retained.iter().map(|event| (event.position.offset, event.retention.clone())).collect();
    assert_eq!(kept, [(4, Retention::Keep("cellar".into())), (3, Retention::Keep("front".into()))]);
}

#[test]
fn a_file_has_one_daemon() {
    let world = World::new();
    let _running = world.start();
    let error = SqliteEngine::open(world.options()).unwrap_err();
    let OpenError::InUse { by, .. } = &error else { panic!("{error}") };
    assert_eq!(by, &format!("process {}", std::process::id()));
}

#[test]
fn after_an_unclean_end_every_channel_goes_on_under_a_new_epoch() {
    let world = World::new();
    let old = {
        let running = world.start();
        running.publish(vec![draft("a", 1), draft("a", 2), draft("b", 3)]);
        running.engine.open(&name("a")).unwrap()
    };
    world.as_if_killed();
    let running = world.start();
    assert!(running.opened.unclean);
    let new = running.engine.open(&name("a")).unwrap();
    assert_ne!(new.epoch, old.epoch);
    assert_eq!((new.first, new.last), (1, 2));
    assert_eq!(running.engine.kept(&name("a"), old.epoch), Some(2));
    let position = running.publish(vec![draft("a", 4)])[0];
    assert_eq!((position.epoch, position.offset), (new.epoch, 3));
    assert_eq!(running.engine.kept(&name("a"), old.epoch), Some(2));
    assert_eq!(running.engine.kept(&name("a"), new.epoch), Some(3));
    let page = running.engine.read(&name("a"), 2, PageLimit::default()).unwrap();
    let Page::Events { events, .. } = page else { panic!("{page:?}") };
    let epochs: Vec<_> = events.iter().map(|event| event.position.epoch).collect();
    assert_eq!(epochs, [old.epoch, new.epoch], "an event keeps the position that it was handed back with");
}

/// Three lives that were killed, with different numbers of events: each epoch keeps what it meant.
#[test]
fn every_earlier_epoch_is_kept_up_to_where_it_ended() {
    let world = World::new();
    let mut ends = Vec::new();
    for life in 1..=4_u64 {
        let running = world.start();
        let before = running.engine.open(&name("a")).unwrap();
        // In the third life nothing is published: a reader may hold a position of it all the same.
        let count = if life == 3 { 0 } else { life };
        for number in 0..count {
            running.publish(vec![draft("a", number)]);
        }
        ends.push((before.epoch, before.last + count));
        for (epoch, end) in &ends {
            assert_eq!(running.engine.kept(&name("a"), *epoch), Some(*end), "in life {life}");
        }
        drop(running);
        world.as_if_killed();
    }
    let running = world.start();
    let page = running.engine.read(&name("a"), 1, PageLimit::default()).unwrap();
    let Page::Events { events, .. } = page else { panic!("{page:?}") };
    let epochs: Vec<_> = events.iter().map(|event| event.position.epoch).collect();
    let expected = [1, 2, 2, 4, 4, 4, 4].map(|life: usize| ends[life - 1].0);
    assert_eq!(epochs, expected);
}

/// Ranges of time over many spans, restarts and events that are not written yet, against looking at each event.
#[test]
fn a_range_of_time_is_what_looking_at_each_event_finds() {
    let world = World::new();
    let mut random = 1_u64;
    let mut draw = move |below: i64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as i64 % below
    };
    let mut times = Vec::new();
    for life in 0..3 {
        let running = world.start();
        for batch in 0..9 {
            let drafts = (0..100).map(|_| {
                // Mostly rising, with stragglers and a clock that jumps.
                let rising = times.len() as i64 * 10 + draw(500);
                let time = if draw(50) == 0 { draw(40_000) - 5_000 } else { rising };
                times.push(time);
                headwater_event::Draft { time: Timestamp(time), ..draft("a", 0) }
            });
            let drafts: Vec<_> = drafts.collect();
            let ack = running.engine.publish(drafts).unwrap();
            if batch % 2 == life % 2 {
                ack.wait().unwrap();
            }
            for _ in 0..40 {
                let (since, width) = (draw(30_000) - 2_000, draw(3_000));
                let until = since + width;
                let fits = |time: &&i64| (since..=until).contains(*time);
                let first = times.iter().position(|time| fits(&time)).map(|index| index as u64 + 1);
                let last = times.iter().rposition(|time| fits(&time)).map(|index| index as u64 + 1);
                let end = times.len() as u64 + 1;
                let expected = first.zip(last).map_or(end..end, |(first, last)| first..last + 1);
                let found = running.engine.within(&name("a"), Some(Timestamp(since)), Some(Timestamp(until))).unwrap();
                assert_eq!(found, expected, "{since} to {until}");
            }
        }
    }
}
