//! Groups of real processes, and roots as other sources tell of them.

use super::{roots::Root, *};
use headwater_plugin::{
    BusEvent, Position,
    serde_json::{Value, json},
};
use std::{
    io::Write as _,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    time::SystemTime,
};

/// A process with what it has started; all of it ends with the test.
struct Family(Child);

impl Family {
    fn sh(script: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0);
        Self(command.spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        // The group of processes, for some of them are nobody's children by now.
        let _ = Command::new("kill").args(["-9", "--", &format!("-{}", self.0.id())]).status();
        let _ = self.0.wait();
    }
}

fn event(channel: &str, kind: &str, data: &Value) -> BusEvent {
    BusEvent {
        channel: channel.into(),
        kind: kind.into(),
        position: Position { epoch: 1, offset: 1 },
        id: "1".into(),
        source: "x".into(),
        time: SystemTime::now(),
        key: None,
        forgets: None,
        severity: None,
        evidence: None,
        attributes: Vec::new(),
        json: data.to_string().into_bytes().into(),
    }
}

fn pane(id: &str, pid: u32) -> BusEvent {
    let data = json!({ "server": { "pid": 9 }, "session": "web", "window": 1, "pane_id": id, "pid": pid });
    event("tmux", "pane.state", &data)
}

fn groups(settings: Value) -> Groups {
    let config: config::Groups = headwater_plugin::serde_json::from_value(settings).unwrap();
    Groups::new(Path::new("/proc"), &config)
}

fn wait_for(what: &str, mut fact: impl FnMut() -> bool) {
    let began = Instant::now();
    while !fact() {
        assert!(began.elapsed() < Duration::from_secs(30), "gave up waiting: {what}");
        std::thread::yield_now();
    }
}

fn pids(roots: &Roots) -> Vec<(&'static str, u32)> {
    roots.all().map(|root: &Root| (root.kind.word(), root.pid)).collect()
}

#[test]
fn a_pane_counts_with_all_below_it_and_what_ends_counts_once() {
    // A child that works and ends, one that stays, and a shell that waits for a word.
    let family = Family::sh(
        "sh -c 'sleep 100 & read x' & read y; sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; exec sleep 100",
    );
    let (mut roots, mut groups) = (Roots::default(), groups(json!({})));
    roots.hear(&pane("%1", family.pid()));
    // The inner shell reads from nothing, so that it may be gone; the sleeper stays below somebody or leaves.
    let first = groups.look(&mut roots);
    assert_eq!((first.usages[0].name.as_str(), first.usages[0].cpu_usage_percent), ("pane web:1 %1", None));
    assert!(first.usages[0].memory_usage_mb > 0.0 && first.window.is_none());

    let children_ticks = || {
        let seen = process::look(Path::new("/proc"), family.pid(), &mut Vec::new()).unwrap();
        seen.own + seen.waited
    };
    let before = children_ticks();
    let mut input = family.0.stdin.as_ref().unwrap();
    input.write_all(b"go\n").unwrap();
    // When the shell has become a sleeper, the child that worked has ended and was waited for.
    let command = || std::fs::read_to_string(format!("/proc/{}/comm", family.pid())).unwrap();
    wait_for("the work is done", || command() == "sleep\n");
    let used = children_ticks() - before;
    let second = groups.look(&mut roots);
    let window = second.window.unwrap().as_secs_f64();
    let told = second.usages[0].cpu_usage_percent.unwrap() * window / 100.0 * TICKS as f64;
    assert!(used > 5, "the work takes some time: {used}");
    assert!((told - used as f64).abs() <= 2.0, "{told} of {used} ticks");
}

#[test]
fn groups_of_one_name_are_one_and_processes_count_once() {
    let (one, two) = (Family::sh("read x"), Family::sh("read x"));
    let mut roots = Roots::default();
    for (id, pid) in [("%1", one.pid()), ("%2", two.pid()), ("%3", two.pid())] {
        roots.hear(&pane(id, pid));
    }
    let look = groups(json!({ "panes": "{session}" })).look(&mut roots);
    let [usage] = look.usages.as_slice() else { panic!("{look:?}") };
    assert_eq!((usage.name.as_str(), usage.processes), ("web", 2));
    assert!(groups(json!({ "panes": "" })).look(&mut roots).usages.is_empty(), "not counted at all");
    let cut = groups(json!({ "panes": "{session}", "processes": 1 })).look(&mut roots);
    assert!(cut.has("web") && cut.cut.contains("web"), "{cut:?}");
    assert_eq!(cut.usages.iter().map(|usage| usage.processes).sum::<u64>(), 1, "{cut:?}");
    assert!(look.cut.is_empty());
}

