//! Checks of the past: pages up and down, ranges of time, epochs that are kept.

use super::seen::{channel, draft, find, payload, publish, read, start};
use crate::{Engine, Page, PageLimit};
use headwater_event::{ChannelName, Draft, Epoch, Event, Timestamp};
use std::sync::Arc;

/// How many events the past has.
const EVENTS: usize = 50;

/// Limits of pages: plain ones, by number, by bytes, and less than any event: one at a time.
const LIMITS: [PageLimit; 4] = [
    PageLimit { events: 1_000, bytes: 256 * 1024 },
    PageLimit { events: 7, bytes: usize::MAX },
    PageLimit { events: 1, bytes: usize::MAX },
    PageLimit { events: usize::MAX, bytes: 1 },
];

pub(super) fn history_is_read_in_pages_without_a_hole(engine: &dyn Engine) {
    let seen = start(engine);
    let name = channel("past");
    for number in 0..EVENTS {
        publish(engine, vec![draft(&name, number), draft(&channel("other"), number)]);
    }
    let handed_back = seen.of(&name);
    for limit in LIMITS {
        let mut next = 1;
        while next <= EVENTS as u64 {
            match read(engine, &name, next, limit) {
                Page::Expired { first } => {
                    assert!(first > next, "offset {next} has expired, and yet {first} can be had");
                    assert!(first <= EVENTS as u64 + 1, "the first offset lies ahead of the channel");
                    next = first;
                }
                Page::Missing { to, .. } => panic!("every write succeeded, and yet {next} to {to} were not kept"),
                Page::Events { events, next: then } => {
                    assert!(!events.is_empty(), "an empty page at {next}, and {EVENTS} events handed back");
                    check_size(&events, limit);
                    for event in events {
                        let original = find(&handed_back, &name, event.position);
                        assert_eq!(event.position.offset, next, "a hole in a page");
                        assert_eq!((event.id, payload(&event)), (original.id, payload(original)));
                        next += 1;
                    }
                    assert_eq!(then, next, "the page does not tell where the next one begins");
                }
            }
        }
    }
    for (name, next) in [(&name, EVENTS as u64 + 1), (&name, u64::MAX), (&channel("never"), 1)] {
        match read(engine, name, next, PageLimit::default()) {
            Page::Events { events, next: then } => assert_eq!((events.len(), then), (0, next), "behind the last event"),
            Page::Expired { first } => panic!("`{name}` from {next}: nothing was lost, and yet it expired to {first}"),
            Page::Missing { to, .. } => panic!("`{name}` from {next}: nothing was lost, and yet it misses up to {to}"),
        }
    }
}

pub(super) fn history_is_read_downwards_without_a_hole(engine: &dyn Engine) {
    let seen = start(engine);
    let name = channel("past");
    for number in 0..EVENTS {
        publish(engine, vec![draft(&name, number), draft(&channel("other"), number)]);
    }
    let handed_back = seen.of(&name);
    for limit in LIMITS {
        // From far above the last one: that is where one begins who asks for the newest.
        let (mut before, mut expected) = (u64::MAX, EVENTS as u64);
        while expected > 0 {
            match engine.read_back(&name, before, limit).expect("a channel can be read") {
                Page::Expired { first } => {
                    assert!(first > expected, "offset {expected} has expired, and yet {first} can be had");
                    break;
                }
                Page::Missing { to, .. } => panic!("every write succeeded, and yet {expected} to {to} were not kept"),
                Page::Events { events, next } => {
                    assert!(!events.is_empty(), "an empty page below {before}, and {EVENTS} events handed back");
                    check_size(&events, limit);
                    for event in events {
                        let original = find(&handed_back, &name, event.position);
                        assert_eq!(event.position.offset, expected, "a hole in a page downwards");
                        assert_eq!((event.id, payload(&event)), (original.id, payload(original)));
                        expected -= 1;
                    }
                    assert_eq!(next, expected + 1, "the page does not tell where the next one begins");
                    before = next;
                }
            }
        }
    }
    for (name, before) in [(&name, 1), (&name, 0), (&channel("never"), 1)] {
        match engine.read_back(name, before, PageLimit::default()).expect("a channel can be read") {
            Page::Events { events, .. } => assert_eq!(events.len(), 0, "something lies below the first event"),
            Page::Expired { .. } => {}
            Page::Missing { to, .. } => panic!("nothing was lost, and yet what lies below {before} misses to {to}"),
        }
    }
}

