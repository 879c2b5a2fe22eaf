//! What a session is told when something beneath it breaks.

use crate::{
    session::{draft, message, narrow_session, publish, session, story, subscribe, tell},
    world::{World, until},
};
use headwater_engine::{Ack, Committed, Engine, EngineError, Head, MemoryEngine, Page, PageLimit};
use headwater_event::{ChannelName, Draft, Epoch, Event, Position};
use headwater_router::LogLimits;
use serde_json::json;
use std::sync::{Arc, OnceLock};
use uuid::Uuid;

/// An engine whose numbering is a test's to choose.
#[derive(Default)]
struct Renumbering {
    committed: OnceLock<Committed>,
}

impl Renumbering {
    /// Hands events of channel `a` back, with these offsets.
    fn hand_back(&self, epoch: u64, offsets: impl IntoIterator<Item = u64>, data: &str) {
        let epoch = Epoch(epoch);
        let event = |offset| Arc::new(Event::new(draft("a", data), Position { epoch, offset }, Uuid::nil()));
        self.committed.get().unwrap()(offsets.into_iter().map(event).collect());
    }
}

impl Engine for Renumbering {
    fn start(&self, committed: Committed) {
        assert!(self.committed.set(committed).is_ok());
    }

    fn has_history(&self) -> bool {
        false
    }

    fn publish(&self, _: Vec<Draft>) -> Result<Ack, EngineError> {
        Err(EngineError::Busy("a test hands events back".into()))
    }

    fn read(&self, channel: &ChannelName, _: u64, _: PageLimit) -> Result<Page, EngineError> {
        Ok(Page::Expired { first: self.open(channel)?.last + 1 })
    }

    fn open(&self, channel: &ChannelName) -> Result<Head, EngineError> {
        Ok(Head { name: channel.clone(), epoch: Epoch(1), first: 1, last: 0 })
    }

    fn heads(&self) -> Vec<Head> {
        Vec::new()
    }
}

/// Harm prevented: events of a new epoch were passed over until the client came again.
#[tokio::test]
async fn a_numbering_that_begins_anew_is_told_and_gone_on_with() {
    let engine = Arc::new(Renumbering::default());
    let world = World::on(engine.clone(), LogLimits::default(), |_| {});
    let mut client = session(&world).await;
    subscribe(&mut client, "a").await;
    engine.hand_back(1, [1, 2, 3], "1");
    // On in the same numbering, anew, and with a part that never came.
    engine.hand_back(2, [4], "1");
    engine.hand_back(3, [1, 2], "1");
    engine.hand_back(4, [7, 8], "1");
    let expected =
        ["1", "2", "3", "gap 4-3 epoch_change", "4", "gap 1-0 epoch_change", "1", "2", "gap 3-6 epoch_change"];
    let mut all = story(&mut client, 7).await;
    all.pop();
    assert_eq!(all, expected);
}

#[tokio::test]
async fn who_is_behind_when_the_numbering_begins_anew_is_told_what_is_gone() {
    let engine = Arc::new(Renumbering::default());
    let world = World::on(engine.clone(), LogLimits { channel_bytes: 64 << 20, ..LogLimits::default() }, |_| {});
    let mut client = narrow_session(&world).await;
    subscribe(&mut client, "a").await;
    let large = format!("\"{}\"", "x".repeat(10_000));
    engine.hand_back(1, 1..=200, &large);
    until(async || world.get("/metrics").await.text().contains("headwater_lagging_connections 1")).await;
    engine.hand_back(2, [201], "1");
    let story = story(&mut client, 201).await;
    let got = story.iter().take_while(|word| word.parse::<u64>().is_ok()).count();
    assert!((1..200).contains(&got), "{story:?}");
    // Its drain may have seen before the shard that the log begins at 201 now.
    let fallen = ["lag".into(), format!("gap {}-200 slow_consumer", got + 1), "gap 201-200 epoch_change".into()];
    let told = [format!("gap {}-200 epoch_change", got + 1)];
    let rest = story[got..].strip_suffix(&["201".to_owned()]).unwrap();
    assert!(rest == fallen || rest == told, "{story:?}");
}

/// Harm prevented: a shard that had lost one of its tasks kept its clients, and never sent them anything again.
#[tokio::test]
async fn a_panic_closes_the_clients_of_its_shard_and_the_next_ones_are_served() {
    let world = World::on(Arc::new(MemoryEngine::new(10)), LogLimits::default(), |_| {});
    let (mut bystander, mut culprit) = (session(&world).await, session(&world).await);
    subscribe(&mut bystander, "a").await;
    tell(&mut culprit, &json!({"type": "command", "command": "panic", "request_id": 1})).await;
    for client in [&mut bystander, &mut culprit] {
        let (opcode, payload) = client.frame().await;
        assert_eq!((opcode, &payload[..2]), (8, &1011_u16.to_be_bytes()[..]));
    }
    let mut again = session(&world).await;
    subscribe(&mut again, "a").await;
    publish(&world, vec![draft("a", "1")]);
    assert_eq!(message(&mut again).await["offset"], 1);
    assert!(world.get("/metrics").await.text().contains("headwater_closed_connections_total{code=\"1011\"} 2"));
}
