//! Beginnings by time, and ends.

use crate::world::{World, at, draft, name, run, time};
use headwater_event::{Draft, Timestamp};
use headwater_follow::Until;
use headwater_router::{From, LogLimits};
use std::time::Duration;

#[tokio::test]
async fn until_the_heads_of_now_and_no_further() {
    for world in [World::stored(10), World::forgetful(LogLimits::default())] {
        world.publish("a", 30);
        world.publish("b", 1);
        let mut reader = world.follow_as(&["*", "none"], From::Earliest, |follow| follow.until = Until::Heads);
        world.publish("a", 100);
        world.publish("c", 1);
        let mut seen = reader.rest().await.to_vec();
        seen.sort_by_key(|item| (item.as_bytes()[0], item[1..].parse::<u64>().unwrap()));
        assert_eq!(seen, [run("a", 1..=30), run("b", 1..=1)].concat());
        assert!(!reader.page().await, "it ended, and goes on");
        assert!(world.router.log("none").is_none(), "asking for what is there made a channel");
    }
}

#[tokio::test]
async fn an_end_that_left_the_log_meanwhile_is_a_gap_up_to_it() {
    let world = World::forgetful(LogLimits { channel_events: 10, ..LogLimits::default() });
    world.publish("a", 8);
    let mut reader = world.follow_as(&["a"], From::Earliest, |follow| follow.until = Until::Heads);
    world.publish("a", 14);
    assert_eq!(reader.rest().await, ["a[1-8 slow_consumer]"]);
    // Also where retention has gone beyond it.
    let world = World::stored(10);
    world.publish("a", 30);
    let mut reader = world.follow_as(&["a"], From::Earliest, |follow| follow.until = Until::Heads);
    world.publish("a", 70);
    world.shelf.drop_below("a", 50);
    assert_eq!(reader.rest().await, ["a[1-30 retention]"]);
    // So it is where the numbering begins anew, below its end.
    let world = World::stored(3_000);
    world.publish("a", 2_500);
    let mut reader = world.follow_as(&["a"], From::Earliest, |follow| follow.until = Until::Heads);
    reader.page().await;
    world.shelf.new_epoch("a", 500);
    world.publish("a", 1);
    assert_eq!(reader.rest().await[1_000..], ["a[501-500 epoch_change]", "a501"]);
}

#[tokio::test]
async fn an_end_while_the_daemon_ends_is_still_whole() {
    let world = World::stored(10);
    world.publish("a", 5_000);
    let mut reader = world.follow_as(&["a"], From::Earliest, |follow| follow.until = Until::Heads);
    reader.page().await;
    world.cancel.cancel();
    assert_eq!(reader.rest().await, run("a", 1..=5_000));
}

#[tokio::test]
async fn a_span_of_time_from_the_store_and_from_memory() {
    for world in [World::stored(2), World::stored(100), World::forgetful(LogLimits::default())] {
        for seconds in [10, 30, 20, 50, 40, 60] {
            world.publish_one(at("a", seconds));
        }
        for (since, until, expected) in [
            (Some(20), None, run("a", 2..=6)),
            (Some(45), None, run("a", 4..=6)),
            (Some(61), None, vec![]),
            // 3 to 5 were observed from 20 to 50 s; 2 was at 30.
            (Some(20), Some(40), run("a", [2, 3, 5])),
            (None, Some(20), run("a", [1, 3])),
            (None, Some(9), vec![]),
            (Some(31), Some(39), vec![]),
        ] {
            let from = since.map_or(From::Earliest, |seconds| From::Since(time(seconds)));
            let mut reader = world.follow_as(&["a"], from, |follow| {
                follow.until = until.map_or(Until::Heads, |seconds| Until::Time(time(seconds)));
            });
            assert_eq!(reader.rest().await, expected, "{since:?} to {until:?}");
        }
    }
}

#[tokio::test]
async fn a_beginning_by_time_goes_on_live() {
    let world = World::stored(2);
    for seconds in [10, 20, 30, 40] {
        world.publish_one(at("a", seconds));
    }
    let mut reader = world.follow(&["a"], From::Since(time(20)));
    assert_eq!(reader.position("a"), None);
    assert_eq!(reader.until(3).await, run("a", 2..=4));
    // What comes later comes, whenever it was observed.
    world.publish_one(at("a", 5));
    assert_eq!(reader.until(4).await[3], "a5");
    let mut future = world.follow(&["a"], From::Since(time(1_000)));
    assert!(future.is_quiet().await);
    world.publish_one(at("a", 6));
    assert_eq!(future.until(1).await, ["a6"]);
}

#[tokio::test]
async fn an_end_in_the_future_comes_with_its_time() {
    let world = World::forgetful(LogLimits::default());
    let end = Timestamp(Timestamp::now().0 + 300_000_000);
    let mut reader = world.follow_as(&["*"], From::Latest, |follow| follow.until = Until::Time(end));
    world.publish("a", 2);
    assert_eq!(reader.until(2).await, run("a", 1..=2));
    // It is there in time, and was observed later: not wanted.
    world.publish_one(Draft { time: Timestamp(end.0 + 1), ..draft("a") });
    world.publish_one(draft("b"));
    assert_eq!(reader.until(3).await[2], "b1");
    tokio::time::timeout(Duration::from_secs(20), async { assert!(!reader.page().await) }).await.unwrap();
    assert!(Timestamp::now() >= end);
    let position = reader.follower.positions().into_iter().find(|(channel, _)| *channel == name("a"));
    assert_eq!(position.unwrap().1.offset, 3);
}
