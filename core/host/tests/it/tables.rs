//! Tables that follow close on each other, that are refused, or that meet a restart: the last one is never lost.

use crate::world::World;
use headwater_host::SourceState;
use serde_json::{Value, json};
use std::{
    fs,
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

/// Begins something and does not wait for it: its orders are given, and what they order is under way.
async fn begin(future: impl Future) {
    let mut future = pin!(future);
    poll_fn(|context| {
        let _ = future.as_mut().poll(context);
        Poll::Ready(())
    })
    .await;
}

fn table(n: u32) -> headwater_config::SourceConfig {
    World::fixture("one", json!({ "mode": "tick", "n": n }))
}

fn runs(world: &World) -> Vec<Value> {
    world.payloads("one", "began").into_iter().map(|data| data["settings"]["n"].clone()).collect()
}

// The tests have one thread, so that nothing is carried out before the test itself waits.

#[tokio::test(flavor = "current_thread")]
async fn an_edit_that_is_taken_back_while_it_is_under_way_is_taken_back() {
    let mut world = World::new();
    world.start(table(1)).await;
    world.set(table(2));
    begin(world.apply()).await;
    world.set(table(1));
    let applied = world.apply().await;
    assert_eq!((applied.restarted, applied.failed), (vec!["one".to_owned()], vec![]), "the other one was under way");
    // Whatever was under way is in place when this has been.
    world.set(table(3));
    assert_eq!(world.apply().await.failed, []);
    world.until("the third one", || runs(&world).contains(&json!(3)).then_some(())).await;
    assert_eq!(runs(&world), [1, 3], "what ran was not disturbed");
    world.host.shutdown().await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_restart_does_not_bring_the_older_table_back() {
    let mut world = World::new();
    world.start(table(1)).await;
    world.set(table(2));
    begin(world.apply()).await;
    world.host.restart("one").await.unwrap();
    world.until("its run", || (runs(&world).len() == 2).then_some(())).await;
    assert_eq!(runs(&world), [1, 2]);
    assert_eq!(world.apply().await.kept, ["one"], "it is in force");
    world.host.shutdown().await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_table_for_whose_order_there_is_no_room_comes_all_the_same() {
    let mut world = World::new();
    world.start(table(1)).await;
    for _ in 0..40 {
        begin(world.host.restart("one")).await;
    }
    world.set(table(2));
    world.apply().await;
    world.until("the new table", || runs(&world).contains(&json!(2)).then_some(())).await;
    world.host.shutdown().await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_source_that_ends_before_its_new_table_is_in_place_comes_back_with_it() {
    let mut world = World::new();
    world.start(table(1)).await;
    let target = headwater_host::CommandTarget::parse("crash");
    let parameters = serde_json::value::RawValue::from_string("{}".into()).unwrap();
    world.host.command(&target, &parameters, None, Box::new(|_| {})).unwrap();
    world.set(table(2));
    assert_eq!(world.apply().await.failed, []);
    world.until("the new table", || runs(&world).contains(&json!(2)).then_some(())).await;
    world.host.shutdown().await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_refused_table_is_remembered_shown_and_tried_again() {
    let mut world = World::new();
    let text = r#"
import json, os, sys
settings = json.loads(sys.stdin.readline())["settings"]
if settings["n"] == 2 and not os.path.exists("ready"):
    sys.exit("not ready")
print(json.dumps({"headwater": 1}), flush=True)
print(json.dumps({"channel": "c", "type": "began", "data": {"settings": settings}}), flush=True)
sys.stdin.readline()
"#;
    fs::write(world.path("one.py"), text).unwrap();
    let program = |n: u32| {
        let exec = headwater_config::Program::Exec(vec!["python3".into(), "one.py".into()]);
        let mut config = headwater_config::SourceConfig::new("one", exec);
        config.directory = world.directory.path().into();
        config.settings.insert("n".into(), json!(n));
        config
    };
    let (first, second) = (program(1), program(2));
    world.start(first.clone()).await;
    world.set(second.clone());
    assert_eq!(world.apply().await.failed.len(), 1);
    let older = "the new table was refused, what ran before runs on: exited with 1; its last output: not ready";
    assert_eq!(world.status("one").reason.as_deref(), Some(older));

    let error = world.host.restart("one").await.unwrap_err().to_string();
    assert!(error.contains("not ready"), "the last table is the one that is started: {error}");
    assert_eq!(world.status("one").reason.as_deref(), Some(older));
    assert_eq!(world.apply().await.failed.len(), 1, "the same config is tried again");

    world.set(first);
    let applied = world.apply().await;
    assert_eq!((applied.kept, applied.failed), (vec!["one".to_owned()], vec![]), "it is what runs");
    assert_eq!(world.status("one").reason, None);

    world.set(second);
    world.apply().await;
    fs::write(world.path("ready"), "").unwrap();
    world.host.restart("one").await.unwrap();
    let status = world.status("one");
    assert_eq!((status.state, status.reason), (SourceState::Up, None));
    world.until("its run with the new table", || (runs(&world).pop() == Some(json!(2))).then_some(())).await;
    assert_eq!(world.apply().await.kept, ["one"]);
    world.host.shutdown().await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_file_that_was_refused_neither_holds_up_a_table_nor_is_told_again() {
    let mut world = World::new();
    world.start(table(1)).await;
    let good = fs::read(world.plugin_file()).unwrap();
    world.replace(&good[..good.len() / 2]);
    world.told("one", "source.reload_refused").await;
    for n in 2..4 {
        world.set(table(n));
        assert_eq!(world.apply().await.failed, []);
        world.until("its run", || runs(&world).contains(&json!(n)).then_some(())).await;
    }
    world.rebuild(1);
    let reloads = || world.kinds("one").iter().filter(|kind| *kind == "source.reloaded").count();
    world.until("the good file", || (reloads() == 3).then_some(())).await;
    world.until("its run", || (runs(&world).len() == 4).then_some(())).await;
    let refused = world.kinds("one").iter().filter(|kind| *kind == "source.reload_refused").count();
    assert_eq!((refused, runs(&world)), (1, vec![json!(1), json!(2), json!(3), json!(3)]));
    world.host.shutdown().await;
}
