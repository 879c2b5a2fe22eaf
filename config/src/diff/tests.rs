//! What a reload changes, as people read it and as the daemon takes it.

use super::*;
use crate::Isolation;
use serde_json::json;
use std::time::Duration;

fn lines(old: &Config, new: &Config) -> Vec<String> {
    diff(old, new).to_string().lines().map(str::to_owned).collect()
}

fn with(name: &str, change: impl FnOnce(&mut SourceConfig)) -> Config {
    let mut config = Config::builtin();
    let mut source = SourceConfig::new(name, Program::Plugin("metrics".to_owned()));
    source.settings.insert("interval".to_owned(), "1s".into());
    change(&mut source);
    config.sources.insert(name.to_owned(), source);
    config
}

#[test]
fn a_changed_setting_restarts_its_source_and_no_other() {
    let old = with("disk", |_| {});
    let mut new = old.clone();
    new.sources.get_mut("metrics").unwrap().settings["interval"] = "5s".into();
    let diff = diff(&old, &new);
    assert_eq!(diff.to_string(), "~ source.metrics.interval 1s → 5s\n");
    assert_eq!(diff.restart, ["metrics"]);
    assert_eq!((diff.start.len(), diff.stop.len(), diff.update.len()), (0, 0, 0));
}

#[test]
fn sources_come_and_go() {
    let (without, disk) = (Config::builtin(), with("disk", |_| {}));
    assert_eq!(lines(&without, &disk), ["+ source.disk"]);
    assert_eq!(diff(&without, &disk).start, ["disk"]);
    assert_eq!(lines(&disk, &without), ["- source.disk"]);
    assert_eq!(diff(&disk, &without).stop, ["disk"]);
}

#[test]
fn enabling_starts_and_disabling_stops() {
    let (on, off) = (with("disk", |_| {}), with("disk", |disk| disk.enabled = false));
    assert_eq!(lines(&on, &off), ["~ source.disk.enabled true → false"]);
    assert_eq!((diff(&on, &off).stop, diff(&off, &on).start), (vec!["disk".to_owned()], vec!["disk".to_owned()]));
    // What is off stays off, whatever else changes.
    let other = with("disk", |disk| (disk.enabled, disk.isolation) = (false, Isolation::Thread));
    let idle = diff(&off, &other);
    assert_eq!(idle.to_string(), "~ source.disk.isolation process → thread\n");
    assert_eq!(idle.start.len() + idle.stop.len() + idle.restart.len() + idle.update.len(), 0);
    assert_eq!(diff(&Config::builtin(), &off).start.len(), 0);
}

#[test]
fn a_new_description_restarts_nothing() {
    let (old, new) = (with("disk", |_| {}), with("disk", |disk| disk.description = Some("my disk".to_owned())));
    let diff = diff(&old, &new);
    assert_eq!(diff.to_string(), "+ source.disk.description \"my disk\"\n");
    assert_eq!((diff.restart.len(), diff.update), (0, vec!["disk".to_owned()]));
}

#[test]
fn the_daemons_own_keys_are_compared_and_marked() {
    let old = Config::default();
    let mut new = old.clone();
    new.router.memory = 32 << 20;
    new.gateway.listen.set_port(9000);
    new.gateway.limits.max_patterns = 32;
    new.gateway.allowed_hosts = vec!["hub.local".to_owned()];
    new.log.level = crate::LogLevel::Debug;
    let diff = diff(&old, &new);
    assert_eq!(
        diff.to_string().lines().collect::<Vec<_>>(),
        [
            "~ gateway.allowed_hosts [] → [\"hub.local\"] (needs a restart)",
            "~ gateway.limits.max_patterns 16 → 32 (needs a restart)",
            "~ gateway.listen 127.0.0.1:8765 → 127.0.0.1:9000 (needs a restart)",
            "~ log.level info → debug",
            "~ router.memory 64MiB → 32MiB (needs a restart)",
        ]
    );
    assert_eq!(diff.needs_restart().count(), 4);
    assert_eq!(diff.start.len() + diff.stop.len() + diff.restart.len(), 0);
}

#[test]
fn webhooks_are_applied_at_once() {
    let (old, mut new) = (Config::default(), Config::default());
    new.history.retention.size = 2 << 30;
    new.history.durability = crate::Durability::Durable;
    let table = json!({"name": "x", "url": "https://h/p?t=abc", "channels": ["a"], "secret": {"env": "S"}});
    let hook: crate::Webhook = serde_json::from_value(table).unwrap();
    new.webhooks.insert("x".to_owned(), hook.clone());
    assert_eq!(
        lines(&old, &new),
        [
            "~ history.durability flush → durable (needs a restart)",
            "~ history.retention.size 1GiB → 2GiB (needs a restart)",
            "+ webhook.x"
        ]
    );
    assert_eq!(lines(&new, &old)[2], "- webhook.x");
    let mut other = new.clone();
    let changed = other.webhooks.get_mut("x").unwrap();
    (changed.url, changed.enabled) = ("https://other/p?t=abc".to_owned(), false);
    changed.filter.attributes.insert("branch".to_owned(), "main".to_owned());
    assert_eq!(
        lines(&new, &other),
        [
            "~ webhook.x.enabled true → false",
            "+ webhook.x.filter.attributes.branch main",
            "~ webhook.x.url https://h/p?••• → https://other/p?•••",
        ]
    );
    assert_eq!(diff(&new, &other).needs_restart().count(), 0);
}

