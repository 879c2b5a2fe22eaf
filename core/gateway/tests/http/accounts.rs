//! The account of a client: whatever it asked for and however it reads, each event of its channel comes once or is told to
//! be missing once.

use crate::{
    session::{draft, message, narrow_session, subscribe_with, tell},
    store::Store,
    wire::{Client, client_frame},
    world::World,
};
use headwater_engine::{Engine, MemoryEngine};
use headwater_event::Draft;
use headwater_router::LogLimits;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What the log holds.
const HELD: usize = 30;
const SIZE: usize = 4_000;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// This many events are published at once; each `first`th is of priority.
    Publish { count: usize, first: usize },
    /// The client reads what is on its way.
    Read,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let publish = (1..120_usize, 2..40_usize).prop_map(|(count, first)| Step::Publish { count, first });
    proptest::collection::vec(prop_oneof![3 => publish, 1 => Just(Step::Read)], 4..14)
}

/// Policies whose gaps are exact, and paces that drop nothing.
fn options() -> impl Strategy<Value = Value> {
    let policy = prop_oneof![Just("store"), Just("gap")];
    let size = prop_oneof![Just(None), (1..100_usize).prop_map(Some)];
    let pace = prop_oneof![Just(None), (1..20_usize).prop_map(Some)];
    (policy, size, pace, any::<bool>()).prop_map(|(policy, size, pace, first)| {
        let mut options = json!({"lag_policy": policy, "buffer_size": size});
        if let Some(size) = pace {
            options["streaming_mode"] = "buffered".into();
            options["buffer_interval_ms"] = 20.into();
            options["max_buffer_size"] = size.into();
        }
        if first {
            options["priority_events"] = json!(["first"]);
        }
        options
    })
}

/// What a client was told of each offset.
#[derive(Default)]
struct Account {
    came: BTreeMap<u64, u32>,
    missing: BTreeMap<u64, u32>,
    /// Of those that came: whether they were of priority.
    first: BTreeSet<u64>,
}

impl Account {
    fn enter(&mut self, message: &Value) {
        match message["type"].as_str().unwrap() {
            "lag" => {}
            "gap" => {
                for offset in message["from"].as_u64().unwrap()..=message["to"].as_u64().unwrap() {
                    *self.missing.entry(offset).or_default() += 1;
                }
            }
            kind => {
                let offset = message["offset"].as_u64().unwrap_or_else(|| panic!("{message}"));
                *self.came.entry(offset).or_default() += 1;
                self.first.extend((kind == "first").then_some(offset));
            }
        }
    }

    fn is_whole(&self, begins: u64, last: u64, options: &Value) {
        for offset in begins + 1..=last {
            let of = |told: &BTreeMap<u64, u32>| told.get(&offset).copied().unwrap_or(0);
            let told = (of(&self.came), of(&self.missing));
            // What was sent past the others is gone from the log with them: nobody knows any more which ones it were.
            let sent_before = told == (1, 1) && self.first.contains(&offset) && options["streaming_mode"] == "buffered";
            assert!(told.0 + told.1 == 1 || sent_before, "{offset} of {last} came and was missing {told:?}: {options}");
        }
        let outside = self.came.keys().chain(self.missing.keys()).find(|offset| !(begins + 1..=last).contains(*offset));
        assert_eq!(outside, None, "{options}");
    }
}

async fn account(steps: Vec<Step>, options: Value, stored: bool, from_the_past: bool) {
    let engine: Arc<dyn Engine> = if stored { Store::new() } else { Arc::new(MemoryEngine::new(10)) };
    let limits = LogLimits { channel_events: HELD, channel_bytes: 64 << 20, ..LogLimits::default() };
    let world = World::on(engine, limits, |options| {
        options.limits.messages_per_second = 1_000_000;
        options.limits.message_burst = 1_000_000;
        options.limits.frames_per_second = 1_000_000;
    });
    let data = format!("\"{}\"", "x".repeat(SIZE));
    let mut published = 0;
    let mut publish = |count: usize, first: usize| {
        let kind = |n: usize| if n.is_multiple_of(first) { "first" } else { "t" };
        let batch = (1..=count).map(|n| Draft { kind: kind(n).into(), ..draft("a", &data) }).collect();
        world.router.publish(batch).unwrap().wait().unwrap();
        published += count as u64;
        published
    };
    if from_the_past {
        publish(200, 7);
    }
    let mut client = narrow_session(&world).await;
    let from = if from_the_past { "earliest" } else { "latest" };
    let answer = subscribe_with(&mut client, json!({"channels": "a", "from": from, "options": options})).await;
    // Without a store the oldest that can be had is the oldest in memory.
    let begins = answer["positions"]["a"]["offset"].as_u64().unwrap();
    let mut account = Account::default();
    for step in steps {
        match step {
            Step::Publish { count, first } => drop(publish(count, first)),
            Step::Read => tell(&mut client, &json!({"type": "heartbeat"})).await,
        }
        if let Step::Read = step {
            loop {
                let message = message(&mut client).await;
                if message["type"] == "heartbeat_response" {
                    break;
                }
                account.enter(&message);
            }
        }
    }
    let last = publish(1, 2);
    // Some wait in a buffer; all have come when it stands behind the last.
    loop {
        tell(&mut client, &json!({"type": "heartbeat"})).await;
        let position = loop {
            let message = message(&mut client).await;
            if message["type"] == "heartbeat_response" {
                break message["positions"]["a"]["offset"].as_u64().unwrap();
            }
            account.enter(&message);
        };
        if position == last {
            break;
        }
    }
    account.is_whole(begins, last, &options);
}

