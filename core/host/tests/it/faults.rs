//! Each misbehaviour of a plugin: its child is replaced, the reason is told in words, and the others do not notice.

use crate::world::{BOTH, World};
use headwater_config::Supervision;
use headwater_host::SourceState;
use serde_json::json;
use std::{fs, time::Duration};

/// The mode, and what the reason says.
const FAULTS: [(&str, &str); 9] = [
    ("panic", "panicked: boom at src/lib.rs:9"),
    ("fail", "cannot connect to the server"),
    ("exit", "exited with 3"),
    ("abort", "killed by signal 6 (SIGABRT); its last output: the allocator is broken"),
    ("segfault", "killed by signal 11 (SIGSEGV)"),
    ("overflow", "killed by signal 6 (SIGABRT); its last output:"),
    ("loop", "no heartbeat for 200 ms"),
    ("memory", "memory allocation of 1048576 bytes failed"),
    ("no such mode", "no mode `no such mode`"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_is_contained_explained_and_restarted() {
    let mut world = World::new();
    world.start(World::fixture("healthy", json!({ "mode": "tick" }))).await;
    let healthy = world.status("healthy").pid;
    for (mode, reason) in FAULTS {
        let mut config = World::fixture("faulty", json!({ "mode": mode, "mood": mode }));
        config.heartbeat = Duration::from_millis(200);
        config.grace = Duration::from_millis(200);
        config.memory_limit = (mode == "memory").then_some(128 << 20);
        world.set(config);
        world.apply().await;
        let told = world.until(mode, || {
            let news = world.news("faulty");
            news.into_iter()
                .map(|(_, data)| data)
                .find(|data| data["reason"].as_str().is_some_and(|r| r.contains(reason)))
        });
        assert_eq!(told.await["plugin"], "fixture");
        let generation = world.status("faulty").generation;
        world.until("its restart", || (world.status("faulty").generation > generation).then_some(())).await;
        world.more("healthy").await;
        world.remove("faulty");
        world.apply().await;
        world.more("healthy").await;
    }
    assert_eq!(world.status("healthy").pid, healthy);
    assert_eq!((world.kinds("healthy"), world.status("healthy").restarts), (vec!["source.up".to_owned()], 0));
    world.host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_waits_for_credit_and_does_not_hold_up_the_others() {
    for isolation in BOTH {
        let mut world = World::new();
        let mut config = World::fixture("flood", json!({ "mode": "flood" }));
        config.isolation = isolation;
        world.start(config).await;
        world.start(World::fixture("healthy", json!({ "mode": "tick" }))).await;
        world.until("a flood", || (world.count("flood", "flood") > 100_000).then_some(())).await;
        world.more("healthy").await;
        let status = world.status("flood");
        assert_eq!(status.dropped, 0, "it waits, so nothing is dropped");
        assert!(status.events / status.batches > 4, "under load events come in batches: {status:?}");
        world.host.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_fails_too_often_rests_and_a_restart_ends_that() {
    let supervision = Supervision {
        backoff_min: Duration::from_millis(5),
        quarantine_after: 3,
        quarantine_for: Duration::from_mins(10),
        ..Supervision::default()
    };
    let mut world = World::with(supervision);
    world.set(World::fixture("faulty", json!({ "mode": "exit", "after_ms": 50 })));
    world.apply().await;
    let status = world.state("faulty", SourceState::Quarantined).await;
    assert_eq!((status.generation, status.restarts), (3, 2));
    let told = world.told("faulty", "source.quarantined").await;
    let reason = told["reason"].as_str().unwrap();
    assert!(reason.contains("600 s") && reason.contains("source restart faulty"), "{reason}");
    assert!(reason.contains("exited with 3"), "{reason}");
    let ups = |world: &World| world.kinds("faulty").iter().filter(|kind| *kind == "source.up").count();
    let before = ups(&world);
    world.host.restart("faulty").await.unwrap();
    assert_eq!(ups(&world), before + 1);
    world.host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_ends_by_itself_is_finished_and_not_started_again() {
    for isolation in BOTH {
        let mut world = World::new();
        let mut config = World::fixture("done", json!({ "mode": "finish" }));
        config.isolation = isolation;
        world.set(config);
        world.apply().await;
        let status = world.state("done", SourceState::Down).await;
        assert_eq!((status.reason.as_deref(), status.generation), (Some("finished"), 1));
        assert_eq!(world.count("done", "began"), 1, "what it said before is not lost");
        world.host.restart("done").await.unwrap();
        world.until("a second run", || (world.status("done").generation == 2).then_some(())).await;
        world.host.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_that_hangs_is_given_up_and_replaced() {
    let mut world = World::new();
    let mut config = World::fixture("loop", json!({ "mode": "loop" }));
    config.isolation = headwater_config::Isolation::Thread;
    config.heartbeat = Duration::from_millis(200);
    config.grace = Duration::from_millis(100);
    world.start(config).await;
    assert_eq!(world.told("loop", "source.down").await["reason"], "no heartbeat for 200 ms");
    world.until("another generation", || (world.status("loop").generation == 2).then_some(())).await;
    world.host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_unfit_file_has_one_clear_line_and_is_taken_once_it_is_mended() {
    let mut world = World::new();
    let good = fs::read(world.plugin_file()).unwrap();
    // Everywhere: the manifest stands in the code too.
    let edit = |from: &[u8], to: &[u8]| {
        let mut bytes = good.clone();
        while let Some(at) = bytes.windows(from.len()).position(|window| window == from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
        bytes
    };
    let mut machine = good.clone();
    machine[18] = 40;
    let files: [(&str, Option<Vec<u8>>, &str); 9] = [
        ("missing", None, "cannot open"),
        ("empty", Some(Vec::new()), "the file is empty"),
        ("truncated", Some(good[..good.len() / 2].to_vec()), "truncated or damaged"),
        ("foreign", Some(b"#!/bin/sh\nexit 0\n".to_vec()), "not an ELF file"),
        ("machine", Some(machine), "built for arm; this daemon runs on"),
        ("abi", Some(edit(b"{\"abi\":1", b"{\"abi\":3")), "built for plugin abi 3; this daemon accepts 1"),
        ("panic", Some(edit(b"\"panic\":\"unwind\"", b"\"panic\":\"abort\" ")), "built with panic = \"abort\""),
        ("manifest", Some(edit(b"{\"abi\":1", b"{\"abi\":x")), "its manifest is not what a manifest should be"),
        ("symbol", Some(edit(b"headwater_plugin_v1\0", b"x")), "it exports no usable `headwater_plugin_v1`"),
    ];
    world.start(World::fixture("healthy", json!({ "mode": "tick" }))).await;
    for (name, bytes, reason) in files {
        let path = world.path(&format!("{name}.so"));
        if let Some(bytes) = bytes {
            fs::write(&path, bytes).unwrap();
        }
        let mut config = World::fixture(name, json!({ "mode": "tick" }));
        config.program = headwater_config::Program::Plugin(path.display().to_string());
        world.set(config);
        let applied = world.apply().await;
        let said = &applied.failed.first().unwrap_or_else(|| panic!("{name} runs")).1;
        assert!(said.contains(reason) && !said.contains('\n'), "{name}: {said}");
        assert_eq!(world.told(name, "source.down").await["reason"], **said);
        assert_eq!(world.status(name).state, SourceState::Down);
        fs::write(&path, &good).unwrap();
        world.state(name, SourceState::Up).await;
        world.more("healthy").await;
        world.remove(name);
        world.apply().await;
    }
    world.host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_is_nowhere_is_found_once_it_is_there() {
    let mut world = World::new();
    let bytes = fs::read(world.plugin_file()).unwrap();
    fs::remove_file(world.plugin_file()).unwrap();
    world.set(World::fixture("late", json!({ "mode": "tick" })));
    let applied = world.apply().await;
    assert!(applied.failed[0].1.starts_with("no plugin `fixture` in "), "{applied:?}");
    world.replace(&bytes);
    world.state("late", SourceState::Up).await;
    world.host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pinned_file_runs_only_as_it_is() {
    let mut world = World::new();
    let mut config = World::fixture("pinned", json!({ "mode": "tick" }));
    config.sha256 = Some("00".repeat(32));
    world.set(config);
    let applied = world.apply().await;
    assert!(applied.failed[0].1.contains("the config pins 0000"), "{applied:?}");
    world.host.shutdown().await;
}

/// The daemon's death must not leave plugins running: they would hold devices and write into nowhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_end_with_the_host() {
    let mut world = World::new();
    world.start(World::fixture("ticker", json!({ "mode": "tick" }))).await;
    let pid = world.status("ticker").pid.unwrap();
    world.host.shutdown().await;
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

/// No part of the host panics on purpose; here the bus does, within the source's task.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_panics_leaves_its_source_down_and_a_restart_brings_it_back() {
    let mut world = World::new();
    for _ in 0..2 {
        let before = world.kinds("ticker").iter().filter(|kind| *kind == "source.down").count();
        world.start(World::fixture("ticker", json!({ "mode": "tick" }))).await;
        *world.bus.panic.lock().unwrap() = Some("tick".into());
        let downs = || world.kinds("ticker").iter().filter(|kind| *kind == "source.down").count();
        world.until("its end", || (downs() > before).then_some(())).await;
        *world.bus.panic.lock().unwrap() = None;
        let status = world.status("ticker");
        assert_eq!((status.state, status.pid), (SourceState::Down, None));
        assert!(status.reason.unwrap().starts_with("its task in the daemon panicked"));
        world.host.restart("ticker").await.unwrap();
        world.more("ticker").await;
    }
    world.host.shutdown().await;
}
