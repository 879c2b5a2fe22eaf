//! Below the logs: pages from the store, what it does not have, and readers that fall behind.

use crate::world::{World, run};
use headwater_event::{Epoch, GapReason, Position};
use headwater_follow::Lag;
use headwater_router::{From, LogLimits};
use std::time::Duration;

#[tokio::test]
async fn what_left_the_log_comes_from_the_store_and_goes_over_into_the_log() {
    let world = World::stored(10);
    world.publish("a", 3_000);
    let mut reader = world.follow(&["a"], From::Earliest);
    assert_eq!(reader.until(3_000).await, run("a", 1..=3_000));
    world.publish("a", 1);
    assert_eq!(reader.until(3_001).await[3_000], "a3001");
    let reads = world.shelf.state().reads;
    assert!((3..=4).contains(&reads), "{reads} reads of the store for 3,000 events");
}

#[tokio::test]
async fn a_reader_that_falls_off_the_log_is_read_to_from_the_store_or_told_the_gap() {
    let world = World::stored(10);
    let mut patient = world.follow(&["a"], From::Latest);
    let mut hasty = world.follow_as(&["a"], From::Latest, |follow| follow.lag = Lag::Gap);
    world.publish("a", 5);
    patient.until(5).await;
    hasty.until(5).await;
    world.publish("a", 100);
    assert_eq!(patient.until(105).await, run("a", 1..=105));
    assert_eq!(hasty.until(16).await[5], "a[6-95 slow_consumer]");
    assert_eq!(hasty.seen[6..], run("a", 96..=105));
}

/// A reader that asks for the past has not fallen behind: the policy is for those who had caught up.
#[tokio::test]
async fn the_past_that_was_asked_for_comes_whatever_the_policy() {
    let world = World::stored(10);
    world.publish("a", 50);
    let mut reader = world.follow_as(&["a"], From::Earliest, |follow| follow.lag = Lag::Gap);
    assert_eq!(reader.until(50).await, run("a", 1..=50));
}

#[tokio::test]
async fn without_a_store_a_slow_reader_is_told_its_gap() {
    let world = World::forgetful(LogLimits { channel_events: 10, ..LogLimits::default() });
    let mut reader = world.follow(&["a"], From::Latest);
    world.publish("a", 25);
    assert_eq!(reader.until(11).await[0], "a[1-15 slow_consumer]");
    assert_eq!(reader.seen[1..], run("a", 16..=25));
}

#[tokio::test]
async fn what_the_store_has_not_is_a_gap_with_its_range() {
    let world = World::stored(5);
    let position = world.publish("a", 30);
    world.shelf.drop_below("a", 11);
    for offset in [15, 16, 24, 25, 26, 27] {
        world.shelf.lose("a", offset);
    }
    let mut reader = world.follow(&["a"], From::After(Position { offset: 3, ..position }));
    let expected = [
        vec!["a[4-10 retention]".to_owned()],
        run("a", 11..=14),
        vec!["a[15-16 corruption]".to_owned()],
        run("a", 17..=23),
        // 26 and 27 were not written either, but memory has them.
        vec!["a[24-25 corruption]".to_owned()],
        run("a", 26..=30),
    ]
    .concat();
    assert_eq!(reader.until(expected.len()).await, expected);
    // What retention takes while it is on its way is told as well.
    let mut reader = world.follow(&["a"], From::Earliest);
    world.shelf.drop_below("a", 20);
    assert_eq!(reader.until(1 + 4 + 1 + 5).await[0], "a[11-19 retention]");
}

#[tokio::test]
async fn a_position_of_an_earlier_life_goes_on_as_far_as_it_was_kept() {
    let world = World::stored(100);
    let position = world.publish("a", 10);
    world.shelf.new_epoch("a", 8);
    let world = world.restarted();
    let at = |offset| From::After(Position { offset, ..position });
    world.publish("a", 2);
    for (from, expected) in [
        (at(7), run("a", 8..=10)),
        (at(8), run("a", 9..=10)),
        // It has seen a 9 and a 10 that are not those of now.
        (at(10), [vec!["a[9-8 epoch_change]".to_owned()], run("a", 9..=10)].concat()),
        (
            From::After(Position { epoch: Epoch(7), offset: 9 }),
            [vec!["a[1-0 epoch_change]".to_owned()], run("a", 1..=10)].concat(),
        ),
    ] {
        let mut reader = world.follow(&["a"], from);
        assert_eq!(reader.until(expected.len()).await, expected, "{from:?}");
        assert!(reader.is_quiet().await);
        assert_eq!(reader.position("a").unwrap().offset, 10);
    }
}

