//! Reading the bus: events that other sources and clients published, in order, with their places.

use crate::{
    event::{Evidence, Position, Severity},
    link::{Link, lock},
    source::Error,
    wire::{Subscribe, Unsubscribe},
};
use headwater_abi::{DeliveryRef, flags};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::{mpsc, watch};

/// How many deliveries wait for the source. When it is full the host holds the rest back in the channel's log, where the
/// subscription is a position; nothing is lost, the source falls behind like any client.
const QUEUE: usize = 256;

/// Room beyond it, for notices alone: a gap that found no place behind the events would be lost, and with it the word
/// that something is missing.
const NOTICES: usize = 64;

/// A running subscription; dropping it ends it.
#[derive(Debug)]
pub struct Subscription {
    number: u64,
    queue: mpsc::Receiver<Delivery>,
    stop: watch::Receiver<bool>,
    link: Arc<Link>,
}

/// What a subscription gives.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// An event.
    Event(BusEvent),
    /// Events that are lost to this subscription: it was too slow, or they have expired.
    Gap(Gap),
    /// Any other message of the native protocol about the subscription: `lag`, `error`, …
    Notice(Value),
}

/// An event of the bus.
#[derive(Clone, Debug)]
pub struct BusEvent {
    /// Where it was published.
    pub channel: String,
    /// What happened.
    pub kind: String,
    /// Its place in the channel. As `from` of another subscription it resumes after this event.
    pub position: Position,
    /// Its id, unique: the key for de-duplication.
    pub id: String,
    /// The source that emitted it; `client` for a client.
    pub source: String,
    /// When it was observed.
    pub time: SystemTime,
    /// The key under which it is kept as a snapshot.
    pub key: Option<String>,
    /// The key whose snapshot it takes away.
    pub forgets: Option<String>,
    /// How bad it is, where the source says so.
    pub severity: Option<Severity>,
    /// How the source knows, where it says so.
    pub evidence: Option<Evidence>,
    /// Flat strings to filter by.
    pub attributes: Vec<(String, String)>,
    /// The data: one JSON value.
    pub json: Box<[u8]>,
}

/// Events that a subscription does not get, from one offset to another, both included.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(crate = "serde")]
pub struct Gap {
    /// The channel.
    pub channel: String,
    /// The first one lost.
    pub from: u64,
    /// The last one lost.
    pub to: u64,
    /// `slow_consumer`, `retention`, `source_drop`, `corruption` or `epoch_change`.
    pub reason: String,
}

impl BusEvent {
    /// The data as a value of the author's.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, Error> {
        Ok(serde_json::from_slice(&self.json)?)
    }

    /// The attribute of this name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    fn copy(delivery: &DeliveryRef<'_>) -> Self {
        let event = &delivery.event;
        let key = |flag| (event.flags & flag != 0).then(|| event.key.to_string());
        Self {
            channel: event.channel.to_string(),
            kind: event.kind.to_string(),
            position: Position { epoch: delivery.epoch, offset: delivery.offset },
            id: delivery.id.to_string(),
            source: delivery.source.to_string(),
            time: UNIX_EPOCH + Duration::from_nanos(u64::try_from(event.time_ns).unwrap_or(0)),
            key: key(flags::RETAIN),
            forgets: key(flags::FORGET),
            severity: Severity::from_flags(event.flags),
            evidence: Evidence::from_flags(event.flags),
            attributes: event.attributes.iter().map(|a| (a.name.to_string(), a.value.to_string())).collect(),
            json: event.payload.as_slice().into(),
        }
    }
}

impl Subscription {
    pub(crate) fn open(link: Arc<Link>, channels: &[&str], request: Value) -> Result<Self, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let request = match request {
            Value::Object(request) => request,
            Value::Null => serde_json::Map::new(),
            _ => return Err("the request of a subscription is a JSON object".into()),
        };
        let number = NEXT.fetch_add(1, Relaxed);
        let (sender, queue) = mpsc::channel(QUEUE + NOTICES);
        // Register before asking: an event between the two would be lost.
        lock(&link.subscriptions).insert(number, sender);
        let subscription = Self { number, queue, stop: link.stop.subscribe(), link };
        let message = Subscribe { subscription: number, channels, request: &request };
        if !subscription.link.subscribe(&message)? {
            return Err(format!("the host does not take a subscription to {}", channels.join(", ")).into());
        }
        Ok(subscription)
    }

    /// The next delivery; `None` once the host asks the source to stop. Cancel-safe: in a `select!` nothing is lost.
    pub async fn next(&mut self) -> Option<Delivery> {
        tokio::select! {
            biased;
            _ = self.stop.wait_for(|stop| *stop) => None,
            delivery = self.queue.recv() => delivery,
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        lock(&self.link.subscriptions).remove(&self.number);
        // Two plain fields: they have a JSON form. A host that has ended the instance takes no message any more.
        let _ = self.link.subscribe(&Unsubscribe { subscription: self.number, unsubscribe: true });
    }
}

/// Takes deliveries from the host: how many of them, from the first on.
pub(crate) fn deliver(link: &Link, deliveries: &[DeliveryRef<'_>]) -> u32 {
    let mut taken = 0;
    for delivery in deliveries {
        // Cloned out of the lock: to wake the source is not to be done under it.
        let queue = lock(&link.subscriptions).get(&delivery.subscription).cloned();
        // Without a queue the source has just given the subscription up: the event is taken and forgotten.
        if let Some(queue) = queue {
            if queue.capacity() <= NOTICES {
                break;
            }
            // Room there is; an error means that the source has given the subscription up.
            let _ = queue.try_send(Delivery::Event(BusEvent::copy(delivery)));
        }
        taken += 1;
    }
    taken
}

/// Takes a notice from the host. `false`: the queue is full.
pub(crate) fn notice(link: &Link, subscription: u64, notice: Value) -> bool {
    let Some(queue) = lock(&link.subscriptions).get(&subscription).cloned() else { return true };
    let delivery = match notice.get("type").and_then(Value::as_str) {
        Some("gap") => Gap::deserialize(&notice).map_or(Delivery::Notice(notice), Delivery::Gap),
        _ => Delivery::Notice(notice),
    };
    !matches!(queue.try_send(delivery), Err(mpsc::error::TrySendError::Full(_)))
}
