//! What is posted.

use crate::{
    receiver::{Answer, Receiver},
    world::{SECRET, World},
};
use data_encoding::BASE64;
use headwater_event::Timestamp;
use headwater_filter::Filter;
use headwater_webhooks::WebhookState;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

#[tokio::test]
async fn an_event_is_posted_as_native_json_and_signed() {
    let (world, mut receiver) = (World::new(), Receiver::start().await);
    let hooks = world.hooks([world.hook("x", &["a"], &receiver)]).await;
    world.publish("a", 7);
    let post = receiver.next().await;
    assert_eq!(post.path, "/hook?token=hunter2");
    assert_eq!(post.header("content-type"), "application/json");
    assert_eq!(post.header("user-agent").split_once('/').unwrap().0, "headwater-webhooks");
    assert_eq!((&post.body["type"], &post.body["channel"], post.n()), (&"count".into(), &"a".into(), 7));
    assert_eq!(post.body["message_id"], post.id(), "receivers de-duplicate by it");
    assert_eq!(post.body["offset"], 1);

    let timestamp: i64 = post.header("webhook-timestamp").parse().unwrap();
    assert!((Timestamp::now().0 / 1_000_000_000 - timestamp).abs() < 60, "seconds, not milliseconds");
    let key = BASE64.decode(SECRET.strip_prefix("whsec_").unwrap().as_bytes()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{}.{timestamp}.", post.id()).as_bytes());
    mac.update(&post.raw);
    let signature = BASE64.decode(post.header("webhook-signature").strip_prefix("v1,").unwrap().as_bytes()).unwrap();
    mac.verify_slice(&signature).unwrap();

    hooks.wait("x", |status| status.counts.delivered == 1).await;
    let status = hooks.status("x");
    assert_eq!((&status.state, status.last_error), (&WebhookState::Sending, None));
    assert!(status.last_success.is_some());
    assert_eq!(status.url, format!("http://{}/hook", receiver.address()), "the query may hold a token");
    hooks.end().await;
}

#[tokio::test]
async fn only_what_the_filter_wants_is_posted_and_the_rest_counts_as_read() {
    let (world, mut receiver) = (World::new(), Receiver::start().await);
    let mut hook = world.hook("x", &["a"], &receiver);
    hook.filter = Filter::new(&["good.*".to_owned()], None, &[], &[]);
    let hooks = world.hooks([hook]).await;
    for n in 1..=20 {
        world.publish_as("a", if n == 5 { "good.one" } else { "other" }, n);
    }
    assert_eq!(receiver.next().await.n(), 5);
    let reads = async |offset| {
        hooks.wait("x", |status| status.positions.first().is_some_and(|(_, at)| at.offset == offset)).await;
    };
    reads(20).await;
    world.publish_as("a", "other", 21);
    // Or else a restart after a quiet month would tell of a gap where everything was seen.
    reads(21).await;
    hooks.end().await;
    assert_eq!(crate::world::kept(&world.state(), "x", "a"), Some(21));
    assert_eq!(receiver.waiting(), 0);
}

#[tokio::test]
async fn events_come_in_order_over_one_connection() {
    let (world, mut receiver) = (World::new(), Receiver::start().await);
    let hooks = world.hooks([world.hook("x", &["*"], &receiver)]).await;
    for n in 0..300 {
        world.publish(["a", "b", "c"][n as usize % 3], n);
    }
    let numbers = receiver.numbers(300).await;
    for lane in 0..3 {
        let of: Vec<u64> = numbers.iter().copied().filter(|n| n % 3 == lane).collect();
        assert!(of.is_sorted() && of.len() == 100, "{of:?}");
    }
    assert_eq!(receiver.connections(), 1);
    hooks.wait("x", |status| status.counts.delivered == 300).await;
    hooks.end().await;
}

/// Else one channel whose events the endpoint does not like would hold up all others.
#[tokio::test]
async fn channels_do_not_wait_for_each_other_where_the_config_says_so() {
    let (world, mut receiver) = (World::new(), Receiver::start().await);
    let mut on = world.hook("x", &["a", "b"], &receiver);
    on.concurrency = 2;
    let mut off = on.clone();
    off.enabled = false;
    let mut hooks = world.hooks([on.clone()]).await;
    world.publish("a", 0);
    receiver.next().await;
    hooks.wait("x", |status| status.counts.delivered == 1).await;
    hooks.apply([off]).await;
    for (channel, n) in [("a", 1), ("a", 2), ("b", 3), ("b", 4)] {
        world.publish(channel, n);
    }
    receiver.answers([Answer::Silence, Answer::Silence]);
    hooks.apply([on]).await;
    let mut numbers = receiver.numbers(2).await;
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 3], "the first of each, and no second before its first is taken");
    hooks.end().await;
}

/// An answer that never ends must not hold the webhook, nor fill the memory.
#[tokio::test]
async fn of_an_endless_answer_only_the_beginning_is_read() {
    let (world, mut receiver) = (World::new(), Receiver::start().await);
    receiver.answers([Answer::Endless]);
    let hooks = world.hooks([world.hook("x", &["a"], &receiver)]).await;
    world.publish("a", 1);
    world.publish("a", 2);
    assert_eq!(receiver.numbers(2).await, [1, 2], "its status is 200, and the next event follows");
    hooks.end().await;
}
