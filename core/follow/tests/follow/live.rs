//! Following what happens: names, patterns, channels that come to be, filters, endings.

use crate::world::{World, draft, follow, name, run, sized};
use headwater_event::{Draft, Position, Severity};
use headwater_filter::Filter;
use headwater_follow::FollowError;
use headwater_router::{From, LogLimits, RouterError};

#[tokio::test]
async fn events_come_from_where_it_was_asked_to_begin() {
    let world = World::forgetful(LogLimits::default());
    let positions = [world.publish("a", 1), world.publish("a", 1)];
    world.publish("b", 1);
    let mut latest = world.follow(&["a"], From::Latest);
    let mut earliest = world.follow(&["a", "b"], From::Earliest);
    let mut resumed = world.follow(&["a"], From::After(positions[0]));
    world.publish("a", 2);
    assert_eq!(latest.until(2).await, run("a", 3..=4));
    assert_eq!(resumed.until(3).await, run("a", 2..=4));
    let mut all = earliest.until(5).await.to_vec();
    all.sort();
    assert_eq!(all, [run("a", 1..=4), run("b", 1..=1)].concat());
    assert!(latest.is_quiet().await && resumed.is_quiet().await && earliest.is_quiet().await);
    assert_eq!(latest.position("a"), Some(Position { offset: 4, ..positions[0] }));
}

#[tokio::test]
async fn a_channel_that_several_patterns_mean_is_read_once() {
    let world = World::forgetful(LogLimits::default());
    world.publish("a", 1);
    let mut reader = world.follow(&["a", "a", "a*", "*"], From::Earliest);
    world.publish("a", 1);
    world.publish("ab", 1);
    assert_eq!(reader.until(3).await, ["a1", "a2", "ab1"]);
    assert!(reader.is_quiet().await);
}

#[tokio::test]
async fn a_channel_that_comes_to_be_is_read_from_its_first_event() {
    let world = World::stored(100);
    let mut all = world.follow(&["build:*"], From::Latest);
    let mut named = world.follow(&["build:2"], From::Latest);
    assert_eq!(named.position("build:2").map(|position| position.offset), Some(0));
    assert_eq!(all.follower.positions().len(), 0);
    world.publish("build:1", 2);
    assert_eq!(all.until(2).await, ["build:11", "build:12"]);
    world.publish("build:2", 1);
    world.publish("other", 1);
    assert_eq!(all.until(3).await[2], "build:21");
    assert_eq!(named.until(1).await, ["build:21"]);
    // One that begins now stands behind all that.
    let mut later = world.follow(&["build:*"], From::Latest);
    world.publish("build:1", 1);
    assert_eq!(later.until(1).await, ["build:13"]);
    assert_eq!(all.until(4).await[3], "build:13");
}

/// Harm prevented: a position is kept while a daemon without a store restarts, and what came of it is never told.
#[tokio::test]
async fn a_position_of_a_channel_that_comes_again_is_judged_when_it_comes() {
    let before = World::forgetful(LogLimits::default());
    let position = before.publish("a", 5);
    let world = World::forgetful(LogLimits::default());
    let mut reader = world.follow(&["*"], From::After(position));
    world.publish("a", 2);
    assert_eq!(reader.until(3).await, ["a[1-0 epoch_change]", "a1", "a2"]);
}

#[tokio::test]
async fn what_the_filter_leaves_out_moves_the_cursor() {
    let world = World::forgetful(LogLimits::default());
    let mut reader = world.follow_as(&["a"], From::Latest, |follow| {
        follow.filter = Filter::new(&[], Some(Severity::Error), &[], &[]);
    });
    let last = world.publish("a", 5_000);
    assert!(reader.is_quiet().await);
    assert_eq!(reader.position("a"), Some(last));
    world.publish_one(Draft { severity: Some(Severity::Critical), ..draft("a") });
    assert_eq!(reader.until(1).await, ["a5001"]);
}

