//! A daemon that is killed under load, again and again: what it acknowledged is there, no position is used twice, and who
//! comes back with a position misses nothing. `cargo xtask crash` runs the same for many rounds.

mod dice;
mod ledger;
mod load;
mod resumer;

use dice::Dice;
use headwater_tests::{Client, Daemon, World, eventually};
use ledger::Ledger;
use load::{Load, Moment};
use resumer::Resumer;
use serde_json::{Value, json};
use std::{
    path::Path,
    process::{Output, Stdio},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
};

/// How many rounds each durability has, instead of [`ROUNDS`]; set by `cargo xtask crash`.
const ROUNDS_VARIABLE: &str = "HEADWATER_CRASH_ROUNDS";
/// In the tests of every day.
const ROUNDS: usize = 8;
/// How many minutes they may take, all in all.
const MINUTES_VARIABLE: &str = "HEADWATER_CRASH_MINUTES";

/// All that is stored is read again after so many rounds, and after the last one. In between it is what came since.
const WHOLE: usize = 20;

/// Nothing but the durability stands in the way of the load.
fn config(durability: &str) -> String {
    format!(
        "[history]\ndurability = \"{durability}\"\n[gateway]\nmax_message_bytes = \"1MiB\"\n[gateway.limits]\n\
         messages_per_second = 1000000\nmessage_burst = 1000000\nframes_per_second = 1000000\n"
    )
}

fn number_in(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

async fn kill(daemon: &mut Daemon) {
    daemon.signal("KILL").await;
    assert_eq!(daemon.ended().await, None, "it was killed, and did not end by itself");
}

/// `headwater verify` finds nothing wrong, and nothing missing.
async fn is_clean(daemon: &Daemon) {
    let file = daemon.path("state/history.db");
    let Output { status, stdout, stderr } = daemon.headwater(&["verify", file.to_str().unwrap()]).await;
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "`headwater verify` ended with {status}: {stdout}{stderr}");
    let report: Value = serde_json::from_str(&stdout).expect("in a pipe it is JSON");
    assert_eq!(json!([report["clean"], report["holes"]]), json!([true, 0]), "{report}");
}

/// Starts the daemon and kills it while it opens the history.
async fn killed_while_it_opens(daemon: &Daemon) {
    let mut command = daemon.command(&["up", "--listen", "127.0.0.1:0", "--config"]);
    command.arg(daemon.path("headwater.toml")).arg("--state-dir").arg(daemon.path("state"));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pid = child.id().unwrap().to_string();
    let locked = async || (daemon.read("state/history.db-lock") == pid).then_some(());
    eventually("another one has the history", locked).await;
    child.kill().await.unwrap();
}

async fn is_killed_again_and_again(durability: &str) {
    let began = Instant::now();
    let rounds = number_in(ROUNDS_VARIABLE).map_or(ROUNDS, |rounds| usize::try_from(rounds).unwrap());
    let most = number_in(MINUTES_VARIABLE).map_or(Duration::MAX, |minutes| Duration::from_secs(60 * minutes));
    let mut dice = Dice::new();
    println!("the dice fall by {}", dice.seed());
    let mut daemon = World::new().config(&config(durability)).start().await;
    let (mut ledger, mut resumer) = (Ledger::default(), Resumer::default());
    ledger.starts();
    for round in 1..=rounds {
        assert!(began.elapsed() < most, "{} of {rounds} rounds took {:?}", round - 1, began.elapsed());
        let load = Load::start(&daemon, round, &mut dice).await;
        let resuming = resumer.resume(&daemon, &ledger, &mut dice).await;
        load.reaches(Moment::of(&mut dice)).await;
        kill(&mut daemon).await;
        ledger.note(load.end().await);
        resumer = resuming.end().await;
        is_clean(&daemon).await;
        if dice.below(3) == 0 {
            killed_while_it_opens(&daemon).await;
            ledger.starts();
            is_clean(&daemon).await;
        }
        daemon = daemon.again().await;
        ledger.starts();
        ledger.read_back(&daemon, round % WHOLE == 0 || round == rounds).await;
        if round % WHOLE == 0 {
            println!("after {round} rounds: {ledger}");
        }
    }
    resumer.catches_up(&daemon, &ledger).await;
    let seconds = began.elapsed().as_secs();
    println!(
        "{rounds} rounds of kill -9 at `{durability}` in {seconds} s: {ledger}; {resumer}; verify clean each time"
    );
}