#[tokio::test]
async fn a_numbering_that_begins_anew_under_a_reader_is_told() {
    let world = World::stored(100);
    world.publish("a", 10);
    let mut reader = world.follow(&["a"], From::Earliest);
    reader.until(10).await;
    world.shelf.new_epoch("a", 4);
    world.publish("a", 3);
    assert_eq!(reader.until(14).await[10..], ["a[5-4 epoch_change]", "a5", "a6", "a7"]);
}

/// Harm prevented: a reader that is asked now and then, with other things in between, loses a page of the store.
#[tokio::test]
async fn a_reader_that_is_left_waiting_for_the_store_loses_nothing() {
    let world = World::stored(10);
    world.publish("a", 2_500);
    let mut reader = world.follow(&["a"], From::Earliest);
    let mut asked = 0;
    while reader.seen.len() < 2_500 {
        asked += 1;
        tokio::select! {
            biased;
            more = reader.page() => assert!(more),
            () = std::future::ready(()) => tokio::task::yield_now().await,
        }
    }
    assert_eq!(reader.seen, run("a", 1..=2_500));
    assert!(asked > reader.pages.len(), "it was never left waiting");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_for_a_while_is_asked_again() {
    let world = World::stored(10);
    world.publish("a", 100);
    world.publish("b", 1);
    world.shelf.state().failing = true;
    let mut reader = world.follow(&["a", "b"], From::Earliest);
    // The others have their turn meanwhile.
    assert_eq!(reader.until(1).await, ["b1"]);
    let later = async {
        // Sleeps because time is paused, and passing it is what is tried.
        tokio::time::sleep(Duration::from_secs(10)).await;
        world.shelf.state().failing = false;
    };
    let (seen, ()) = tokio::join!(reader.until(101), later);
    assert_eq!(seen[1..], run("a", 1..=100));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_goes_on_failing_is_told_as_a_gap_and_hangs_nobody() {
    let world = World::stored(10);
    world.publish("a", 100);
    world.shelf.state().failing = true;
    let mut reader = world.follow(&["a"], From::Earliest);
    let mut since = world.follow(&["a"], From::Since(crate::world::time(0)));
    let started = tokio::time::Instant::now();
    // The reader's own patience with a page is shorter.
    let page = reader.follower.next().await.unwrap();
    let waited = started.elapsed();
    assert!((Duration::from_secs(30)..Duration::from_secs(40)).contains(&waited), "{waited:?}");
    let headwater_follow::Item::Gap(gap) = &page.items[0] else { panic!("{:?}", page.items[0]) };
    assert_eq!((gap.from.offset, gap.to, gap.reason), (1, 90, GapReason::Corruption));
    assert_eq!(page.items.len(), 11, "and what memory holds");
    assert_eq!(since.position("a"), None, "a beginning that is not known is no position");
    assert_eq!(since.follower.next().await.unwrap().items.len(), 11);
    assert!(world.shelf.state().reads < 60, "a store that fails is asked all the time");
}

/// Harm prevented: a channel that never rests keeps what comes from the store from a reader of both.
#[tokio::test]
async fn a_busy_log_does_not_keep_what_comes_from_the_store() {
    let world = World::stored(10);
    world.publish("old", 3_000);
    let world = world.restarted();
    let mut reader = world.follow(&["busy", "old"], From::Earliest);
    for _ in 0..1_000 {
        // Each time more than a page, so that there is always something to read.
        world.publish("busy", 1_001);
        reader.page().await;
        tokio::task::yield_now().await;
        if reader.seen.contains(&"old3000".to_owned()) {
            return;
        }
        reader.seen.clear();
    }
    panic!("the store was asked, and nobody took the answer");
}
