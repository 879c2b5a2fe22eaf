//! Alerts over time: what is told, what is silenced, what a restart keeps.

use super::*;
use crate::{
    application::ApplicationPerformance,
    groups::{Look, Usage},
    sample::SystemPerformance,
};
use headwater_plugin::serde_json::from_value;

fn now(second: u64) -> Now {
    let at = Timestamp::from_second(1_800_000_000 + second as i64).unwrap();
    Now { clock: Duration::from_secs(second), at }
}

fn cpu(percent: f64) -> Figures {
    let system = SystemPerformance { cpu_usage_percent: Some(percent), ..SystemPerformance::default() };
    Figures { system, ..Figures::default() }
}

fn alerts(config: Value) -> Alerts {
    let (alerts, wrong) = Alerts::new(&from_value::<Vec<AlertConfig>>(config).unwrap(), false);
    assert!(wrong.is_empty(), "{wrong:?}");
    alerts
}

fn hot() -> Alerts {
    alerts(json!([{
        "name": "hot", "metric": "cpu_usage_percent", "above": 90.0, "clear": 70.0, "for": "10s", "clear_for": "20s",
    }]))
}

/// A look each second; what is told, in a few words.
fn run(alerts: &mut Alerts, seconds: std::ops::Range<u64>, percent: impl Fn(u64) -> Figures) -> Vec<(u64, String)> {
    let look = |second| alerts.observe(&percent(second), None, now(second)).into_iter().map(move |it| (second, it));
    seconds.flat_map(look).map(|(second, notice)| (second, words(&notice))).collect()
}

fn words(notice: &Notice) -> String {
    match notice.standing {
        Standing::Firing => format!("{} firing", notice.name),
        Standing::Resolved { reason } => format!("{} {reason}", notice.name),
    }
}

fn told(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    expected.iter().map(|(second, words)| (*second, (*words).to_owned())).collect()
}

#[test]
fn a_load_that_comes_and_goes_is_one_firing_and_one_end() {
    let mut alerts = hot();
    let load = |second: u64| cpu(if (100..300).contains(&second) { 92.0 + (second % 7) as f64 } else { 15.0 });
    assert_eq!(run(&mut alerts, 0..600, load), told(&[(110, "hot firing"), (320, "hot cleared")]));
    assert!(alerts.states().is_empty());
}

/// All that is shipped, and not a figure known: an hour of looks, and no word.
#[test]
fn an_hour_of_null_data_is_silent() {
    let mut alerts = Alerts::new(&[], true).0;
    assert!(alerts.metrics().count() >= 5);
    assert_eq!(run(&mut alerts, 0..3_600, |_| Figures::default()), []);
    let state = alerts.list();
    assert_eq!(state["active"], json!([]));
}

/// The daemon's answers of a second: nothing but a second in which nobody asked, or one that went so.
fn answers(error_rate: Option<f64>) -> Figures {
    let p95 = error_rate.map(|_| 3.0);
    let application =
        ApplicationPerformance { error_rate, p95_response_time_ms: p95, ..ApplicationPerformance::default() };
    Figures { application: Some(application), ..Figures::default() }
}

/// Nobody asks, or somebody does now and then and is answered well, or is once told of a fault: no word either.
#[test]
fn an_hour_of_sparse_data_is_silent() {
    let every = |seconds: u64, rate: f64| move |second: u64| answers(second.is_multiple_of(seconds).then_some(rate));
    for figures in
        [&(|_| answers(None)) as &dyn Fn(u64) -> Figures, &every(37, 0.0), &every(300, 1.0), &|second: u64| {
            answers(second.is_multiple_of(7).then_some(if second == 1_400 { 1.0 } else { 0.0 }))
        }]
    {
        let mut alerts = Alerts::new(&[], true).0;
        assert_eq!(run(&mut alerts, 0..3_600, figures), []);
    }
}

/// Harm prevented: a daemon that few ask, and that answers each with a fault, is never told; and once told, never well.
#[test]
fn who_answers_once_in_five_seconds_has_alerts_too() {
    let mut alerts = Alerts::new(&[], true).0;
    let rate = |second: u64| if second < 200 { 1.0 } else { 0.0 };
    let figures = |second: u64| answers(second.is_multiple_of(5).then(|| rate(second)));
    assert_eq!(run(&mut alerts, 0..600, figures), told(&[(60, "errors firing"), (260, "errors cleared")]));
}

