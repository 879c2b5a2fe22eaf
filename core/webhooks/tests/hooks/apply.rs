//! The config changes while webhooks run.

use crate::{
    receiver::Receiver,
    world::{SECRET, World},
};
use headwater_webhooks::{Applied, SecretSource, WebhookState};
use std::fs;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn webhooks_come_change_and_go_and_the_others_do_not_notice() {
    let (world, mut kept) = (World::new(), Receiver::start().await);
    let (mut old, mut new) = (Receiver::start().await, Receiver::start().await);
    let stays = world.hook("stays", &["a"], &kept);
    let mut hooks = world.hooks([stays.clone(), world.hook("changes", &["a"], &old)]).await;
    world.publish("a", 1);
    assert_eq!((kept.next().await.n(), old.next().await.n()), (1, 1));
    for name in ["stays", "changes"] {
        hooks.wait(name, |status| status.counts.delivered == 1).await;
    }

    let specs = [stays.clone(), world.hook("changes", &["a"], &new), world.hook("comes", &["a"], &old)];
    let applied = hooks.apply(specs).await;
    let expected = Applied { started: names(&["comes"]), restarted: names(&["changes"]), ..Applied::default() };
    assert_eq!(applied, expected);
    world.publish("a", 2);
    assert_eq!((kept.next().await.n(), old.next().await.n(), new.next().await.n()), (2, 2, 2));
    hooks.wait("changes", |status| status.counts.delivered == 2).await;

    let applied = hooks.apply([stays]).await;
    assert_eq!(applied, Applied { stopped: names(&["changes", "comes"]), ..Applied::default() });
    world.publish("a", 3);
    assert_eq!(kept.next().await.n(), 3);
    let left: Vec<_> = hooks.webhooks.statuses().read().into_iter().map(|status| status.name).collect();
    assert_eq!(left, ["stays"]);
    hooks.end().await;
    assert_eq!((old.waiting(), new.waiting()), (0, 0));
}

#[tokio::test]
async fn what_comes_while_a_webhook_is_off_is_sent_when_it_is_on_again() {
    let (world, mut receiver) = (World::new(), Receiver::start().await);
    let on = world.hook("x", &["a"], &receiver);
    let mut off = on.clone();
    off.enabled = false;
    let mut hooks = world.hooks([on.clone()]).await;
    world.publish("a", 1);
    assert_eq!(receiver.next().await.n(), 1);
    hooks.wait("x", |status| status.counts.delivered == 1).await;
    assert_eq!(hooks.apply([off.clone()]).await.stopped, ["x"]);
    assert_eq!(hooks.status("x").state, WebhookState::Disabled);
    world.publish("a", 2);
    assert_eq!(hooks.apply([off]).await, Applied::default());
    assert_eq!(hooks.apply([on]).await.started, ["x"]);
    assert_eq!(receiver.next().await.n(), 2);
    hooks.end().await;
}

#[tokio::test]
async fn without_its_secret_a_webhook_waits_for_the_next_reload() {
    let (world, mut receiver) = (World::new(), Receiver::start().await);
    let mut hook = world.hook("x", &["a"], &receiver);
    let file = world.dir.path().join("later");
    hook.secret = SecretSource::File(file.clone());
    let mut hooks = world.hooks([]).await;
    let applied = hooks.apply([hook.clone()]).await;
    assert_eq!(applied.failed[0].0, "x");
    assert!(applied.failed[0].1.contains("later cannot be read"), "{applied:?}");
    assert_eq!(hooks.status("x").state, WebhookState::Failed(applied.failed[0].1.clone()));
    fs::write(&file, SECRET).unwrap();
    assert_eq!(hooks.apply([hook.clone()]).await.started, ["x"]);
    world.publish("a", 1);
    let first = receiver.next().await;
    hooks.wait("x", |status| status.counts.delivered == 1).await;

    // Both sign while receivers change over.
    fs::write(&file, format!("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n{SECRET}\n")).unwrap();
    assert_eq!(hooks.apply([hook.clone()]).await.restarted, ["x"]);
    world.publish("a", 2);
    let second = receiver.next().await;
    assert_eq!(first.header("webhook-signature").split(' ').count(), 1);
    assert_eq!(second.header("webhook-signature").split(' ').count(), 2);

    // A file that is being written is no reason to stop.
    fs::remove_file(&file).unwrap();
    assert_eq!(hooks.apply([hook]).await, Applied::default());
    world.publish("a", 3);
    assert_eq!(receiver.next().await.n(), 3);
    hooks.end().await;
}
