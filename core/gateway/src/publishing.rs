//! From items to the router, each key once: an item whose idempotency key was published a short while ago is not published
//! again, and is answered with the position that it got then. Used by every way in: HTTP, WebSocket, the unix socket.

use futures_util::future::{FutureExt, Shared};
use headwater_event::{ChannelName, Draft, Position};
use headwater_router::{Ack, Outcome, Router, RouterError};
use std::{
    collections::{HashMap, VecDeque},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// How long a key is remembered: long enough for a publisher that lost its answer to come back and ask again.
const MEMORY: Duration = Duration::from_mins(2);
/// The most keys that are remembered; beyond, the oldest are forgotten early. A key costs about 200 bytes.
const MAX_KEYS: usize = 100_000;

/// Hands items to the router.
pub(crate) struct Publisher {
    router: Arc<Router>,
    recent: Mutex<Recent>,
    refused: AtomicU64,
}

/// The answer to a publish: one position for each item, in their order.
pub(crate) enum Published {
    /// No item had a key.
    Plain(Ack),
    /// Some had; a few may have been published by an earlier call.
    Keyed(Pin<Box<dyn Future<Output = Outcome> + Send>>),
}

/// An item's key, in its channel: two publishers that know nothing of each other mostly have channels of their own.
type Key = (ChannelName, Box<str>);

/// Where the position of one item comes from.
#[derive(Clone)]
struct Share {
    /// Of the call that published it.
    outcome: Shared<Ack>,
    /// Its place in that call.
    index: usize,
}

/// The keys of the last two minutes.
#[derive(Default)]
struct Recent {
    shares: HashMap<Key, (Instant, Share)>,
    /// Oldest first.
    order: VecDeque<(Instant, Key)>,
}

impl Publisher {
    /// Over this router, with no key remembered.
    pub(crate) fn new(router: Arc<Router>) -> Self {
        Self { router, recent: Mutex::default(), refused: AtomicU64::new(0) }
    }

    /// Publishes the items that have not been published before, all or none of them.
    pub(crate) fn publish(&self, items: Vec<Draft>) -> Result<Published, RouterError> {
        let keyed = items.iter().any(|item| item.idempotency_key.is_some());
        if keyed { self.publish_keyed(items, Instant::now()) } else { self.hand_over(items).map(Published::Plain) }
    }

    /// How many items of clients the router has refused. Those of sources are counted where they come in.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    fn hand_over(&self, items: Vec<Draft>) -> Result<Ack, RouterError> {
        let count = items.len() as u64;
        self.router.publish(items).inspect_err(|_| {
            self.refused.fetch_add(count, Relaxed);
        })
    }

    fn publish_keyed(&self, items: Vec<Draft>, now: Instant) -> Result<Published, RouterError> {
        // Held until the router has them: of two calls with the same key the second must find the first.
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.forget(now);
        let mut drafts: Vec<Draft> = Vec::with_capacity(items.len());
        let mut shares: Vec<Result<Share, usize>> = Vec::with_capacity(items.len());
        let mut new: HashMap<Key, usize> = HashMap::new();
        for item in items {
            let key = item.idempotency_key.as_deref().map(|key| (item.channel.clone(), Box::from(key)));
            let before = key.as_ref().and_then(|key| recent.find(key));
            let index = drafts.len();
            match (before, key) {
                (Some(share), _) => shares.push(Ok(share)),
                (None, Some(key)) if new.contains_key(&key) => shares.push(Err(new[&key])),
                (None, key) => {
                    new.extend(key.map(|key| (key, index)));
                    shares.push(Err(index));
                    drafts.push(item);
                }
            }
        }
        let ack = if drafts.is_empty() { Ack::ready(Ok(Vec::new())) } else { self.hand_over(drafts)? };
        let outcome = ack.shared();
        for (key, index) in new {
            recent.remember(key, now, Share { outcome: outcome.clone(), index });
        }
        let shares: Vec<Share> = shares
            .into_iter()
            .map(|share| share.unwrap_or_else(|index| Share { outcome: outcome.clone(), index }))
            .collect();
        Ok(Published::Keyed(Box::pin(async move {
            let mut positions: Vec<Position> = Vec::with_capacity(shares.len());
            for share in shares {
                let of_its_call = share.outcome.await?;
                positions.push(*of_its_call.get(share.index).expect("invariant: an ack has a position for each draft"));
            }
            Ok(positions)
        })))
    }
}

impl Recent {
    /// The share of an earlier call, unless that call is known to have failed: then the item may be tried anew.
    fn find(&self, key: &Key) -> Option<Share> {
        let (_, share) = self.shares.get(key)?;
        // Asked, not looked at: the answer of a call for which nobody waited any more stands unread.
        let failed = matches!(share.outcome.clone().now_or_never(), Some(Err(_)));
        (!failed).then(|| share.clone())
    }

    fn remember(&mut self, key: Key, now: Instant, share: Share) {
        self.shares.insert(key.clone(), (now, share));
        self.order.push_back((now, key));
        while self.order.len() > MAX_KEYS {
            self.drop_oldest();
        }
    }

