//! Six servers over standard input and output, and one of them over HTTP as well: from a file to the end of all faults.

use super::{
    Program, Scene, Word,
    program::{Remote, between, entry, scripted},
    signal,
};
use expect_test::expect_file;
use headwater_tests::{World, runs};
use serde_json::{Value, json};
use std::{fs, path::Path, process::Command};

const STDIO: [&str; 6] = ["everything", "fetch", "filesystem", "git", "memory", "time"];

/// The times of asking: soon enough for a test, and long enough for a machine that is busy with others.
const SETTINGS: &str = "interval = \"250ms\"\ndeadline = \"5s\"\nhandshake = \"90s\"\nhung = \"15s\"\nsweep = \"1s\"";

/// What stands in the file and in the environment and nowhere else.
const SECRETS: [&str; 6] = [
    "swordfish-of-an-entry",
    "swordfish-of-a-variable",
    "swordfish-of-an-argument",
    "swordfish-of-a-header",
    "swordfish-of-a-query",
    "swordfish-of-the-settings",
];

/// The servers as the file names them, each prepared for its fault.
fn servers(project: &Path, remote: &Remote) -> Value {
    let [entry_secret, _, argument, header, query, _] = SECRETS;
    let words = |program: Program| program.words(project);
    let orders = |name: &str| project.join(format!("{name}.orders"));
    // The same program may run in another test: no command line is another's.
    let own = project.join("left").display().to_string();
    let behind = |program| [vec![own.clone(), argument.to_owned()], words(program)].concat();
    // It leaves a process behind that is in nobody's group.
    let fork = "setsid sleep 600 & echo $! > \"$1\"; shift 2; exec \"$@\"";
    let three = "shift 2; \"$@\"; echo \"no more of $API_TOKEN\" >&2; exit 3";
    let plain = "shift 2; exec \"$@\"";
    let mut servers = json!({
        "everything": entry(&scripted(fork, &behind(Program::Everything))),
        "memory": entry(&scripted(three, &behind(Program::Memory))),
        "filesystem": entry(&between(&orders("filesystem"), &words(Program::Filesystem))),
        "time": entry(&scripted(plain, &behind(Program::Time))),
        "git": entry(&words(Program::Git)),
        "fetch": entry(&between(&orders("fetch"), &words(Program::Fetch))),
    });
    for name in STDIO {
        servers[name]["env"] = json!({ "API_TOKEN": entry_secret, "OTHER": "${SECRET_VARIABLE}" });
    }
    let url = remote.url();
    // Nobody allows this one: more than a place is not asked.
    servers["keyed"] = json!({ "type": "http", "url": format!("{url}?key={query}") });
    servers["remote"] = json!({
        "type": "http", "url": url, "headers": { "Authorization": format!("Bearer {header}") },
    });
    servers
}

#[tokio::test]
async fn real_servers_are_found_allowed_hurt_and_well_again() {
    let world = World::new().env("SECRET_VARIABLE", SECRETS[1]);
    let mut remote = Remote::start().await;
    let mut scene = Scene::new(world, SETTINGS).await;
    let project = scene.path(".");
    let git = Command::new("git").args(["init", "--quiet"]).arg(&project).status();
    assert!(git.unwrap().success());

    scene.part("A file names them. Nothing of it is started, and only who listens on this machine is asked.");
    scene.servers(&servers(&project, &remote));
    let all = || STDIO.into_iter().chain(["remote"]);
    let found: Vec<_> = all().map(|name| (name, Word::Found)).chain([("remote", Word::Is("active"))]).collect();
    scene.until(&found).await;
    assert!(!scene.path("left").exists(), "it was started");

    scene.part("They are allowed as they stand there.");
    let names: Vec<&str> = all().collect();
    scene.allow(&names).await;
    let active: Vec<_> = all().map(|name| (name, Word::Is("active"))).collect();
    scene.until(&active).await;
    for name in all() {
        let state = scene.state(name, "it was asked", |state| state["latency_ms"]["count"].as_u64() >= Some(3)).await;
        let [p50, p95, p99] = ["p50", "p95", "p99"].map(|name| state["latency_ms"][name].as_f64().unwrap());
        assert!(0.0 < p50 && p50 <= p95 && p95 <= p99 && p99 < 5_000.0, "{state}");
    }
    scene.list().await;

    scene.part("Each of them meets with something else.");
    faults(&mut scene, &mut remote).await;
    scene.list().await;
    let left: u32 = fs::read_to_string(scene.path("left.first")).unwrap().trim().parse().unwrap();
    assert!(runs(left), "it is not the source's to end");
    for file in ["left.first", "left"] {
        let left = fs::read_to_string(scene.path(file)).unwrap();
        signal(left.trim().parse().unwrap(), "KILL").await;
    }
    scene.is(&expect_file!["../../golden/mcp/servers.txt"]);
    secrets(&mut scene).await;
}