#[test]
fn keys_that_need_no_restart_exist() {
    let sections = sections(&Config::default());
    for key in LIVE {
        assert!(sections.pointer(&format!("/{}", key.replace('.', "/"))).is_some(), "{key}");
    }
}

#[test]
fn settings_are_compared_key_by_key_however_deep() {
    let old = with("disk", |disk| {
        disk.settings = json!({"a": {"b": 1, "c": [1]}, "gone": true}).as_object().unwrap().clone();
    });
    let new = with("disk", |disk| {
        disk.settings = json!({"a": {"b": 2, "c": [1]}, "new": {"x": {}}}).as_object().unwrap().clone();
    });
    assert_eq!(lines(&old, &new), ["~ source.disk.a.b 1 → 2", "- source.disk.gone true", "+ source.disk.new.x {}"]);
}

/// Two long lists looked alike where they were cut.
#[test]
fn lists_of_tables_are_compared_table_by_table() {
    let alerts = |alerts: serde_json::Value| {
        with("x", |x| x.settings = json!({ "alerts": alerts }).as_object().unwrap().clone())
    };
    let one = |name: &str, above: f64| json!({ "above": 20.0, "name": name, "long": "x".repeat(150), "then": above });
    let old = alerts(json!([one("a", 1.0), one("b", 2.0)]));
    assert_eq!(lines(&old, &alerts(json!([one("a", 1.0), one("b", 3.0)]))), ["~ source.x.alerts[1].then 2.0 → 3.0"]);
    let more = lines(&old, &alerts(json!([one("a", 1.0), one("b", 2.0), { "name": "c" }])));
    assert_eq!(more, ["+ source.x.alerts[2] { name = \"c\" }"]);
    assert_eq!(lines(&alerts(json!([{ "a": 1 }])), &alerts(json!([]))), ["~ source.x.alerts [{ a = 1 }] → []"]);
}

/// Harm prevented: what was hidden as a part of a list is shown by itself.
#[test]
fn secrets_in_lists_of_tables_are_not_shown() {
    let secret = |value: &str| {
        let settings = json!({
            "feeds": [{ "password": { "a": value }, "env": { "LOGIN": value }, "headers": [{ "h": value }] }],
            "key": [{ "value": value }],
            "servers": [{ "url": format!("https://h/p?t={value}") }],
        });
        with("x", |x| x.settings = settings.as_object().unwrap().clone())
    };
    let diff = diff(&secret("hunter1"), &secret("hunter2"));
    assert_eq!(diff.changes.len(), 5, "{diff}");
    assert!(!diff.to_string().contains("hunter"), "{diff}");
}

#[test]
fn equal_configs_differ_in_nothing() {
    let config = with("disk", |disk| disk.grace = Duration::from_millis(1));
    assert!(diff(&config, &config.clone()).is_empty());
}

#[test]
fn a_program_in_another_directory_is_another() {
    let old = with("x", |x| (x.program, x.directory) = (Program::Exec(vec!["x".to_owned()]), "/a".into()));
    let mut new = old.clone();
    new.sources.get_mut("x").unwrap().directory = "/b".into();
    assert_eq!(lines(&old, &new), ["~ source.x (directory) /a → /b"]);
    assert_eq!(diff(&old, &new).restart, ["x"]);
}

/// The diff goes to the log and to every client that reads `system_events`.
#[test]
fn secrets_are_not_shown() {
    let secret = |value: &str| {
        let settings = json!({"api_token": value, "feeds": [{"password": value, "name": "n"}], "url": format!("https://u:{value}@h/")});
        with("x", |x| x.settings = settings.as_object().unwrap().clone())
    };
    let diff = diff(&secret("hunter1"), &secret("hunter2"));
    assert_eq!(diff.changes.len(), 3);
    assert!(!diff.to_string().contains("hunter"), "{diff}");
    let exec = |value: &str| {
        with("x", |x| {
            x.program = Program::Exec(vec!["x".into(), "--token".into(), value.into(), format!("--api-key={value}")]);
        })
    };
    let lines = lines(&exec("hunter1"), &exec("hunter2"));
    assert_eq!(
        lines,
        [
            "~ source.x.exec [\"x\", \"--token\", \"•••\", \"--api-key=•••\"] → [\"x\", \"--token\", \"•••\", \"--api-key=•••\"]"
        ]
    );
}
