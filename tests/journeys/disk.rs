//! A disk that takes nothing more: publishes are no longer acknowledged as kept, an alarm says so once, live events go on,
//! and when there is room again all is as before, without a restart.
//!
//! The disk is a small tmpfs in a mount namespace of the daemon's own, which ends with it. Root may make one, and who may
//! have namespaces of users. Where neither may, as in a container without privileges, these journeys say so and are not
//! made; the engine's tests of a disk that fails need no privileges.

use headwater_tests::{Client, Daemon, World, eventually};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt},
    path::PathBuf,
};
use tokio::process::Command;

/// A program that gives what it starts mounts of its own.
fn with_its_own_mounts() -> &'static [&'static str] {
    if is_root() { &["unshare", "--mount"] } else { &["unshare", "--mount", "--map-root-user"] }
}

/// A world whose history lies on a disk of this many megabytes; `None` where nobody may have one.
async fn with_a_disk_of(megabytes: u32, durability: &str) -> Option<World> {
    let (program, arguments) = with_its_own_mounts().split_first().unwrap();
    let mut probe = Command::new(program);
    probe.args(arguments).args(["sh", "-c", "mount -t tmpfs -o size=1m probe /mnt"]);
    if !probe.status().await.is_ok_and(|status| status.success()) {
        eprintln!("not made: this machine lets nobody mount a file system in a namespace of their own");
        return None;
    }
    let world = World::new();
    let place = world.path("disk");
    fs::create_dir(&place).unwrap();
    let file = place.join("history.db");
    let mount = format!("mount -t tmpfs -o size={megabytes}m headwater \"$0\" && exec \"$@\"");
    let under = [with_its_own_mounts(), &["sh", "-c", &mount, place.to_str().unwrap()]].concat();
    let limits = "message_burst = 1000000\nmessages_per_second = 1000000";
    let world = world.under(&under);
    Some(world.config(&format!(
        "[history]\npath = \"{}\"\ndurability = \"{durability}\"\n[router]\nchannel_events = 8\n\
         [gateway]\nmax_message_bytes = \"1MiB\"\n[gateway.limits]\n{limits}\n",
        file.display()
    )))
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A file on the disk, as the test sees it.
fn on_disk(daemon: &Daemon, name: &str) -> PathBuf {
    let path = daemon.path("disk").join(name);
    format!("/proc/{}/root{}", daemon.pid(), path.display()).into()
}

/// Takes all the room there is.
fn fill(daemon: &Daemon) {
    let mut file = File::create(on_disk(daemon, "filler")).expect("the daemon has a disk of its own");
    let full = loop {
        if let Err(error) = file.write_all(&[0; 4096]) {
            break error.kind();
        }
    };
    assert_eq!(full, ErrorKind::StorageFull);
}

fn make_room(daemon: &Daemon) {
    fs::remove_file(on_disk(daemon, "filler")).unwrap();
}

/// Publishes and gives the answer.
async fn publish(client: &mut Client, n: u64, padding: usize) -> Value {
    let data = json!({"n": n, "padding": "x".repeat(padding)});
    client.send(&json!({"type": "publish", "channel": "work", "event": "n", "data": data, "request_id": n})).await;
    let answer = client.next().await;
    assert_eq!(answer["request_id"], n, "{answer}");
    answer
}

fn is_acknowledged(answer: &Value) -> bool {
    if answer["type"] == "publish_response" {
        return true;
    }
    assert_eq!((&answer["type"], &answer["error_code"]), (&json!("error"), &json!("SYSTEM_UNAVAILABLE")), "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("cannot be written"), "{answer}");
    false
}

/// Publishes until one is refused, or until one is acknowledged; the next number.
async fn publish_until(client: &mut Client, mut n: u64, acknowledged: bool) -> u64 {
    let what = if acknowledged { "publishes are acknowledged again" } else { "a publish is refused" };
    eventually(what, async || {
        n += 1;
        (is_acknowledged(&publish(client, n - 1, 100).await) == acknowledged).then_some(n)
    })
    .await
}

async fn alarm(client: &mut Client, kind: &str) -> Value {
    let event = client.next().await;
    assert_eq!(event["type"], kind, "{event}");
    event
}

#[tokio::test]
async fn a_full_disk_ends_acknowledgements_until_there_is_room_and_nothing_else() {
    for durability in ["flush", "durable"] {
        let Some(world) = with_a_disk_of(4, durability).await else { return };
        let daemon = world.start().await;
        let (mut publisher, mut live, mut alarms) =
            (daemon.client().await, daemon.client().await, daemon.client().await);
        live.subscribe(&["work"]).await;
        alarms.subscribe(&["system_events"]).await;
        assert!(is_acknowledged(&publish(&mut publisher, 1, 100).await));
        fill(&daemon);
        let mut n = publish_until(&mut publisher, 2, false).await;
        let failing = alarm(&mut alarms, "history.failing").await;
        assert_eq!(failing["severity"], "critical", "{failing}");
        assert!(failing["data"]["reason"].as_str().unwrap().contains("full"), "{failing}");
        for _ in 0..20 {
            assert!(!is_acknowledged(&publish(&mut publisher, n, 100).await));
            n += 1;
        }
        let body = json!({"channel": "work", "type": "n", "data": {"n": n}}).to_string();
        let answer = daemon.post("/v1/events", "application/json", &body).await;
        assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("SYSTEM_UNAVAILABLE")), "{}", answer.body);
        n += 1;
        make_room(&daemon);
        n = publish_until(&mut publisher, n, true).await;
        // Told once each, however often it was tried in between.
        let recovered = alarm(&mut alarms, "history.recovered").await;
        assert_eq!(recovered["data"]["events_not_kept"], 0, "{recovered}");
        for _ in 0..3 {
            assert!(is_acknowledged(&publish(&mut publisher, n, 100).await));
            n += 1;
        }
        // All of it came live, and what waited for the disk is in the history too.
        let history = daemon.get("/v1/history?channel=work").await.json();
        for wanted in 1..n {
            let event = live.next().await;
            assert_eq!((&event["offset"], &event["data"]["n"]), (&json!(wanted), &json!(wanted)), "{event}");
            assert_eq!(history["events"][wanted as usize - 1], event);
        }
        assert_eq!((&history["count"], &history["gaps"]), (&json!(n - 1), &Value::Null));
    }
}