/// An agent is below its pane: what both count is looked at once.
#[test]
fn groups_that_overlap_cost_what_one_does_and_a_group_without_room_is_there() {
    let family = Family::sh("sleep 100 & sleep 100 & read x");
    let mut roots = Roots::default();
    roots.hear(&pane("%1", family.pid()));
    for id in ["a", "b"] {
        roots.hear(&event("agent", "agent_state", &json!({ "id": id, "name": id, "pid": family.pid() })));
    }
    let of = |groups: &mut Groups, roots: &mut Roots| {
        let look = groups.look(roots);
        (look.usages.iter().map(|usage| usage.processes).collect::<Vec<_>>(), look.cut)
    };
    let mut exact = groups(json!({ "processes": 3 }));
    wait_for("the family is complete", || of(&mut groups(json!({})), &mut roots).0 == [3, 3, 3]);
    assert_eq!(of(&mut exact, &mut roots), (vec![3, 3, 3], [].into()), "three processes are three");

    let other = Family::sh("read x");
    roots.hear(&pane("%2", other.pid()));
    let (told, cut) = of(&mut exact, &mut roots);
    assert_eq!(cut, ["pane web:1 %2".to_owned()].into(), "there is no room for the fourth");
    assert_eq!(told, [3, 3, 3]);
    drop(other);
    assert_eq!(of(&mut exact, &mut roots), (vec![3, 3, 3], [].into()), "nor is it there any more");
}

/// Harm prevented: an agent starts a server by `bash -c "server &"`, and what that uses is nobody's.
#[test]
fn what_runs_on_when_its_parent_has_ended_stays_in_the_group() {
    let family = Family::sh("sh -c 'sleep 100 & exec sleep 101' & read x");
    let (mut roots, mut groups) = (Roots::default(), groups(json!({})));
    roots.hear(&pane("%1", family.pid()));
    wait_for("the shell has started the server", || {
        groups.look(&mut roots).usages.first().is_some_and(|usage| usage.processes == 3)
    });
    let (mut below, mut text) = (Vec::new(), Vec::new());
    process::children(Path::new("/proc"), family.pid(), &mut text, &mut below);
    let shell = below[0];
    below.clear();
    process::children(Path::new("/proc"), shell, &mut text, &mut below);
    let server = below[0];
    assert!(Command::new("kill").arg("-9").arg(shell.to_string()).status().unwrap().success());
    wait_for("another has the server now", || {
        process::look(Path::new("/proc"), server, &mut text).unwrap().parent != shell
    });
    for _ in 0..3 {
        let look = groups.look(&mut roots);
        let counted = groups.before.values().flatten().filter(|process| !process.ended).map(|process| process.pid);
        assert!(counted.clone().any(|pid| pid == server), "{look:?}: {:?}", counted.collect::<Vec<_>>());
    }
    assert!(Command::new("kill").arg("-9").arg(server.to_string()).status().unwrap().success());
    wait_for("it has ended", || process::look(Path::new("/proc"), server, &mut text).is_none_or(|seen| seen.ended));
    groups.look(&mut roots);
    assert!(groups.before.values().flatten().all(|process| process.pid != server), "and so it is gone");
}

/// Harm prevented: in a container that sees the host's processes, strangers are counted as the panes' own.
#[test]
fn where_other_programs_have_our_numbers_there_are_no_groups() {
    let host = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("1", host.path().join("self")).unwrap();
    std::fs::create_dir_all(host.path().join("77/task")).unwrap();
    std::fs::write(host.path().join("77/stat"), "77 (x) S 1 1 1 0 -1 0 0 0 0 0 5 5 0 0 20 0 1 0 1000 0 3 0\n").unwrap();
    let mut groups = Groups::new(host.path(), &config::Groups::default());
    let mut roots = Roots::default();
    roots.hear(&pane("%1", 77));
    assert!(groups.look(&mut roots).usages.is_empty());
    assert!(groups.fault.as_ref().is_some_and(|fault| fault.contains("are not those")), "{:?}", groups.fault);
    assert_eq!(pids(&roots), [("pane", 77)], "it may be there all the same");
}