async fn faults(scene: &mut Scene, remote: &mut Remote) {
    let [everything, memory, git, time] = ["everything", "memory", "git", "time"];
    fs::rename(scene.path("left"), scene.path("left.first")).unwrap();
    // It is allowed to be silent for as long as that takes.
    let time_pid = scene.pid(time).await;
    signal(time_pid, "STOP").await;
    signal(scene.pid(git).await, "STOP").await;
    signal(scene.pid(everything).await, "KILL").await;
    signal(child_of(scene.pid(memory).await), "KILL").await;
    remote.kill().await;
    fs::write(scene.path("fetch.orders"), "garbage").unwrap();
    scene.until(&[("remote", Word::Is("stopped")), ("remote", Word::Alert("stopped"))]).await;
    remote.again();
    // Of fewer calls nothing is said.
    scene.state("filesystem", "it was asked enough", |state| state["calls"].as_u64() >= Some(20)).await;
    fs::write(scene.path("filesystem.orders"), "slow 1500").unwrap();
    scene
        .until(&[(time, Word::Is("unhealthy")), (time, Word::Alert("unhealthy")), (time, Word::Error("timeout"))])
        .await;
    signal(time_pid, "CONT").await;
    scene.until(&[("fetch", Word::Error("stdout_noise"))]).await;
    fs::write(scene.path("fetch.orders"), "flood 4000000").unwrap();
    scene.until(&[("filesystem", Word::Is("degraded")), ("filesystem", Word::Alert("degraded"))]).await;
    fs::remove_file(scene.path("filesystem.orders")).unwrap();
    scene.state("fetch", "the flood was read", |state| state["stderr"]["bytes"].as_u64() >= Some(3_900_000)).await;

    for name in [everything, memory, git] {
        let error = if name == git { "hung" } else { "ended" };
        scene.until(&[(name, Word::Is("stopped")), (name, Word::Error(error)), (name, Word::Is("active"))]).await;
    }
    scene.until(&[(everything, Word::Issue("orphaned_processes"))]).await;
    for name in [everything, memory, git, time, "filesystem", "remote"] {
        scene.until(&[(name, Word::Is("active")), (name, Word::Alert("active"))]).await;
    }
}

/// The only process below another one.
fn child_of(pid: u64) -> u64 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.trim().parse().unwrap()
}

/// Nothing that the daemon has written anywhere holds a secret.
async fn secrets(scene: &mut Scene) {
    // What is changed in the settings is told to everybody.
    let settings = scene.daemon.read("headwater.toml");
    let own = |value: &str| {
        format!("{settings}\n[source.mcp.servers.own]\ncommand = \"true\"\nenv = {{ LOGIN = \"{value}\" }}\n")
    };
    let mut system = scene.daemon.client().await;
    system.subscribe(&["system_events"]).await;
    for value in [SECRETS[5].to_owned(), format!("{}-changed", SECRETS[5])] {
        scene.daemon.write("headwater.toml", &own(&value));
        system.next_of("config.reloaded").await;
    }
    let mut written = vec![("its log".to_owned(), scene.daemon.log().into_bytes())];
    for channel in ["mcp_servers", "error_alerts", "system_events"] {
        for command in [&["history", channel, "--since", "1h"][..], &["snapshot", channel]] {
            let output = scene.daemon.headwater(command).await;
            assert!(output.status.success(), "{output:?}");
            written.push((command.join(" "), [output.stdout, output.stderr].concat()));
        }
    }
    for command in [&["command", "list_mcp_servers"][..], &["source"], &["check"]] {
        let output = scene.daemon.headwater(command).await;
        written.push((command.join(" "), [output.stdout, output.stderr].concat()));
    }
    files(&scene.daemon.path("state"), &mut written);
    assert!(written.iter().any(|(_, text)| contains(text, "server-everything") || contains(text, "everything@")));
    for (what, text) in &written {
        for secret in SECRETS {
            assert!(!contains(text, secret), "{secret} stands in {what}: {}", String::from_utf8_lossy(text));
        }
    }
}

fn files(directory: &Path, written: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, written);
        } else if path.is_file() {
            written.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

fn contains(text: &[u8], part: &str) -> bool {
    text.windows(part.len()).any(|window| window == part.as_bytes())
}
