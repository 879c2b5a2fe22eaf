//! Endpoints that do not take what they get.

use crate::{
    receiver::{Answer, Receiver},
    world::World,
};
use headwater_webhooks::{Endpoint, WebhookState};
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

#[tokio::test]
async fn a_refused_event_comes_again_with_its_id_and_the_others_wait() {
    let (world, mut receiver) = (World::new(), Receiver::start().await);
    receiver.answers([500, 404].map(|status| Answer::Status(status, None)));
    let hooks = world.hooks([world.hook("x", &["a"], &receiver)]).await;
    world.publish("a", 1);
    world.publish("a", 2);
    let posts = [receiver.next().await, receiver.next().await, receiver.next().await, receiver.next().await];
    assert_eq!(posts.each_ref().map(super::receiver::Received::n), [1, 1, 1, 2]);
    assert!(posts[..3].iter().all(|post| post.id() == posts[0].id()));
    assert_ne!(posts[3].id(), posts[0].id());
    hooks.wait("x", |status| status.counts.delivered == 2).await;
    let status = hooks.status("x");
    assert_eq!((status.counts.failures, status.counts.dead_letters), (2, 0));
    assert_eq!(status.last_error.as_deref(), Some("it answered 404 Not Found"));
    hooks.end().await;
}

/// The signature would go to whoever the old endpoint names, and a GET would carry nothing.
#[tokio::test]
async fn redirects_are_not_followed() {
    let (world, mut receiver) = (World::new(), Receiver::start().await);
    let mut other = Receiver::start().await;
    let location = Box::leak(format!("http://{}/", other.address()).into_boxed_str());
    receiver.answers([307, 302].map(|status| Answer::Status(status, Some(("location", &*location)))));
    let hooks = world.hooks([world.hook("x", &["a"], &receiver)]).await;
    world.publish("a", 1);
    assert_eq!(receiver.numbers(3).await, [1, 1, 1]);
    assert_eq!(other.waiting(), 0);
    let error = hooks.status("x").last_error.unwrap();
    assert!(error.contains("redirects are not followed"), "{error}");
    hooks.end().await;
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_tried_again() {
    let (world, mut receiver) = (World::new(), Receiver::start().await);
    receiver.answers([Answer::Silence]);
    let mut hook = world.hook("x", &["a"], &receiver);
    hook.timeout = Duration::from_millis(100);
    let hooks = world.hooks([hook]).await;
    world.publish("a", 1);
    assert_eq!(receiver.numbers(2).await, [1, 1]);
    assert_eq!(hooks.status("x").last_error.as_deref(), Some("no answer within 100 ms"));
    hooks.end().await;
}

/// Harm prevented: an endpoint that took the event and dawdles over the rest of its answer gets the event again, as often
/// as it is tried, and then it is called dead.
#[tokio::test]
async fn an_answer_counts_once_its_head_is_there() {
    let (world, mut receiver) = (World::new(), Receiver::start().await);
    receiver.answers([Answer::Unfinished]);
    let mut hook = world.hook("x", &["a"], &receiver);
    hook.timeout = Duration::from_millis(500);
    let hooks = world.hooks([hook]).await;
    world.publish("a", 1);
    world.publish("a", 2);
    assert_eq!(receiver.numbers(2).await, [1, 2]);
    hooks.wait("x", |status| status.counts.delivered == 2).await;
    assert_eq!(hooks.status("x").counts.failures, 0);
    hooks.end().await;
}

#[tokio::test]
async fn an_endpoint_that_names_a_pause_gets_it() {
    let (world, mut receiver) = (World::new(), Receiver::start().await);
    receiver.answers([Answer::Status(429, Some(("retry-after", "1")))]);
    let hooks = world.hooks([world.hook("x", &["a"], &receiver)]).await;
    world.publish("a", 1);
    receiver.next().await;
    let began = Instant::now();
    hooks.wait("x", |status| matches!(status.state, WebhookState::Retrying { failed: 1, .. })).await;
    receiver.next().await;
    assert!(began.elapsed() > Duration::from_millis(900), "{:?}", began.elapsed());
    hooks.end().await;
}

#[tokio::test]
async fn what_is_never_taken_ends_in_the_dead_letter_channel_and_the_next_event_follows() {
    let (world, mut receiver) = (World::new(), Receiver::start().await);
    receiver.answers([400; 3].map(|status| Answer::Status(status, None)));
    let mut letters = Receiver::start().await;
    let watch = world.hook("watch", &["webhooks.dead_letter"], &letters);
    let hooks = world.hooks([world.hook("x", &["a"], &receiver), watch]).await;
    world.publish("a", 1);
    world.publish("a", 2);
    assert_eq!(receiver.numbers(4).await, [1, 1, 1, 2]);
    let letter = letters.next().await.body;
    assert_eq!((&letter["type"], &letter["severity"]), (&"webhook.dead_letter".into(), &"error".into()));
    assert_eq!(letter["source"], "headwater");
    let data = &letter["data"];
    assert_eq!((&data["webhook"], &data["attempts"], &data["status"]), (&"x".into(), &3.into(), &400.into()));
    assert_eq!(data["url"], format!("http://{}/hook", receiver.address()));
    assert_eq!(data["error"], "it answered 400 Bad Request");
    assert_eq!((&data["event"]["data"]["n"], &data["event"]["channel"]), (&1.into(), &"a".into()));
    assert!(!letter.to_string().contains("hunter2"));
    hooks.wait("x", |status| status.counts.delivered == 1).await;
    assert_eq!(hooks.status("x").counts.dead_letters, 1);
    hooks.end().await;
}

#[tokio::test]
async fn a_dead_endpoint_is_told_with_its_reason() {
    let (world, receiver) = (World::new(), Receiver::start().await);
    let mut letters = Receiver::start().await;
    let mut hook = world.hook("x", &["a"], &receiver);
    drop(receiver);
    hook.attempts = 1;
    let hooks = world.hooks([hook, world.hook("watch", &["webhooks.dead_letter"], &letters)]).await;
    world.publish("a", 1);
    let data = letters.next().await.body["data"].clone();
    assert_eq!(data.get("status"), None, "there was no answer");
    assert!(data["error"].as_str().unwrap().contains("refused"), "{data}");
    hooks.end().await;
}

/// Nobody would see what was lost when the disk is full.
#[tokio::test]
async fn without_a_dead_letter_the_event_is_tried_again() {
    let (world, mut receiver) = (World::new(), Receiver::start().await);
    receiver.answers([500; 4].map(|status| Answer::Status(status, None)));
    world.refuse.store(2, Ordering::SeqCst);
    let hooks = world.hooks([world.hook("x", &["a"], &receiver)]).await;
    world.publish("a", 1);
    assert_eq!(receiver.numbers(5).await, [1; 5]);
    hooks.wait("x", |status| status.counts.delivered == 1).await;
    assert_eq!(hooks.status("x").counts.dead_letters, 0);
    hooks.end().await;
}

/// Two webhooks that get each other's dead letters would wrap them into each other for ever.
#[tokio::test]
async fn dead_letters_do_not_multiply() {
    let (world, mut one) = (World::new(), Receiver::start().await);
    let mut two = Receiver::start().await;
    for receiver in [&one, &two] {
        receiver.answers([500; 1000].map(|status| Answer::Status(status, None)));
    }
    let mut specs = [world.hook("one", &["*"], &one), world.hook("two", &["*"], &two)];
    for spec in &mut specs {
        spec.attempts = 1;
    }
    let hooks = world.hooks(specs).await;
    world.publish("a", 1);
    // Each gets the event and the other's dead letter of it.
    for (receiver, other) in [(&mut one, "two"), (&mut two, "one")] {
        assert_eq!(receiver.next().await.n(), 1);
        assert_eq!(receiver.next().await.body["data"]["webhook"], other);
    }
    for name in ["one", "two"] {
        hooks.wait(name, |status| status.counts.dead_letters == 2).await;
    }
    world.publish("a", 2);
    assert_eq!(one.next().await.n(), 2);
    assert_eq!(two.next().await.n(), 2);
    hooks.end().await;
}

#[tokio::test]
async fn an_endpoint_that_is_gone_gets_nothing_until_its_table_changes() {
    let (world, mut receiver) = (World::new(), Receiver::start().await);
    let mut system = Receiver::start().await;
    receiver.answers([Answer::Status(410, None)]);
    let (mut hook, watch) = (world.hook("x", &["a"], &receiver), world.hook("watch", &["system_events"], &system));
    let mut hooks = world.hooks([hook.clone(), watch.clone()]).await;
    world.publish("a", 1);
    let first = receiver.next().await;
    let told = system.next().await.body;
    assert_eq!((&told["type"], &told["data"]["webhook"]), (&"webhook.disabled".into(), &"x".into()));
    assert_eq!(told["data"]["message_id"], first.id());
    hooks.reaches("x", &WebhookState::Gone).await;
    world.publish("a", 2);
    let applied = hooks.apply([hook.clone(), watch.clone()]).await;
    assert_eq!(applied, headwater_webhooks::Applied::default(), "the table is the same");
    assert_eq!(hooks.status("x").state, WebhookState::Gone);
    hook.endpoint = Endpoint::parse(&format!("http://{}/new", receiver.address())).unwrap();
    assert_eq!(hooks.apply([hook, watch]).await.restarted, ["x"]);
    let again = receiver.next().await;
    assert_eq!((again.id(), again.path.as_str()), (first.id(), "/new"), "nothing is lost");
    assert_eq!(receiver.next().await.n(), 2);
    hooks.end().await;
}
