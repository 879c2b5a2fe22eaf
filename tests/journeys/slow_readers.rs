//! Fast readers and stalled ones side by side: the fast ones notice nothing, the stalled ones cost next to nothing, and each
//! of them gets what its lag policy says.

use crate::delivery::unlimited;
use headwater_tests::{Client, Daemon, World, resident_bytes};
use serde_json::{Value, json};
use std::{
    fs,
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinSet};

const FAST: usize = 99;
/// How many events of the channel the log holds.
const HELD: u64 = 60;
const SIZE: usize = 12_000;
/// Between two events.
const PAUSE: Duration = Duration::from_millis(20);
/// Events before anybody stalls, and while some do.
const BEFORE: u64 = 150;
const DURING: u64 = 300;

/// Publishes events at a steady pace; when each was sent.
async fn publish(publisher: &mut Client, from: u64, to: u64) -> Vec<Instant> {
    let padding = "x".repeat(SIZE);
    let began = Instant::now();
    let mut sent = Vec::new();
    for (n, due) in (from..=to).zip(0..) {
        tokio::time::sleep_until((began + PAUSE * due).into()).await;
        sent.push(Instant::now());
        let event = json!({"type": "publish", "channel": "load", "event": format!("kind {}", n % 5),
            "data": {"n": n, "padding": padding}});
        publisher.send(&event).await;
    }
    sent
}

/// When a reader got each event, in order and without a hole.
async fn reads(mut client: Client, count: u64, progress: watch::Sender<u64>) -> Vec<Instant> {
    let mut got = Vec::new();
    for offset in 1..=count {
        // Not parsed: it is the daemon that is measured.
        let event = client.try_next_text().await.expect("the connection is open");
        assert!(event.contains(&format!("\"offset\":{offset},")), "{offset} is not {event:.200}");
        got.push(Instant::now());
        progress.send_replace(offset);
    }
    got
}

fn p99(sent: &[Instant], got: &[Vec<Instant>], range: std::ops::Range<usize>) -> Duration {
    let mut waits: Vec<Duration> = range.flat_map(|n| got.iter().map(move |got| got[n] - sent[n])).collect();
    waits.sort_unstable();
    waits[waits.len() * 99 / 100]
}

/// What the kernel holds that the daemon has written to this port's clients and they have not taken.
fn unsent(daemon: &Daemon) -> u64 {
    let port = format!(":{:04X}", daemon.address().port());
    let table = fs::read_to_string("/proc/net/tcp").expect("Linux has it");
    let lines = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let queues = lines.filter(|fields| fields[1].ends_with(&port)).filter_map(|fields| fields[4].split_once(':'));
    queues.filter_map(|(queue, _)| u64::from_str_radix(queue, 16).ok()).sum()
}

/// What a stalled reader gets when it reads at last, up to where it stands behind `last`: offsets, and notices in a few
/// words.
async fn story(client: &mut Client, last: u64) -> Vec<String> {
    let mut story = Vec::new();
    let heartbeat = json!({"type": "heartbeat"});
    // One that is closed meanwhile says so when it is read.
    let _ = client.try_send(&heartbeat).await;
    loop {
        let message = match client.try_next().await {
            Ok(message) => message,
            Err(closed) => {
                story.push(format!("closed {}", closed.code.unwrap_or(0)));
                return story;
            }
        };
        match message["type"].as_str().unwrap() {
            "gap" => story.push(format!("gap to {}", message["to"])),
            "lag" => story.push("lag".to_owned()),
            "error" => story.push(format!("lost at {}", message["details"]["positions"]["load"]["offset"])),
            "heartbeat_response" if message["positions"]["load"]["offset"] == last => return story,
            "heartbeat_response" => drop(client.try_send(&heartbeat).await),
            _ => story.push(message["offset"].to_string()),
        }
    }
}