#[tokio::test]
async fn killed_again_and_again_at_durable_it_loses_nothing_acknowledged() {
    is_killed_again_and_again("durable").await;
}

#[tokio::test]
async fn killed_again_and_again_at_flush_it_loses_nothing_acknowledged() {
    is_killed_again_and_again("flush").await;
}

/// Somebody with `sqlite3` who is about to write, and keeps the daemon from it for as long.
async fn writes(file: &Path) -> Child {
    let mut command = Command::new("sqlite3");
    command.arg(file).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut person = command.spawn().expect("sqlite3 is installed by `cargo xtask test`");
    person.stdin.as_mut().unwrap().write_all(b"BEGIN IMMEDIATE;\nSELECT 'begun';\n").await.unwrap();
    let mut said = BufReader::new(person.stdout.take().unwrap()).lines();
    assert_eq!(said.next_line().await.unwrap().as_deref(), Some("begun"));
    person
}

async fn publishes(client: &mut Client, n: u64) -> Value {
    let event = json!({"type": "publish", "channel": "door", "event": "n", "data": n, "request_id": n});
    client.send(&event).await;
    client.next().await
}

/// Harm prevented: offset 4 means one event to who saw it before the crash and another one in the history, and nobody says.
#[tokio::test]
async fn who_saw_what_a_crash_lost_is_told_the_new_epoch_and_nobody_else() {
    let mut daemon = World::new().start().await;
    let mut publisher = daemon.client().await;
    let mut near = daemon.client().await;
    near.subscribe(&["door"]).await;
    let mut acknowledged = Value::Null;
    for n in 1..=3 {
        acknowledged = publishes(&mut publisher, n).await["positions"][0].clone();
        assert_eq!(near.next().await["offset"], n);
    }
    let person = writes(&daemon.path("state/history.db")).await;
    let refused = publishes(&mut publisher, 4).await;
    assert_eq!(
        (&refused["type"], &refused["error_code"]),
        (&json!("error"), &json!("SYSTEM_UNAVAILABLE")),
        "{refused}"
    );
    let seen = near.next().await;
    assert_eq!((&seen["offset"], &seen["epoch"]), (&json!(4), &acknowledged["epoch"]), "live events go on: {seen}");
    kill(&mut daemon).await;
    drop(person);
    daemon = daemon.again().await;
    let (mut near, mut far) = (daemon.client().await, daemon.client().await);
    let from =
        |place: &Value| json!({"channels": "door", "from": {"epoch": place["epoch"], "offset": place["offset"]}});
    let answer = near.subscribe_with(from(&seen)).await;
    let epoch = &answer["positions"]["door"]["epoch"];
    assert_ne!(*epoch, seen["epoch"], "{answer}");
    let gap = near.next().await;
    let told = json!([gap["type"], gap["epoch"], gap["from"], gap["to"], gap["reason"]]);
    assert_eq!(told, json!(["gap", epoch, 4, 3, "epoch_change"]), "nothing else is missing than what it knows");
    assert_eq!(far.subscribe_with(from(&acknowledged)).await["status"], "success");
    let mut publisher = daemon.client().await;
    let again = publishes(&mut publisher, 5).await["positions"][0].clone();
    assert_eq!((&again["offset"], &again["epoch"]), (&json!(4), epoch), "{again}");
    for client in [&mut near, &mut far] {
        let event = client.next().await;
        assert_eq!((&event["data"], &event["offset"], &event["epoch"]), (&json!(5), &json!(4), epoch), "{event}");
    }
}