#[test]
fn both_words_carry_the_same_id_and_how_long_it_lasted() {
    let mut alerts = hot();
    let mut notices = Vec::new();
    for second in 0..60 {
        notices.extend(alerts.observe(&cpu(if second < 30 { 99.0 } else { 10.0 }), None, now(second)));
    }
    let [fired, resolved] = notices.as_slice() else { panic!("{notices:?}") };
    assert_eq!((fired.id.as_str(), fired.lasted), ("hot@1800000010000", Duration::from_secs(10)));
    assert_eq!((&resolved.id, resolved.lasted), (&fired.id, Duration::from_secs(50)));
    assert_eq!((fired.value, resolved.value, fired.since), (Some(99.0), Some(10.0), now(0).at));
}

#[test]
fn what_is_silenced_is_told_when_it_still_fires_afterwards() {
    let mut alerts = hot();
    assert_eq!(alerts.silence("hot", Some(now(50).at)).as_deref(), Some("hot"));
    assert_eq!(run(&mut alerts, 0..100, |_| cpu(99.0)), told(&[(50, "hot firing")]));
    assert_eq!(alerts.silence("cold", None), None);
}

#[test]
fn what_came_and_went_in_silence_is_not_told() {
    let mut alerts = hot();
    alerts.silence("hot", Some(now(100).at));
    assert_eq!(run(&mut alerts, 0..200, |second| cpu(if second < 30 { 99.0 } else { 5.0 })), []);
}

#[test]
fn who_was_told_of_the_beginning_is_told_of_the_end() {
    let mut alerts = hot();
    assert_eq!(run(&mut alerts, 0..20, |_| cpu(99.0)), told(&[(10, "hot firing")]));
    let id = alerts.states()["hot"].id.clone().unwrap();
    assert_eq!(alerts.silence(&id, Some(now(10_000).at)).as_deref(), Some("hot"), "by its id too");
    assert_eq!(run(&mut alerts, 20..100, |_| cpu(5.0)), told(&[(40, "hot cleared")]));
    assert_eq!(alerts.list()["alerts"][0]["silenced_until"], now(10_000).at.to_string());
    alerts.silence("hot", None);
    assert!(alerts.states().is_empty());
}

/// Harm prevented: a restart tells of every alert again, and of a silence nobody knows any more.
#[test]
fn a_restart_changes_nothing() {
    let mut before = hot();
    run(&mut before, 0..20, |_| cpu(99.0));
    before.silence("hot", Some(now(1_000).at));
    let written: Vec<Vec<u8>> = before.states().values().map(|state| state.data().to_string().into_bytes()).collect();

    let mut after = hot();
    for state in &written {
        after.restore(State::read(state).unwrap(), now(30));
    }
    assert_eq!(after.states(), before.states());
    assert_eq!(run(&mut after, 30..60, |_| cpu(99.0)), [], "it has been told");
    assert_eq!(run(&mut after, 60..100, |_| cpu(5.0)), told(&[(80, "hot cleared")]));

    let mut other = alerts(json!([]));
    other.restore(State::read(&written[0]).unwrap(), now(30));
    assert_eq!(run(&mut other, 30..40, |_| cpu(99.0)), told(&[(30, "hot removed")]));
}

/// The clock that does not jump begins anew with the source; how long it fires does not.
#[test]
fn how_long_it_has_lasted_counts_the_time_before_a_restart() {
    let mut before = hot();
    run(&mut before, 0..20, |_| cpu(99.0));
    let written = before.states()["hot"].data().to_string();
    for settings in [json!([]), json!([{ "name": "hot", "metric": "cpu_usage_percent", "above": 90.0, "for": "10s" }])]
    {
        let mut after = alerts(settings);
        let moment = |second: u64| Now { clock: Duration::from_secs(second - 500), ..now(second) };
        after.restore(State::read(written.as_bytes()).unwrap(), moment(500));
        let resolved = (500..600).find_map(|second| {
            let notice = after.observe(&cpu(5.0), None, moment(second)).pop()?;
            Some((notice.lasted.as_secs(), second))
        });
        let (lasted, second) = resolved.unwrap();
        assert_eq!(lasted, second, "since the first second");
    }
}

/// What was read too late to be waited for is adopted, or ended where the alert has fired anew.
#[test]
fn what_is_read_late_is_settled() {
    let mut before = hot();
    run(&mut before, 0..20, |_| cpu(99.0));
    before.silence("hot", Some(now(1_000).at));
    let state = || State::read(before.states()["hot"].data().to_string().as_bytes()).unwrap();

    let mut adopts = hot();
    assert_eq!(run(&mut adopts, 30..35, |_| cpu(99.0)), []);
    adopts.restore(state(), now(35));
    assert_eq!(run(&mut adopts, 35..60, |_| cpu(99.0)), []);
    assert_eq!(adopts.states(), before.states());

    let mut anew = hot();
    assert_eq!(run(&mut anew, 30..50, |_| cpu(99.0)), told(&[(40, "hot firing")]));
    let id = anew.states()["hot"].id.clone();
    anew.restore(state(), now(50));
    let notices = anew.observe(&cpu(99.0), None, now(50));
    assert_eq!(notices.iter().map(words).collect::<Vec<_>>(), ["hot replaced"]);
    assert_eq!((Some(&notices[0].id), id), (before.states()["hot"].id.as_ref(), anew.states()["hot"].id.clone()));
    anew.restore(anew.states()["hot"].clone(), now(51));
    assert_eq!(run(&mut anew, 51..55, |_| cpu(99.0)), [], "its own word is nothing new");
}