/// Harm prevented: another process that got the number of a dead one is told as the pane's.
#[test]
fn a_number_that_was_given_away_anew_is_nobodys() {
    let family = Family::sh("read x");
    let started = process::look(Path::new("/proc"), family.pid(), &mut Vec::new()).unwrap().started;
    let (mut roots, mut groups) = (Roots::default(), groups(json!({})));
    let agent = |started: u64| json!({ "id": "a", "name": "web", "pid": family.pid(), "pid_started": started });
    roots.hear(&event("agent", "agent_state", &agent(started - 1)));
    assert!(groups.look(&mut roots).usages.is_empty());
    assert_eq!(pids(&roots), [], "and forgotten");
    roots.hear(&event("agent", "agent_state", &agent(started)));
    assert_eq!(groups.look(&mut roots).usages[0].name, "agent web");

    // Somebody spoke of this number a day before the process began that has it now.
    let mut old = pane("%1", family.pid());
    old.time -= Duration::from_hours(24);
    let mut roots = Roots::default();
    roots.hear(&old);
    groups.look(&mut roots);
    assert_eq!(pids(&roots), []);
}

#[test]
fn roots_come_and_go_as_their_sources_tell() {
    let mut roots = Roots::default();
    roots.hear(&pane("%1", 41));
    roots.hear(&event("agent", "agent_state", &json!({ "id": "a", "name": "web", "pid": 42 })));
    roots.hear(&event("agent", "agent_state", &json!({ "id": "b", "name": "far", "pid": 7, "host": "elsewhere" })));
    // With the id and the name twice, as its source tells them.
    let server = json!({
        "id": "s@1", "name": "files", "server_id": "s@1", "server_name": "files", "pid": 43, "pid_started": 9,
        "pids": [43, 44], "status": "active",
    });
    let keyed = BusEvent { key: Some("s@1".into()), ..event("mcp_servers", "mcp_server_state", &server) };
    roots.hear(&keyed);
    assert_eq!(pids(&roots), [("pane", 41), ("agent", 42), ("server", 43), ("server", 44)]);
    roots.hear(&event("tmux", "pane.removed", &json!({ "server": { "pid": 9 }, "pane_id": "%1" })));
    roots.hear(&event("agent", "agent_removed", &json!({ "agent_id": "a" })));
    roots.hear(&BusEvent { key: None, forgets: Some("s@1".into()), ..event("mcp_servers", "x", &json!(null)) });
    assert_eq!(pids(&roots), []);
    for nonsense in [json!(null), json!([1]), json!({ "pid": -1 }), json!({ "pid": "x", "pane_id": 5 })] {
        roots.hear(&event("tmux", "pane.state", &nonsense));
        roots.hear(&event("agent", "agent_state", &nonsense));
        roots.hear(&event("mcp_servers", "mcp_server_state", &nonsense));
    }
    assert_eq!(pids(&roots), []);
}

#[test]
fn a_kernel_without_lists_of_children_is_a_fault_that_is_told() {
    let root = tempfile::tempdir().unwrap();
    let task = root.path().join("77/task/77");
    std::fs::create_dir_all(&task).unwrap();
    let stat = "77 (x) S 1 1 1 0 -1 0 0 0 0 0 5 5 0 0 20 0 1 0 1000 0 3 0\n";
    std::fs::write(root.path().join("77/stat"), stat).unwrap();
    std::fs::write(task.join("stat"), stat).unwrap();
    std::os::unix::fs::symlink(std::process::id().to_string(), root.path().join("self")).unwrap();
    let mut groups = Groups::new(root.path(), &config::Groups::default());
    let mut roots = Roots::default();
    roots.hear(&pane("%1", 77));
    assert_eq!(groups.look(&mut roots).usages.len(), 1, "what is known is told");
    assert!(groups.fault.is_some());
}