    fn forget(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(since, _)| now.duration_since(*since) >= MEMORY) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some((since, key)) = self.order.pop_front() else { return };
        // A key that failed and was tried anew stands there twice; the later one counts.
        if self.shares.get(&key).is_some_and(|(remembered, ..)| *remembered == since) {
            self.shares.remove(&key);
        }
    }
}

impl Published {
    /// The outcome if it is known already; otherwise the same again, to be awaited.
    pub(crate) fn try_now(self) -> Result<Outcome, Self> {
        match self {
            Self::Plain(ack) => ack.try_now().map_err(Self::Plain),
            keyed @ Self::Keyed(_) => Err(keyed),
        }
    }
}

impl Future for Published {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        match &mut *self {
            Self::Plain(ack) => Pin::new(ack).poll(context),
            Self::Keyed(keyed) => keyed.as_mut().poll(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_engine::{EngineError, MemoryEngine};
    use headwater_protocol::publish::decode_item;
    use headwater_router::LogLimits;

    fn publisher(channels: usize) -> Publisher {
        Publisher::new(Router::new(Arc::new(MemoryEngine::new(channels)), LogLimits::default()))
    }

    fn item(channel: &str, key: Option<&str>) -> Draft {
        let key = key.map_or(String::new(), |key| format!(r#","idempotency_key":"{key}""#));
        decode_item(format!(r#"{{"channel":"{channel}","type":"t"{key}}}"#).as_bytes()).unwrap()
    }

    async fn offsets(publisher: &Publisher, items: Vec<Draft>, now: Instant) -> Vec<u64> {
        let published = publisher.publish_keyed(items, now).unwrap();
        published.await.unwrap().iter().map(|position| position.offset).collect()
    }

    /// Harm prevented: a publisher whose answer was lost sends again, and every reader sees the event twice.
    #[tokio::test]
    async fn a_key_is_published_once_and_answered_alike() {
        let (publisher, now) = (publisher(10), Instant::now());
        let call = || vec![item("a", Some("1")), item("a", None), item("a", Some("2")), item("a", Some("1"))];
        assert_eq!(offsets(&publisher, call(), now).await, [1, 2, 3, 1]);
        assert_eq!(offsets(&publisher, call(), now).await, [1, 4, 3, 1], "only what has no key is new");
        assert_eq!(offsets(&publisher, vec![item("b", Some("1"))], now).await, [1], "a key is its channel's");
        assert_eq!(publisher.router.log("a").unwrap().head(), 4);
    }

    #[tokio::test]
    async fn a_key_is_forgotten_after_its_time_and_not_before() {
        let (publisher, now) = (publisher(10), Instant::now());
        assert_eq!(offsets(&publisher, vec![item("a", Some("1"))], now).await, [1]);
        let almost = now + MEMORY.saturating_sub(Duration::from_millis(1));
        assert_eq!(offsets(&publisher, vec![item("a", Some("1"))], almost).await, [1]);
        assert_eq!(offsets(&publisher, vec![item("a", Some("1"))], now + MEMORY).await, [2]);
        let recent = publisher.recent.lock().unwrap();
        assert_eq!((recent.shares.len(), recent.order.len()), (1, 1), "what is forgotten is not held");
    }

    #[tokio::test]
    async fn what_was_refused_may_be_tried_again() {
        let (publisher, now) = (publisher(1), Instant::now());
        let both = vec![item("a", Some("1")), item("b", Some("1"))];
        assert!(publisher.publish_keyed(both, now).is_err(), "one channel too many");
        assert_eq!(offsets(&publisher, vec![item("a", Some("1"))], now).await, [1], "nothing of it was remembered");
        assert_eq!(publisher.refused(), 2, "and both are counted");
        assert!(publisher.publish(vec![item("b", None)]).is_err());
        assert_eq!(publisher.refused(), 3);
        publisher.router.publish(vec![item("b", None)]).unwrap_err();
        assert_eq!(publisher.refused(), 3, "what comes from elsewhere is counted there");
    }

    /// Harm prevented: a publisher that hangs up before its call fails comes back, and is refused with the old failure
    /// though its events could be taken now.
    #[tokio::test]
    async fn what_failed_unheard_may_be_tried_again() {
        let (publisher, now) = (publisher(10), Instant::now());
        let failed = Ack::ready(Err(EngineError::Down("the disk is full".into()))).shared();
        let key = (ChannelName::new("a").unwrap(), "1".into());
        publisher.recent.lock().unwrap().remember(key, now, Share { outcome: failed, index: 0 });
        assert_eq!(offsets(&publisher, vec![item("a", Some("1"))], now).await, [1]);
    }

    #[tokio::test]
    async fn without_keys_nothing_is_remembered() {
        let publisher = publisher(1);
        let published = publisher.publish(vec![item("a", None)]).unwrap();
        assert!(matches!(published.try_now(), Ok(Ok(positions)) if positions.len() == 1));
        assert!(publisher.recent.lock().unwrap().shares.is_empty());
    }
}
