//! Where a webhook begins, and where it goes on.

use crate::{
    receiver::{Answer, Receiver},
    world::{World, kept},
};
use headwater_router::LogLimits;
use headwater_webhooks::WebhookState;
use std::fs;

#[tokio::test]
async fn it_begins_with_what_comes_and_misses_no_new_channel() {
    let (world, mut receiver) = (World::new(), Receiver::start().await);
    world.publish("build:1", 1);
    let hooks = world.hooks([world.hook("x", &["build:*"], &receiver)]).await;
    world.publish("build:2", 2);
    world.publish("build:1", 3);
    let mut numbers = receiver.numbers(2).await;
    numbers.sort_unstable();
    assert_eq!(numbers, [2, 3], "what was before the webhook is nobody's request");
    hooks.end().await;
}

#[tokio::test]
async fn a_restart_goes_on_after_what_was_taken() {
    let (world, mut receiver) = (World::new(), Receiver::start().await);
    let hooks = world.hooks([world.hook("x", &["a", "b*"], &receiver)]).await;
    world.publish("a", 1);
    world.publish("a", 2);
    assert_eq!(receiver.numbers(2).await, [1, 2]);
    hooks.wait("x", |status| status.counts.delivered == 2).await;
    hooks.end().await;
    world.publish("a", 3);
    world.publish("b1", 4);
    let hooks = world.hooks([world.hook("x", &["a", "b*"], &receiver)]).await;
    let mut numbers = receiver.numbers(2).await;
    numbers.sort_unstable();
    assert_eq!(numbers, [3, 4], "also of a channel that came while nothing ran");
    hooks.end().await;
}

/// What the endpoint did not take by the end belongs to the next start.
#[tokio::test]
async fn an_event_that_was_being_tried_is_tried_again_after_a_restart() {
    let (world, mut receiver) = (World::new(), Receiver::start().await);
    receiver.answers([Answer::Status(503, Some(("retry-after", "3600")))]);
    let mut hook = world.hook("x", &["a"], &receiver);
    hook.backoff.max = std::time::Duration::from_hours(1);
    let hooks = world.hooks([hook.clone()]).await;
    world.publish("a", 1);
    let first = receiver.next().await;
    hooks.wait("x", |status| matches!(status.state, WebhookState::Retrying { .. })).await;
    hooks.end().await;
    let hooks = world.hooks([hook]).await;
    assert_eq!(receiver.next().await.id(), first.id());
    hooks.end().await;
}

#[tokio::test]
async fn a_gap_is_posted_before_what_follows_it() {
    let limits = LogLimits { channel_events: 10, ..LogLimits::default() };
    let (world, mut receiver) = (World::with(limits), Receiver::start().await);
    let hooks = world.hooks([world.hook("x", &["a"], &receiver)]).await;
    world.publish("a", 1);
    assert_eq!(receiver.next().await.n(), 1);
    hooks.wait("x", |status| status.counts.delivered == 1).await;
    hooks.end().await;
    let before = fs::read(world.state().join("x.json")).unwrap();
    for n in 2..=100 {
        world.publish("a", n);
    }
    let mut ids = Vec::new();
    for _ in 0..2 {
        let hooks = world.hooks([world.hook("x", &["a"], &receiver)]).await;
        let gap = receiver.next().await;
        assert_eq!((&gap.body["type"], &gap.body["channel"]), (&"gap".into(), &"a".into()));
        assert_eq!(gap.body["from"], 2);
        let to = gap.body["to"].as_u64().unwrap();
        assert!(gap.id().starts_with("gap_"), "{}", gap.id());
        assert_eq!(receiver.next().await.n(), to + 1);
        hooks.wait("x", |status| status.counts.gaps == 1).await;
        hooks.end().await;
        ids.push(gap.id().to_owned());
        receiver.waiting();
        fs::write(world.state().join("x.json"), &before).unwrap();
    }
    assert_eq!(ids[0], ids[1], "a receiver can tell that it is the same gap");
}

/// Rather twice than never.
#[tokio::test]
async fn with_a_damaged_file_everything_is_sent_again() {
    let (world, mut receiver) = (World::new(), Receiver::start().await);
    world.publish("a", 1);
    fs::create_dir_all(world.state()).unwrap();
    fs::write(world.state().join("x.json"), "{").unwrap();
    let hooks = world.hooks([world.hook("x", &["a"], &receiver)]).await;
    assert_eq!(receiver.next().await.n(), 1);
    hooks.end().await;
    assert_eq!(kept(&world.state(), "x", "a"), Some(1));
    assert!(world.state().join("x.json.damaged").exists());
}

#[tokio::test]
async fn a_channel_that_the_table_names_later_begins_with_what_comes() {
    let (world, mut receiver) = (World::new(), Receiver::start().await);
    let mut hooks = world.hooks([world.hook("x", &["a"], &receiver)]).await;
    world.publish("a", 1);
    world.publish("b", 2);
    assert_eq!(receiver.next().await.n(), 1);
    assert_eq!(hooks.apply([world.hook("x", &["a", "b"], &receiver)]).await.restarted, ["x"]);
    world.publish("b", 3);
    assert_eq!(receiver.next().await.n(), 3);
    hooks.end().await;
}

/// A history that was put back from a copy is shorter than what the endpoint has.
#[tokio::test]
async fn a_position_that_nobody_can_have_is_no_end() {
    let (world, mut receiver) = (World::new(), Receiver::start().await);
    let hooks = world.hooks([world.hook("x", &["a"], &receiver)]).await;
    world.publish("a", 1);
    assert_eq!(receiver.next().await.n(), 1);
    hooks.wait("x", |status| status.counts.delivered == 1).await;
    hooks.end().await;
    let text = fs::read_to_string(world.state().join("x.json")).unwrap();
    fs::write(world.state().join("x.json"), text.replace("\"offset\":1", "\"offset\":99")).unwrap();
    let hooks = world.hooks([world.hook("x", &["a"], &receiver)]).await;
    assert_eq!(receiver.next().await.n(), 1);
    hooks.end().await;
}