/// While the disk takes nothing, events wait in memory; what found no room there is a gap for who asks later, and nobody
/// is left to think that it never was.
#[tokio::test]
async fn what_could_not_be_kept_is_a_gap_for_who_asks_later() {
    let Some(world) = with_a_disk_of(120, "flush").await else { return };
    let daemon = world.start().await;
    let (mut publisher, mut alarms) = (daemon.client().await, daemon.client().await);
    alarms.subscribe(&["system_events"]).await;
    assert!(is_acknowledged(&publish(&mut publisher, 1, 100).await));
    fill(&daemon);
    let mut n = publish_until(&mut publisher, 2, false).await;
    alarm(&mut alarms, "history.failing").await;
    // More than waits: 32 MiB.
    for _ in 0..40 {
        assert!(!is_acknowledged(&publish(&mut publisher, n, 900_000).await));
        n += 1;
    }
    make_room(&daemon);
    n = publish_until(&mut publisher, n, true).await;
    let recovered = alarm(&mut alarms, "history.recovered").await;
    let lost = recovered["data"]["events_not_kept"].as_u64().unwrap();
    assert!(lost >= 3, "{recovered}");
    // The log itself holds the last eight; these push out what the history has not got.
    for _ in 0..10 {
        assert!(is_acknowledged(&publish(&mut publisher, n, 100).await));
        n += 1;
    }
    let mut late = daemon.client().await;
    late.subscribe_with(json!({"channels": "work", "from": "earliest"})).await;
    let (mut next, mut missing) = (1, 0);
    while next < n {
        let message = late.next().await;
        if message["type"] == "gap" {
            assert_eq!(message["from"], next, "{message}");
            let to = message["to"].as_u64().unwrap();
            (next, missing) = (to + 1, missing + to + 1 - next);
        } else {
            assert_eq!((&message["offset"], &message["data"]["n"]), (&json!(next), &json!(next)));
            next += 1;
        }
    }
    assert_eq!(missing, lost, "the alarm and the gaps tell the same");
    let mut gaps = Vec::new();
    let mut cursor = String::new();
    while let Some(next) = {
        let answer = daemon.get(&format!("/v1/history?channel=work{cursor}")).await.json();
        gaps.extend(answer["gaps"].as_array().into_iter().flatten().cloned());
        answer["cursor"].as_str().map(str::to_owned)
    } {
        cursor = format!("&cursor={next}");
    }
    let width = |gap: &Value| gap["to"].as_u64().unwrap() + 1 - gap["from"].as_u64().unwrap();
    assert_eq!(gaps.iter().map(width).sum::<u64>(), lost, "{gaps:?}");
}