#[tokio::test]
async fn pages_are_bounded_by_number_and_by_size() {
    let world = World::forgetful(LogLimits { channel_bytes: 64 << 20, ..LogLimits::default() });
    world.publish("a", 2_500);
    let mut reader = world.follow(&["a"], From::Earliest);
    assert_eq!(reader.until(2_500).await, run("a", 1..=2_500));
    assert_eq!(reader.pages, [1_000, 1_000, 500]);

    for _ in 0..8 {
        world.publish_one(sized("b", 100_000));
    }
    world.publish_one(sized("b", 1_000_000));
    let mut reader = world.follow(&["b"], From::Earliest);
    assert_eq!(reader.until(9).await, run("b", 1..=9));
    assert_eq!(reader.pages, [3, 3, 3]);
}

/// Harm prevented: one busy channel keeps the quiet ones from a reader of both.
#[tokio::test]
async fn a_busy_channel_does_not_hold_up_a_quiet_one() {
    let world = World::forgetful(LogLimits::default());
    world.publish("busy", 5_000);
    world.publish("quiet", 1);
    let mut reader = world.follow(&["busy", "quiet"], From::Earliest);
    reader.page().await;
    assert!(reader.seen.contains(&"quiet1".to_owned()), "a page of {} without the quiet channel", reader.seen.len());
    // Also when the quiet one gets its event behind the first page.
    world.publish("quiet", 1);
    reader.page().await;
    assert!(reader.seen.contains(&"quiet2".to_owned()));
}

#[tokio::test]
async fn what_cannot_be_followed_is_refused_and_leaves_nothing() {
    let world = World::forgetful(LogLimits { channels: 2, ..LogLimits::default() });
    let position = world.publish("a", 3);
    let ahead = Position { offset: 7, ..position };
    let refused = world.followers.follow(follow(&["a"], From::After(ahead))).unwrap_err();
    assert_eq!(refused, FollowError::Ahead { channel: name("a"), head: 3 });
    assert!(refused.to_string().contains("`a`, which stands at 3"), "{refused}");
    let refused = world.followers.follow(follow(&["b", "c"], From::Latest)).unwrap_err();
    assert_eq!(refused, FollowError::Router(RouterError::TooManyChannels { name: name("c"), limit: 2 }));
    assert!(world.router.log("b").is_none(), "a refused reader is still watching");
}

#[tokio::test]
async fn a_reader_that_is_dropped_watches_nothing_any_more() {
    let world = World::forgetful(LogLimits { channels: 2, ..LogLimits::default() });
    world.publish("a", 1);
    drop(world.follow(&["typo", "*"], From::Latest));
    assert!(world.router.log("typo").is_none());
    let mut other = world.follow(&["b"], From::Latest);
    world.publish("b", 1);
    assert_eq!(other.until(1).await, ["b1"]);
}

#[tokio::test]
async fn readers_end_with_their_hub() {
    let world = World::forgetful(LogLimits::default());
    let mut waiting = world.follow(&["a"], From::Latest);
    let mut reading = world.follow(&["a"], From::Earliest);
    let cancel = world.cancel.clone();
    let ended = async {
        tokio::task::yield_now().await;
        cancel.cancel();
    };
    let (more, ()) = tokio::join!(waiting.page(), ended);
    assert!(!more);
    world.publish("a", 1);
    assert!(!reading.page().await);
    world.tasks.close();
    world.tasks.wait().await;
}

/// Harm prevented: a hub that comes too late forgets the channels that it was not told of.
#[tokio::test]
async fn a_hub_that_was_overrun_misses_neither_events_nor_channels() {
    let world = World::forgetful(LogLimits { inbox_events: 3, ..LogLimits::default() });
    let mut reader = world.follow(&["*"], From::Latest);
    // Nothing is awaited in between, so that the hub cannot come.
    for round in 0..20 {
        world.publish(&format!("c{}:", round % 10), 1);
    }
    assert!(world.router.counters().overflows > 0);
    let mut seen = reader.until(20).await.to_vec();
    seen.sort();
    let mut expected: Vec<String> = (0..10).flat_map(|channel| run(&format!("c{channel}:"), 1..=2)).collect();
    expected.sort();
    assert_eq!(seen, expected);
}