/// The offsets of a story, and how many of them came before its gap.
fn offsets(story: &[String]) -> (Vec<u64>, usize) {
    let before = story.iter().take_while(|word| !word.starts_with("gap")).filter(|word| word.parse::<u64>().is_ok());
    (story.iter().filter_map(|word| word.parse().ok()).collect(), before.count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_readers_cost_nothing_and_fast_ones_notice_nothing_under_load() {
    let ring = format!("[router]\nchannel_events = {HELD}");
    let daemon = World::new().config(&unlimited("120s")).config(&ring).start().await;
    let all = BEFORE + DURING;
    let mut fast = JoinSet::new();
    let (progress, mut seen) = watch::channel(0);
    for _ in 0..FAST {
        let mut client = daemon.client().await;
        client.subscribe(&["load"]).await;
        fast.spawn(reads(client, all, progress.clone()));
    }
    let mut publisher = daemon.client().await;
    let mut sent = publish(&mut publisher, 1, BEFORE).await;
    // The log is full by now: it grows no more on anybody's behalf.
    seen.wait_for(|offset| *offset == BEFORE).await.unwrap();
    let before = resident_bytes(daemon.pid());
    let policies = [
        json!("store"),
        json!("gap"),
        json!({"policy": "latest", "key": "type"}),
        json!({"policy": "sample", "interval_ms": 200}),
        json!("disconnect"),
    ];
    let mut stalled = Vec::new();
    for policy in policies.iter().chain(&policies) {
        let mut client = Client::connect_narrow(daemon.address()).await;
        client.subscribe_with(json!({"channels": "load", "options": {"lag_policy": policy}})).await;
        stalled.push(client);
    }
    sent.extend(publish(&mut publisher, BEFORE + 1, all).await);
    let got = fast.join_all().await;
    let (alone, beside) = (p99(&sent, &got, 0..BEFORE as usize), p99(&sent, &got, BEFORE as usize..all as usize));
    let (grown, kernel) = (resident_bytes(daemon.pid()).saturating_sub(before), unsent(&daemon));
    let each = (grown + kernel) / stalled.len() as u64;
    eprintln!(
        "p99 {alone:?} alone, {beside:?} beside stalled ones, which cost {} KiB each, {} KiB of them in the kernel",
        each / 1024,
        kernel / 1024 / stalled.len() as u64
    );
    assert!(each < 1 << 20, "{each} bytes for each reader that takes nothing: {grown} and {kernel}");
    // As fast as before, but for what a busy machine does to anybody.
    assert!(beside < alone * 3 + Duration::from_millis(100), "{beside:?} beside stalled readers, {alone:?} without");
    for (client, policy) in stalled.iter_mut().zip(policies.iter().chain(&policies)) {
        check(policy, &story(client, all).await, all);
    }
}

/// Each is told `lag`, and then what its policy says.
fn check(policy: &Value, story: &[String], all: u64) {
    let (offsets, before) = offsets(story);
    let got = BEFORE + before as u64;
    assert_eq!(offsets[..before], (BEFORE + 1..=got).collect::<Vec<_>>(), "{policy}: {story:?}");
    let after = &offsets[before..];
    assert_eq!(story.iter().filter(|word| *word == "lag").count(), 1, "{policy}: {story:?}");
    let gaps: Vec<&String> = story.iter().filter(|word| word.starts_with("gap")).collect();
    let tail: Vec<u64> = (all - HELD + 1..=all).collect();
    match policy["policy"].as_str().or(policy.as_str()).unwrap() {
        "store" => assert_eq!((offsets.len() as u64, gaps.len()), (DURING, 0), "{story:?}"),
        "gap" => {
            assert_eq!(gaps, [&format!("gap to {}", all - HELD)]);
            assert_eq!(after, tail, "{story:?}");
        }
        "latest" => {
            assert_eq!(gaps, [&format!("gap to {all}")]);
            assert_eq!(after, &tail[tail.len() - 5..], "{story:?}");
        }
        "sample" => {
            assert_eq!(gaps, [&format!("gap to {all}")]);
            // The log holds about a second.
            assert!((3..=12).contains(&after.len()), "{story:?}");
        }
        _ => {
            let end = [format!("lost at {got}"), "closed 4410".to_owned()];
            assert_eq!(story[story.len() - 2..], end, "{story:?}");
        }
    }
}
