//! Sources come up, run, and go.

use crate::world::{BOTH, World};
use headwater_config::Isolation;
use headwater_event::{Evidence, Retention, Severity};
use headwater_host::{RestartRefused, SourceState};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_comes_up_emits_and_goes_in_both_isolations() {
    for isolation in BOTH {
        let mut world = World::new();
        let mut config = World::fixture("ticker", json!({ "mode": "tick", "extra": [1] }));
        config.isolation = isolation;
        world.start(config).await;
        world.until("ticks", || (world.count("ticker", "tick") > 3).then_some(())).await;
        let began = &world.payloads("ticker", "began")[0];
        assert_eq!(began["settings"], json!({ "mode": "tick", "extra": [1] }));
        let own = u64::from(std::process::id());
        assert_eq!(began["pid"] == own, isolation == Isolation::Thread);

        let status = world.status("ticker");
        assert_eq!((status.plugin.as_deref(), status.version.as_deref()), (Some("fixture"), Some("0.1.0")));
        assert_eq!((status.generation, status.restarts, status.dropped), (1, 0, 0));
        assert_eq!(status.pid.map(u64::from), began["pid"].as_u64().filter(|pid| *pid != own));
        assert!(status.events > 3 && status.bytes > 20 && status.batches > 0);

        world.remove("ticker");
        let applied = world.apply().await;
        assert_eq!(applied.stopped, ["ticker"]);
        assert_eq!(world.kinds("ticker"), ["source.up", "source.down"]);
        assert_eq!(world.told("ticker", "source.down").await["reason"], "it was removed from the config");
        assert!(world.host.statuses().is_empty());
        let after = world.count("ticker", "");
        world.host.shutdown().await;
        assert_eq!(world.count("ticker", ""), after, "nothing comes of a source that has gone");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_changed_is_restarted() {
    let mut world = World::new();
    world.set(World::fixture("one", json!({ "mode": "tick" })));
    world.set(World::fixture("two", json!({ "mode": "tick" })));
    let applied = world.apply().await;
    assert_eq!((applied.started.len(), applied.failed.len()), (2, 0));
    let pid = |name: &str| world.status(name).pid;
    let (one, two) = (pid("one"), pid("two"));

    world.set(World::fixture("one", json!({ "mode": "tick", "interval": "5s" })));
    let mut calm = World::fixture("two", json!({ "mode": "tick" }));
    calm.log_level = Some("debug".into());
    world.set(calm);
    let applied = world.apply().await;
    assert_eq!((applied.restarted, applied.kept), (vec!["one".to_owned()], vec!["two".to_owned()]));
    let pid = |name: &str| world.status(name).pid;
    assert!(pid("one") != one && pid("two") == two);
    assert_eq!(world.kinds("one"), ["source.up", "source.reloaded"]);
    assert_eq!(world.status("one").generation, 2);

    let applied = world.apply().await;
    assert_eq!(applied.kept, ["one", "two"]);
    let mut off = World::fixture("two", json!({ "mode": "tick" }));
    off.enabled = false;
    world.set(off.clone());
    assert_eq!(world.apply().await.stopped, ["two"]);
    assert_eq!(world.status("two").state, SourceState::Disabled);
    assert_eq!(world.apply().await.kept, ["one", "two"]);
    assert!(matches!(world.host.restart("two").await, Err(RestartRefused::Disabled(_))));
    off.enabled = true;
    world.set(off);
    assert_eq!(world.apply().await.started, ["two"]);
    world.state("two", SourceState::Up).await;
    world.host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_refused_changes_nothing() {
    let mut world = World::new();
    world.start(World::fixture("one", json!({ "mode": "tick" }))).await;
    world.set(World::fixture("one", json!({ "mode": "refuse" })));
    let applied = world.apply().await;
    assert_eq!(applied.failed, [("one".to_owned(), "settings: `mode` must not be `refuse`".to_owned())]);
    world.more("one").await;
    let status = world.status("one");
    assert_eq!(status.state, SourceState::Up);
    assert!(status.reason.unwrap().starts_with("the new table was refused, what ran before runs on: settings:"));
    let last = world.payloads("one", "began").pop().unwrap();
    assert_eq!(last["settings"]["mode"], "tick", "the old one is back with its old settings");
    assert_eq!(world.kinds("one"), ["source.up", "source.reload_refused"]);

    assert_eq!(world.apply().await.failed.len(), 1, "the same table is tried again, since it is not in force");
    world.set(World::fixture("one", json!({ "mode": "tick", "again": true })));
    assert_eq!(world.apply().await.failed, []);
    world.host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_never_worked_says_why_and_comes_up_when_mended() {
    let mut world = World::new();
    world.set(World::fixture("one", json!({ "mode": "refuse" })));
    let applied = world.apply().await;
    assert_eq!(applied.started, ["one"]);
    assert_eq!(applied.failed[0].1, "settings: `mode` must not be `refuse`");
    assert_eq!(world.status("one").state, SourceState::Down);
    assert_eq!(world.told("one", "source.down").await["reason"], "settings: `mode` must not be `refuse`");
    world.start(World::fixture("one", json!({ "mode": "tick" }))).await;
    world.more("one").await;
    world.host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_is_a_new_process_and_an_unknown_name_gets_a_suggestion() {
    let mut world = World::new();
    world.start(World::fixture("ticker", json!({ "mode": "tick" }))).await;
    let before = world.status("ticker").pid;
    world.host.restart("ticker").await.unwrap();
    assert_ne!(world.status("ticker").pid, before);
    let error = world.host.restart("tickr").await.unwrap_err();
    assert_eq!(error.to_string(), "there is no source `tickr`; did you mean `ticker`?");
    world.host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_does_not_stop_is_killed_after_its_grace() {
    let mut world = World::new();
    let mut config = World::fixture("clings", json!({ "mode": "clings" }));
    config.grace = std::time::Duration::from_millis(100);
    world.start(config).await;
    let pid = world.status("clings").pid.unwrap();
    world.host.shutdown().await;
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert_eq!(world.status("clings").state, SourceState::Down);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gate_refuses_counts_and_tells_and_lets_the_good_pass() {
    for isolation in BOTH {
        let mut world = World::new();
        let mut config = World::fixture("bad", json!({ "mode": "bad_events" }));
        config.isolation = isolation;
        config.heartbeat = std::time::Duration::from_millis(200);
        world.start(config).await;
        world.until("the good one", || (world.count("bad", "good") == 1).then_some(())).await;
        let told = world.until("all drops", || {
            let told: Vec<_> = world.news("bad").into_iter().filter(|(kind, _)| kind == "source.dropped").collect();
            let sum: u64 = told.iter().map(|(_, data)| data["dropped"].as_u64().unwrap()).sum();
            (sum == 5).then_some(told)
        });
        let told = told.await;
        assert!(told.len() <= 2, "told at most once a second: {told:?}");
        let reasons: String = told.iter().map(|(_, data)| data["reason"].as_str().unwrap()).collect();
        for part in ["`elsewhere` is not among", "[source.bad]", "daemon's own", "no valid JSON", "2097", "128 bytes"] {
            assert!(reasons.contains(part), "{part}: {reasons}");
        }
        assert_eq!(world.status("bad").dropped, 5);
        world.host.shutdown().await;
        assert_eq!(world.status("bad").events, 2);
        let good = world.find(|event| &*event.kind == "good").unwrap();
        assert_eq!((good.severity, good.evidence), (Some(Severity::Warning), Some(Evidence::Observed)));
        assert_eq!(good.retention, Retention::Keep("last".into()));
        assert_eq!(good.attributes, Box::from([("from".into(), "fixture".into())]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_bus_refuses_is_counted() {
    let mut world = World::new();
    *world.bus.refuse.lock().unwrap() = Some("too many channels".into());
    world.start(World::fixture("ticker", json!({ "mode": "tick" }))).await;
    let told = world.told("ticker", "source.dropped").await;
    assert_eq!(told["reason"], "the bus refused them: too many channels");
    assert_eq!(world.status("ticker").events, 0);
    world.host.shutdown().await;
}