/// Every event whose time is in the range lies in the range of offsets, and the ends of that are such events.
pub(super) fn a_range_of_time_is_found(engine: &dyn Engine) {
    let _seen = start(engine);
    let name = channel("times");
    // Clocks do not order events.
    let time = |number: usize| Timestamp((number as i64 * 37 % 50) * 1_000);
    for number in 0..EVENTS {
        publish(engine, vec![Draft { time: time(number), ..draft(&name, number) }]);
    }
    let at = |time: i64| Some(Timestamp(time));
    for (since, until) in [
        (None, None),
        (at(20_000), at(20_000)),
        (at(20_001), at(20_999)),
        (at(10_000), at(30_000)),
        (at(45_000), None),
        (None, at(3_000)),
        (at(50_000), None),
        (None, at(-1)),
        (at(30_000), at(10_000)),
    ] {
        let fits = |event: &Event| {
            since.is_none_or(|since| event.time >= since) && until.is_none_or(|until| event.time <= until)
        };
        let range = engine.within(&name, since, until).expect("a channel can be asked for times");
        // What can be read now could be read then: retention only takes away.
        let stored = all(engine, &name);
        let offsets: Vec<u64> = stored.iter().filter(|event| fits(event)).map(|event| event.position.offset).collect();
        let outside = offsets.iter().find(|offset| !range.contains(offset));
        assert_eq!(outside, None, "{since:?} to {until:?} is {range:?}, without one that is in time");
        let first_stored = stored.first().map_or(EVENTS as u64 + 1, |event| event.position.offset);
        if offsets.is_empty() && (range.is_empty() || first_stored > range.start) {
            let end = EVENTS as u64 + 1;
            assert!(
                !range.is_empty() || range == (end..end),
                "nothing in time is the empty range at the end, not {range:?}"
            );
        } else if first_stored <= range.start {
            let ends = (offsets.first().copied(), offsets.last().map(|last| last + 1));
            assert_eq!(ends, (Some(range.start), Some(range.end)), "{since:?} to {until:?}: the range is too wide");
        }
    }
    assert_eq!(engine.within(&channel("never"), None, None), Ok(1..1), "a channel without events has an empty range");
}

pub(super) fn the_present_epoch_is_kept(engine: &dyn Engine) {
    let _seen = start(engine);
    let name = channel("kept");
    let epoch = engine.open(&name).expect("a channel can be opened").epoch;
    assert_eq!(engine.kept(&name, epoch), Some(0), "the epoch of a new channel is kept from its beginning");
    for number in 0..3 {
        publish(engine, vec![draft(&name, number)]);
    }
    assert_eq!(engine.kept(&name, epoch), Some(3), "the present epoch is kept to the last event");
    assert_eq!(engine.kept(&name, Epoch(epoch.0 ^ 1)), None, "an epoch that never was is kept");
    assert_eq!(engine.kept(&channel("other"), epoch), None, "the epoch of another channel is kept");
}

pub(super) fn a_new_engine_retains_nothing(engine: &dyn Engine) {
    assert_eq!(engine.retained().map(|events| events.len()), Ok(0), "a new engine has snapshots");
}

/// All events of a channel that can be read.
pub(super) fn all(engine: &dyn Engine, name: &ChannelName) -> Vec<Arc<Event>> {
    let (mut next, mut all) = (1, Vec::new());
    loop {
        match read(engine, name, next, PageLimit::default()) {
            Page::Expired { first } => next = first,
            Page::Missing { to, .. } => next = to + 1,
            Page::Events { events, .. } if events.is_empty() => return all,
            Page::Events { events, next: then } => {
                all.extend(events);
                next = then;
            }
        }
    }
}

fn check_size(events: &[Arc<Event>], limit: PageLimit) {
    assert!(events.len() <= limit.events, "a page of {} for {limit:?}", events.len());
    let bytes: usize = events.iter().map(|event| event.data.as_bytes().len()).sum();
    assert!(events.len() == 1 || bytes <= limit.bytes, "a page of {bytes} bytes for {limit:?}");
}