/// Harm prevented: a daemon that was started while its file could not be written goes on without it until somebody notices,
/// though the file has long been mended.
#[tokio::test]
async fn a_file_that_may_not_be_written_is_taken_up_again_when_it_may() {
    // Root may write whatever a file's mode says, so it gives that up.
    let owner: &[&str] = if is_root() { &["setpriv", "--bounding-set=-dac_override,-dac_read_search"] } else { &[] };
    let mut daemon = World::new().under(owner).start().await;
    let mut client = daemon.client().await;
    for n in 1..=3 {
        assert!(is_acknowledged(&publish(&mut client, n, 10).await));
    }
    drop(client);
    daemon.signal("TERM").await;
    assert_eq!(daemon.ended().await, Some(0));
    let set_mode = |daemon: &Daemon, mode| {
        fs::set_permissions(daemon.path("state/history.db"), fs::Permissions::from_mode(mode)).unwrap();
    };
    set_mode(&daemon, 0o400);
    daemon = daemon.again().await;
    let (mut publisher, mut live, mut alarms) = (daemon.client().await, daemon.client().await, daemon.client().await);
    live.subscribe_with(json!({"channels": "work", "from": "earliest"})).await;
    alarms.subscribe_with(json!({"channels": "system_events", "from": "earliest"})).await;
    alarm(&mut alarms, "history.failing").await;
    assert!(!is_acknowledged(&publish(&mut publisher, 4, 10).await));
    for n in 1..=4 {
        assert_eq!(live.next().await["data"]["n"], n, "what there is can be read, and live events go on");
    }
    set_mode(&daemon, 0o600);
    let next = publish_until(&mut publisher, 5, true).await;
    alarm(&mut alarms, "history.recovered").await;
    for client in [publisher, live, alarms] {
        drop(client);
    }
    daemon.signal("TERM").await;
    assert_eq!(daemon.ended().await, Some(0));
    daemon = daemon.again().await;
    let history = daemon.get("/v1/history?channel=work").await.json();
    let numbers: Vec<u64> =
        history["events"].as_array().unwrap().iter().map(|event| event["data"]["n"].as_u64().unwrap()).collect();
    assert_eq!((numbers, &history["gaps"]), ((1..next).collect(), &Value::Null), "all of it is kept after all");
}

/// Nor is the worst of both the end: a file that is given up, and no room for another one yet.
#[tokio::test]
async fn a_damaged_file_on_a_full_disk_is_replaced_when_there_is_room() {
    let Some(world) = with_a_disk_of(8, "flush").await else { return };
    let daemon = world.start().await;
    let (mut publisher, mut alarms) = (daemon.client().await, daemon.client().await);
    alarms.subscribe(&["system_events"]).await;
    for n in 1..=200 {
        assert!(is_acknowledged(&publish(&mut publisher, n, 1_000).await));
    }
    // All that is on the disk is in the `-wal` as yet: there readers find it, so there it is spoilt.
    fill(&daemon);
    let wal = fs::OpenOptions::new().write(true).open(on_disk(&daemon, "history.db-wal")).unwrap();
    let length = wal.metadata().unwrap().len();
    for page in 8..length / 4096 - 8 {
        wal.write_all_at(&[0x5a; 4096], page * 4096).unwrap();
    }
    let mut reader = daemon.client().await;
    reader.subscribe_with(json!({"channels": "work", "from": "earliest"})).await;
    alarm(&mut alarms, "history.corrupt").await;
    alarm(&mut alarms, "history.failing").await;
    assert!(!is_acknowledged(&publish(&mut publisher, 201, 10).await));
    make_room(&daemon);
    let next = publish_until(&mut publisher, 202, true).await;
    let replaced = alarm(&mut alarms, "history.replaced").await;
    let aside =
        replaced["data"]["moved_to"].as_str().expect("it is named, though that was some attempts ago").to_owned();
    assert!(fs::exists(format!("/proc/{}/root{aside}", daemon.pid())).unwrap(), "{replaced}");
    alarm(&mut alarms, "history.recovered").await;
    // What was in the old file is missing, and said exactly. The log itself has the last ones still, or no longer, if it went
    // on before the reader did.
    let (mut wanted, mut read) = (1, 0);
    while wanted < next {
        let message = reader.next().await;
        if message["type"] == "gap" {
            assert_eq!((&message["from"], &message["reason"]), (&json!(wanted), &json!("corruption")), "{message}");
            wanted = message["to"].as_u64().unwrap() + 1;
            assert!((2..=201).contains(&wanted) && read == 0, "{message}");
        } else {
            assert_eq!((&message["offset"], &message["data"]["n"]), (&json!(wanted), &json!(wanted)), "{message}");
            assert!(wanted > 1, "what was spoilt is not there: {message}");
            (wanted, read) = (wanted + 1, read + 1);
        }
    }
}
