//! A rebuilt plugin takes over while everything runs.

use crate::world::{BOTH, World};
use headwater_config::Isolation;
use headwater_host::SourceState;
use serde_json::{Value, json};
use std::fs;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_under_load_lose_and_double_nothing() {
    for isolation in BOTH {
        let mut world = World::new();
        let mut config = World::fixture("counter", json!({ "mode": "count", "file": world.path("next") }));
        config.isolation = isolation;
        world.start(config).await;
        world.start(World::fixture("healthy", json!({ "mode": "tick" }))).await;
        let healthy = world.status("healthy").pid;
        for generation in 2..=21 {
            let before = world.count("counter", "count");
            world.until("some counting", || (world.count("counter", "count") > before + 100).then_some(())).await;
            world.rebuild(generation);
            world
                .until("a reload", || (world.status("counter").generation == u64::from(generation)).then_some(()))
                .await;
        }
        world.more("counter").await;
        world.remove("counter");
        world.apply().await;
        let counted: Vec<u64> = world.payloads("counter", "count").iter().filter_map(Value::as_u64).collect();
        assert!(counted.iter().copied().eq(0..counted.len() as u64), "{isolation:?}");
        let last: u64 = fs::read_to_string(world.path("next")).unwrap().parse().unwrap();
        assert_eq!(last, counted.len() as u64, "and the last ones of the last generation came too");
        let kinds = world.kinds("counter");
        assert_eq!(kinds.iter().filter(|kind| *kind == "source.reloaded").count(), 20);
        assert!(
            !kinds[1..kinds.len() - 1].iter().any(|kind| kind == "source.down" || kind == "source.up"),
            "{kinds:?}"
        );
        assert_eq!(world.told("counter", "source.reloaded").await["reason"], "its plugin was rebuilt");
        // Both sources run the same file.
        assert_ne!(world.status("healthy").pid, healthy);
        world.host.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_cannot_be_loaded_changes_nothing_and_the_next_good_one_is_taken() {
    let mut world = World::new();
    world.start(World::fixture("ticker", json!({ "mode": "tick" }))).await;
    let pid = world.status("ticker").pid;
    let good = fs::read(world.plugin_file()).unwrap();
    world.replace(&good[..good.len() / 2]);
    let told = world.told("ticker", "source.reload_refused").await;
    let reason = told["reason"].as_str().unwrap();
    assert!(reason.starts_with("the new plugin file was refused, what ran before runs on: "), "{reason}");
    assert!(reason.contains("truncated"), "{reason}");
    world.more("ticker").await;
    assert_eq!(world.status("ticker").pid, pid);
    assert!(world.status("ticker").reason.unwrap().contains("truncated"));
    world.rebuild(1);
    world.told("ticker", "source.reloaded").await;
    assert_eq!(world.status("ticker").reason, None);
    world.host.shutdown().await;
}

/// Loading by the path where a build puts its output would run the new code, or die of SIGBUS on a half-written file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_while_the_file_is_broken_brings_the_old_code_back() {
    let mut world = World::new();
    world.start(World::fixture("ticker", json!({ "mode": "tick" }))).await;
    let good = fs::read(world.plugin_file()).unwrap();
    world.replace(&good[..good.len() / 2]);
    world.told("ticker", "source.reload_refused").await;
    let refused = crash(&world, "ticker").await;
    assert_eq!(refused, "outcome_unknown");
    world.until("its return", || (world.status("ticker").restarts == 1).then_some(())).await;
    world.state("ticker", SourceState::Up).await;
    world.more("ticker").await;
    world.host.shutdown().await;
}

/// What clears away old temporary files may take the private copies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_after_the_private_copy_was_removed_is_survived() {
    let mut world = World::new();
    world.start(World::fixture("ticker", json!({ "mode": "tick" }))).await;
    fs::remove_dir_all(world.path("state")).unwrap();
    crash(&world, "ticker").await;
    world.until("its return", || (world.status("ticker").restarts == 1).then_some(())).await;
    world.state("ticker", SourceState::Up).await;
    world.host.shutdown().await;
}

/// Asks a source to exit in the middle of a command; gives the code of the answer.
async fn crash(world: &World, source: &str) -> String {
    let (sent, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let target = headwater_host::CommandTarget { source: Some(source.into()), name: "crash".into() };
    let answers = move |answer| {
        if let headwater_host::Answer::Error(error) = answer {
            sent.send(error.error_code).unwrap();
        }
    };
    let parameters = serde_json::value::RawValue::from_string("{}".into()).unwrap();
    world.host.command(&target, &parameters, None, Box::new(answers)).unwrap();
    heard.recv().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_bytes_again_are_no_reload() {
    let mut world = World::new();
    world.start(World::fixture("ticker", json!({ "mode": "tick" }))).await;
    let bytes = fs::read(world.plugin_file()).unwrap();
    world.replace(&bytes);
    world.rebuild(1);
    world.told("ticker", "source.reloaded").await;
    assert_eq!(world.status("ticker").generation, 2, "only the other bytes were taken");
    world.host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_source_runs_the_new_code_in_the_same_process() {
    let mut world = World::new();
    let mut config = World::fixture("ticker", json!({ "mode": "tick" }));
    config.isolation = Isolation::Thread;
    world.start(config).await;
    world.rebuild(1);
    world.told("ticker", "source.reloaded").await;
    world.until("its first event", || (world.count("ticker", "began") == 2).then_some(())).await;
    let pids: Vec<_> = world.payloads("ticker", "began").iter().map(|data| data["pid"].clone()).collect();
    assert_eq!(pids[0], pids[1]);
    world.host.shutdown().await;
}
