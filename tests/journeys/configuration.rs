//! The config is edited while everything runs.

use headwater_tests::{World, built, eventually};
use serde_json::{Value, json};
use std::time::Instant;

const METRICS: &str = "libheadwater_plugin_metrics.so";

#[tokio::test]
async fn a_changed_interval_restarts_only_its_source_and_drops_nobody() {
    let metrics = built(METRICS);
    let world = World::new().plugin("one", &metrics, "interval = \"1s\"").plugin("two", &metrics, "interval = \"1s\"");
    let daemon = world.start().await;
    let mut client = daemon.client().await;
    client.subscribe(&["system_events"]).await;
    let two = daemon.source_is("two", "up").await;
    daemon.source_is("one", "up").await;

    let config = daemon.read("headwater.toml").replacen("interval = \"1s\"", "interval = \"5s\"", 1);
    let saved = Instant::now();
    daemon.write("headwater.toml", &config);
    let reloaded = client.next_of("config.reloaded").await;
    let took = saved.elapsed();
    assert_eq!(reloaded["data"]["changes"], json!(["~ source.one.interval 1s → 5s"]));
    assert_eq!((&reloaded["data"]["restarted"], &reloaded["data"]["kept"]), (&json!(["one"]), &json!(["two"])));
    let line = "~ source.one.interval 1s → 5s · 1 restarted, 1 kept, 0 clients dropped";
    eventually("the log says what was done", async || daemon.log().contains(line).then_some(())).await;
    let still = daemon.source_is("two", "up").await;
    assert_eq!((&two["pid"], &two["generation"]), (&still["pid"], &still["generation"]), "the other one runs on");
    println!("applied {} ms after the save", took.as_millis());
}

#[tokio::test]
async fn a_broken_config_changes_nothing_and_is_explained() {
    let daemon = World::new().plugin("metrics", &built(METRICS), "interval = \"1s\"").start().await;
    let before = daemon.source_is("metrics", "up").await;
    let good = daemon.read("headwater.toml");
    let mut client = daemon.client().await;
    client.subscribe(&["system_events"]).await;
    for (broken, code) in [
        (good.replace("interval", "intervall"), "E0204"),
        (format!("{good}\n[gateway"), "E0101"),
        (format!("{good}\n[gatewya]\n"), "E0102"),
        (good.replace("\"1s\"", "\"soon\""), "E0204"),
        (format!("{good}\n[source.mertics]\nenabled = true\n"), "E0201"),
    ] {
        daemon.write("headwater.toml", &broken);
        let refused = client.next_of("config.refused").await;
        let codes: Vec<&Value> = refused["data"]["errors"].as_array().unwrap().iter().map(|e| &e["code"]).collect();
        assert!(codes.contains(&&json!(code)), "{broken}\nexpected {code}, got {refused}");
        let answer = daemon.post("/v1/reload", "application/json", "").await;
        assert_eq!(answer.status, 422, "{}", answer.body);
        assert!(answer.json()["diagnostics"].as_str().unwrap().contains('^'), "{}", answer.body);
    }
    let after = daemon.source_is("metrics", "up").await;
    assert_eq!((&before["pid"], &before["generation"]), (&after["pid"], &after["generation"]));
    daemon.write("headwater.toml", &good);
    let metric = "headwater_config_last_reload_successful 1";
    eventually("the good config is back", async || daemon.get("/metrics").await.body.contains(metric).then_some(()))
        .await;
}

#[tokio::test]
async fn deleted_renamed_over_symlinked_and_rewritten_configs_leave_the_service_running() {
    let daemon = World::new().plugin("metrics", &built(METRICS), "interval = \"1s\"").start().await;
    let before = daemon.source_is("metrics", "up").await;
    let good = daemon.read("headwater.toml");
    let path = daemon.path("headwater.toml");
    let mut client = daemon.client().await;
    client.subscribe(&["system_events"]).await;

    std::fs::remove_file(&path).unwrap();
    client.next_of("config.refused").await;
    let target = daemon.path("elsewhere.toml");
    std::fs::write(&target, good.replace("\"1s\"", "\"2s\"")).unwrap();
    std::os::unix::fs::symlink(&target, &path).unwrap();
    client.next_of("config.reloaded").await;
    let other = daemon.path("other.toml");
    std::fs::write(&other, good.replace("\"1s\"", "\"3s\"")).unwrap();
    let swapped = daemon.path("swapped");
    std::os::unix::fs::symlink(&other, &swapped).unwrap();
    std::fs::rename(&swapped, &path).unwrap();
    let reloaded = client.next_of("config.reloaded").await;
    assert_eq!(reloaded["data"]["changes"], json!(["~ source.metrics.interval 2s → 3s"]));
    for n in 0..1000 {
        std::fs::write(&other, good.replace("\"1s\"", &format!("\"{}s\"", 10 + n % 7))).unwrap();
    }
    std::fs::write(&other, good.replace("\"1s\"", "\"4s\"")).unwrap();
    let settled =
        |message: &Value| message["data"]["changes"][0].as_str().is_some_and(|change| change.ends_with("→ 4s"));
    client.next_that(settled).await;
    let after = daemon.source_is("metrics", "up").await;
    assert_ne!(before["pid"], after["pid"], "the source runs with the new interval");
}

#[tokio::test]
async fn sighup_and_the_reload_verb_read_the_config_again() {
    let daemon = World::new().start().await;
    let answer = daemon.headwater(&["reload", "--json"]).await;
    assert!(answer.status.success(), "{answer:?}");
    let mut client = daemon.client().await;
    client.subscribe(&["system_events"]).await;
    daemon.write("headwater.toml", "[log]\nlevel = \"debug\"\n");
    daemon.signal("HUP").await;
    let reloaded = client.next_of("config.reloaded").await;
    assert_eq!(reloaded["data"]["changes"], json!(["~ log.level info → debug"]));
}

#[tokio::test]
async fn a_source_is_disabled_and_enabled_in_the_file_with_its_comments_kept() {
    let metrics = built(METRICS);
    let daemon =
        World::new().config("# my machine").plugin("metrics", &metrics, "interval = \"1s\" # often").start().await;
    daemon.source_is("metrics", "up").await;
    let config = daemon.path("headwater.toml");
    let config = config.to_str().unwrap();
    let done = daemon.headwater(&["source", "disable", "metrics", "--config", config]).await;
    assert!(done.status.success(), "{done:?}");
    daemon.source_is("metrics", "disabled").await;
    let text = daemon.read("headwater.toml");
    assert!(text.contains("# my machine") && text.contains("# often") && text.contains("enabled = false"), "{text}");
    let done = daemon.headwater(&["source", "enable", "metrics", "--config", config]).await;
    assert!(done.status.success(), "{done:?}");
    daemon.source_is("metrics", "up").await;
}

/// A slip of the hand used to stand in the file from then on.
#[tokio::test]
async fn a_source_that_nothing_can_run_is_not_written_into_the_file() {
    let daemon = World::new().plugin("metrics", &built(METRICS), "interval = \"1s\"").start().await;
    let config = daemon.path("headwater.toml");
    let config = config.to_str().unwrap();
    let before = daemon.read("headwater.toml");
    for named in [&["--config", config][..], &[]] {
        let done = daemon.headwater(&[&["source", "enable", "metrcs"][..], named].concat()).await;
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(!done.status.success() && said.contains("metrcs"), "{done:?}");
        assert!(said.contains("did you mean `metrics`?") && said.contains("there are: "), "{said}");
    }
    assert_eq!(daemon.read("headwater.toml"), before);
}