#[test]
fn a_silence_that_is_over_is_not_restored() {
    let mut before = hot();
    before.silence("hot", Some(now(50).at));
    let data = before.states()["hot"].data().to_string();
    let mut after = hot();
    after.restore(State::read(data.as_bytes()).unwrap(), now(60));
    assert!(after.states().is_empty());
}

fn usage(name: &str, percent: f64) -> Usage {
    let (name, kind) = (name.to_owned(), "pane");
    Usage { name, kind, cpu_usage_percent: Some(percent), memory_usage_mb: 1.0, processes: 1 }
}

#[test]
fn each_group_has_an_alert_of_its_own_which_ends_with_it() {
    let mut alerts = alerts(json!([
        { "name": "busy", "metric": "cpu_usage_percent", "above": 90.0, "for": "10s", "group": "pane *" },
    ]));
    let mut look = |second: u64, groups: Option<&[Usage]>| -> Vec<String> {
        let groups = groups.map(|usages| Look { usages: usages.to_vec(), ..Look::default() });
        alerts.observe(&cpu(99.0), groups.as_ref(), now(second)).iter().map(words).collect()
    };
    let groups = [usage("pane a", 99.0), usage("pane b", 5.0), usage("agent c", 99.0)];
    assert_eq!(look(0, Some(&groups)), [""; 0]);
    for second in 1..10 {
        assert_eq!(look(second, None), [""; 0], "groups were not looked at");
    }
    assert_eq!(look(10, Some(&groups)), ["busy/pane a firing"]);
    assert_eq!(look(15, Some(&groups[1..])), ["busy/pane a gone"]);
    assert_eq!(look(20, Some(&groups[1..])), [""; 0]);
}

fn busy() -> Alerts {
    alerts(json!([
        { "name": "busy", "metric": "cpu_usage_percent", "above": 90.0, "for": "10s", "group": "pane *" },
    ]))
}

/// Harm prevented: whoever has written an alert of groups, or silenced it, does not find it until it fires.
#[test]
fn an_alert_of_groups_is_listed_before_it_fires() {
    let mut alerts = busy();
    let told = |alerts: &Alerts| alerts.list()["alerts"].as_array().unwrap().last().unwrap().clone();
    let rule = json!({
        "alert": "busy", "metric": "cpu_usage_percent", "severity": "warning", "told_as": "performance_alert",
        "above": 90.0, "group": "pane *", "groups": 0,
    });
    assert_eq!(alerts.list(), json!({ "active": [], "alerts": [rule] }));
    let usages = vec![usage("pane a", 99.0), usage("pane b", 5.0), usage("agent c", 99.0)];
    let look = Look { usages, ..Look::default() };
    alerts.observe(&cpu(0.0), Some(&look), now(0));
    assert_eq!(told(&alerts)["groups"], 2);
    alerts.silence("busy", Some(now(1_000).at)).unwrap();
    assert_eq!(told(&alerts)["silenced_until"], now(1_000).at.to_string());
    alerts.silence("busy", None).unwrap();
    alerts.observe(&cpu(0.0), Some(&look), now(10));
    let list = alerts.list();
    assert_eq!((&list["alerts"][0]["alert"], &list["alerts"][0]["state"]), (&json!("busy/pane a"), &json!("firing")));
    assert_eq!((list["alerts"].as_array().unwrap().len(), list["active"].as_array().unwrap().len()), (2, 1));
}

/// Harm prevented: on a machine with many processes a group has no room for a while, and its alert ends as if it were gone.
#[test]
fn a_group_that_was_not_looked_at_whole_keeps_its_alert() {
    let mut alerts = busy();
    let whole = Look { usages: vec![usage("pane a", 99.0)], ..Look::default() };
    let part = Look { usages: vec![usage("pane a", 1.0)], cut: ["pane a".to_owned()].into(), ..Look::default() };
    let none = Look { cut: ["pane a".to_owned(), "pane b".to_owned()].into(), ..Look::default() };
    let mut told = Vec::new();
    for second in 0..100 {
        let look = match second {
            0..=10 => &whole,
            11..50 => &part,
            _ => &none,
        };
        told.extend(alerts.observe(&cpu(0.0), Some(look), now(second)).iter().map(words));
    }
    assert_eq!(told, ["busy/pane a firing"]);
    assert_eq!(
        alerts.observe(&cpu(0.0), Some(&Look::default()), now(100)).iter().map(words).collect::<Vec<_>>(),
        ["busy/pane a gone"]
    );
}