/// Reads what is on its way and answers pings; the last event.
async fn read_on(client: &mut Client, account: &mut Account) -> Option<Value> {
    tell(client, &json!({"type": "heartbeat"})).await;
    let mut last = None;
    loop {
        let (opcode, payload) = client.frame().await;
        if opcode == 9 {
            client.send(&client_frame(0xa, &payload)).await;
            continue;
        }
        let message: Value = serde_json::from_slice(&payload).unwrap();
        if message["type"] == "heartbeat_response" {
            return last;
        }
        account.enter(&message);
        last = message["message_id"].is_string().then_some(message).or(last);
    }
}

/// A client that breaks off after each of these batches, having read or not, and comes back by its token.
async fn breaks_off(batches: Vec<(usize, bool, bool)>, options: Value) {
    let limits = LogLimits { channel_events: HELD, channel_bytes: 64 << 20, ..LogLimits::default() };
    let world = World::on(Store::new(), limits, |options| {
        options.shards = 2;
        options.ping_interval = std::time::Duration::from_millis(1);
        options.limits.messages_per_second = 1_000_000;
        options.limits.message_burst = 1_000_000;
        options.limits.frames_per_second = 1_000_000;
    });
    let data = format!("\"{}\"", "x".repeat(SIZE));
    let mut client = narrow_session(&world).await;
    let answer = subscribe_with(&mut client, json!({"channels": "a", "options": options})).await;
    let token = answer["reconnect_token"].as_str().unwrap().to_owned();
    let (mut account, mut published, mut last) = (Account::default(), 0, None);
    for (count, reads, names) in batches {
        world.router.publish(vec![draft("a", &data); count]).unwrap().wait().unwrap();
        published += count as u64;
        if reads {
            last = read_on(&mut client, &mut account).await.or(last);
        }
        drop(client);
        client = narrow_session(&world).await;
        let mut auth = json!({"type": "auth", "reconnect_token": token});
        if let Some(last) = last.as_ref().filter(|_| names) {
            auth["last_message_id"] = last["message_id"].clone();
        }
        tell(&mut client, &auth).await;
        let answer = message(&mut client).await;
        assert_eq!(answer["resumed"]["subscriptions"], json!(["a"]), "{answer}");
        if let Some(last) = last.as_ref().filter(|_| names && options == json!({})) {
            assert!(answer["resumed"]["positions"]["a"]["offset"].as_u64() >= last["offset"].as_u64(), "{answer}");
        }
    }
    while !account.came.contains_key(&published) {
        read_on(&mut client, &mut account).await;
    }
    let lost: Vec<u64> = (1..=published).filter(|offset| !account.came.contains_key(offset)).collect();
    assert!(lost.is_empty() && account.missing.is_empty(), "{lost:?} {:?} {options}", account.missing);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn each_event_comes_once_or_is_told_to_be_missing_once(
        steps in steps(),
        options in options(),
        stored in any::<bool>(),
        from_the_past in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(account(steps, options, stored, from_the_past));
    }

    #[test]
    fn who_breaks_off_and_comes_back_gets_everything_at_least_once(
        batches in proptest::collection::vec((1..100_usize, any::<bool>(), any::<bool>()), 1..8),
        buffered in any::<bool>(),
    ) {
        let pace = json!({"streaming_mode": "buffered", "buffer_interval_ms": 20, "max_buffer_size": 7});
        let options = if buffered { pace } else { json!({}) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(breaks_off(batches, options));
    }
}