/// Harm prevented: who has silenced a pane's alert for a day hears of it again after a restart, since the pane comes later.
#[test]
fn the_silence_of_a_group_outlives_a_restart_without_the_group() {
    let mut before = busy();
    let loud = Look { usages: vec![usage("pane a", 99.0)], ..Look::default() };
    before.observe(&cpu(0.0), Some(&loud), now(0));
    before.silence("busy/pane a", Some(now(1_000).at)).unwrap();
    let mut written = before.states()["busy/pane a"].data().to_string();
    for life in 1..4 {
        let mut after = busy();
        after.restore(State::read(written.as_bytes()).unwrap(), now(10 * life));
        after.observe(&cpu(0.0), Some(&Look::default()), now(10 * life));
        assert_eq!(after.list()["alerts"][0]["silenced_until"], now(1_000).at.to_string());
        written = after.states()["busy/pane a"].data().to_string();
        for second in 100..120 {
            assert_eq!(after.observe(&cpu(0.0), Some(&loud), now(second)), []);
        }
    }
}

/// Harm prevented: the kernel was asked for 10 %, and an alert above 90 % fires at its word.
#[test]
fn the_kernels_word_is_of_the_bound_that_it_was_asked_for() {
    let alert = |name: &str, above: f64, time: &str| json!({ "name": name, "metric": "io_pressure_percent", "above": above, "for": time });
    let mut alerts = alerts(json!([
        alert("asked", 10.0, "4s"),
        alert("lower", 5.0, "2s"),
        alert("higher", 90.0, "4s"),
        alert("longer", 10.0, "5s"),
    ]));
    let asked = alerts.rule_of(Metric::IoPressurePercent, Duration::from_secs(10)).unwrap();
    assert!((asked.threshold - 10.0).abs() < f64::EPSILON);
    assert_eq!(alerts.rule_of(Metric::IoPressurePercent, Duration::from_secs(1)), None);
    let window = Duration::from_secs(4);
    let told = alerts.pushed(Metric::IoPressurePercent, asked.threshold, window, 95.0, now(7));
    assert_eq!(told.iter().map(words).collect::<Vec<_>>(), ["asked firing", "lower firing"]);
    assert_eq!(alerts.list()["alerts"][3]["state"], "quiet");
}

#[test]
fn the_kernel_fires_it_between_two_looks() {
    let mut alerts = alerts(json!([
        { "name": "waiting", "metric": "cpu_pressure_percent", "above": 50.0, "for": "4s", "clear_for": "10s" },
    ]));
    let window = Duration::from_secs(4);
    let push = |alerts: &mut Alerts, second| {
        alerts.pushed(Metric::CpuPressurePercent, 50.0, window, 50.0, now(second)).iter().map(words).collect::<Vec<_>>()
    };
    let pressure = |percent| {
        let system = SystemPerformance { cpu_pressure_percent: Some(percent), ..SystemPerformance::default() };
        Figures { system, ..Figures::default() }
    };
    assert_eq!(push(&mut alerts, 7), ["waiting firing"]);
    assert_eq!(push(&mut alerts, 11), [""; 0]);
    assert_eq!(run(&mut alerts, 60..100, |_| pressure(3.0)), told(&[(70, "waiting cleared")]));
}

#[test]
fn an_alert_of_ones_own_takes_the_place_of_a_shipped_one() {
    let own = json!([{ "name": "cpu", "metric": "cpu_usage_percent", "above": 50.0 }]);
    let own: Vec<AlertConfig> = from_value(own).unwrap();
    let alerts = Alerts::new(&own, true).0;
    let cpu: Vec<_> = alerts.definitions.iter().filter(|it| it.name == "cpu").collect();
    assert_eq!((cpu.len(), cpu[0].rule.threshold), (1, 50.0));
    assert!(alerts.definitions.len() > 3);
    let (alerts, wrong) = Alerts::new(&[own[0].clone(), own[0].clone()], true);
    assert_eq!(wrong.iter().map(ToString::to_string).collect::<Vec<_>>(), ["there are two alerts `cpu`"]);
    assert!(alerts.definitions.iter().any(|it| it.name == "cpu"), "the first of them counts");
}
