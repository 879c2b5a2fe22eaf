//! Sources that read the bus: each subscription is a task with a cursor per channel, over the same logs, filters and
//! positions as any client. It waits where the source is slow, and is told its gap when it falls off a log.

use headwater_event::{ChannelName, ChannelPattern, Event, Gap, GapReason, Position};
use headwater_filter::Filter;
use headwater_gateway::{filter_of, origin_of};
use headwater_host::{DeliverySink, SinkClosed, SubscriptionHandle};
use headwater_protocol::{Dialect, Reply, Request, Subscribe, dialects};
use headwater_router::{Attach, ChannelLog, From as Origin, Inbox, Read, ReadLimit, Router, Taken};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What one delivery to a source may hold.
const PAGE: ReadLimit = ReadLimit { events: 256, bytes: 256 * 1024 };

/// All reading sources.
pub(crate) struct Readers {
    inbox: Inbox,
    router: Arc<Router>,
    /// Channels that have had an event since somebody watched, to be met by globs. Bounded by the router's channels.
    met: Mutex<HashMap<ChannelName, Arc<ChannelLog>>>,
    /// Rises whenever there is something new.
    news: watch::Sender<u64>,
    tasks: TaskTracker,
}

impl Readers {
    /// Over a running router; its task ends with `cancel`.
    pub(crate) fn start(router: &Arc<Router>, tasks: &TaskTracker, cancel: CancellationToken) -> Arc<Self> {
        let woken = Arc::new(Notify::new());
        let wake = woken.clone();
        let inbox = router.shard(Box::new(move || wake.notify_one()));
        let (news, _) = watch::channel(0);
        let readers = Arc::new(Self { inbox, router: router.clone(), met: Mutex::default(), news, tasks: tasks.clone() });
        let (hub, router) = (readers.clone(), router.clone());
        tasks.spawn(async move {
            let mut events = Vec::new();
            loop {
                tokio::select! {
                    () = woken.notified() => hub.take(&router, &mut events),
                    () = cancel.cancelled() => return,
                }
            }
        });
        readers
    }

    /// The inbox only tells that there is news; the events themselves are read from the logs.
    fn take(&self, router: &Router, events: &mut Vec<Arc<Event>>) {
        let overflowed = self.inbox.take(events) == Taken::Overflowed;
        {
            let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
            let names = events.iter().map(|event| event.channel.clone());
            // After an overflow any channel may be new; one without an event may yet be forgotten and made again.
            let all = if overflowed { router.channels() } else { Vec::new() };
            let all = all.into_iter().filter(|info| info.head > 0).map(|info| info.channel);
            for name in names.chain(all) {
                if !met.contains_key(name.as_str())
                    && let Some(log) = router.log(name.as_str())
                {
                    met.insert(name, log);
                }
            }
        }
        events.clear();
        self.news.send_modify(|count| *count += 1);
    }

    /// Starts a subscription for a source.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        source: &str,
        request: &[u8],
        sink: DeliverySink,
    ) -> Result<SubscriptionHandle, String> {
        let subscribe = decode(request)?;
        if let Some((name, reason)) = subscribe.refused.first() {
            return Err(format!("channel `{name}`: {reason}"));
        }
        let news = self.news.subscribe();
        let mut reader = Reader {
            filter: filter_of(&subscribe.filter, &subscribe.options).map_err(|error| error.message)?,
            cursors: Vec::new(),
            readers: self.clone(),
            router: self.router.clone(),
            watched: Vec::new(),
            dialect: dialects::native(),
            sink,
        };
        let mut notices = Vec::new();
        for pattern in &subscribe.channels {
            let logs = self.inbox.watch(pattern).map_err(|error| error.to_string())?;
            reader.watched.push(pattern.clone());
            for log in logs {
                let origin = origin_of(&subscribe.start, &subscribe.options, log.name());
                reader.attach(log, &origin, &mut notices)?;
            }
        }
        let cancel = CancellationToken::new();
        let (ending, source) = (cancel.clone(), source.to_owned());
        self.tasks.spawn(async move {
            tokio::select! {
                ended = reader.run(notices, news) => {
                    tracing::debug!(source, ?ended, "a source's subscription has ended");
                }
                () = ending.cancelled() => {}
            }
        });
        Ok(SubscriptionHandle::new(cancel.drop_guard()))
    }
}

/// One subscription of one source.
struct Reader {
    filter: Filter,
    cursors: Vec<(Arc<ChannelLog>, u64)>,
    readers: Arc<Readers>,
    router: Arc<Router>,
    watched: Vec<ChannelPattern>,
    dialect: &'static dyn Dialect,
    sink: DeliverySink,
}

impl Reader {
    fn attach(
        &mut self,
        log: Arc<ChannelLog>,
        origin: &Origin,
        notices: &mut Vec<Reply<'static>>,
    ) -> Result<(), String> {
        if self.cursors.iter().any(|(known, _)| known.name() == log.name()) {
            return Ok(());
        }
        let next = match self.router.attach(&log, origin).map_err(|error| error.to_string())? {
            Attach::At(next) => next,
            Attach::Ahead { head } => {
                return Err(format!("the position is ahead of channel `{}`, which stands at {head}", log.name()));
            }
            Attach::Gap { next, gap } => {
                notices.push(Reply::Gap(gap));
                next
            }
        };
        self.cursors.push((log, next));
        Ok(())
    }

    async fn run(mut self, notices: Vec<Reply<'static>>, mut news: watch::Receiver<u64>) -> Result<(), SinkClosed> {
        for notice in &notices {
            self.notice(notice)?;
        }
        loop {
            // Marked as seen before reading: what comes meanwhile wakes again.
            news.mark_unchanged();
            self.meet();
            while self.page().await? {}
            if news.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    /// Channels that appeared since: read from their first event.
    fn meet(&mut self) {
        let met = self.readers.met.lock().unwrap_or_else(PoisonError::into_inner);
        if self.watched.iter().all(|pattern| matches!(pattern, ChannelPattern::Exact(_))) {
            return;
        }
        let fits = |log: &&Arc<ChannelLog>| self.watched.iter().any(|pattern| pattern.matches(log.name().as_str()));
        for log in met.values().filter(fits) {
            if !self.cursors.iter().any(|(known, _)| known.name() == log.name()) {
                self.cursors.push((log.clone(), 1));
            }
        }
    }

    /// One page from each channel that has news. `false`: there was none.
    async fn page(&mut self) -> Result<bool, SinkClosed> {
        let mut any = false;
        for index in 0..self.cursors.len() {
            let mut events = Vec::new();
            let (log, next) = &mut self.cursors[index];
            match log.read(*next, PAGE, &mut events) {
                Read::Ok { next: after } => *next = after,
                Read::Behind { tail } => {
                    let from = Position { epoch: log.epoch(), offset: *next };
                    let channel = log.name().clone();
                    *next = tail;
                    any = true;
                    self.notice(&Reply::Gap(Gap { channel, from, to: tail - 1, reason: GapReason::SlowConsumer }))?;
                    continue;
                }
            }
            any |= !events.is_empty();
            events.retain(|event| self.filter.matches(event));
            if !events.is_empty() {
                self.sink.deliver(&events).await?;
            }
        }
        Ok(any)
    }

    fn notice(&self, reply: &Reply<'_>) -> Result<(), SinkClosed> {
        let mut text = Vec::new();
        self.dialect.reply(reply, &mut text);
        self.sink.notice(&text)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        for pattern in &self.watched {
            self.readers.inbox.unwatch(pattern);
        }
    }
}

/// A source writes the body of a native `subscribe` message, without its type.
fn decode(request: &[u8]) -> Result<Subscribe, String> {
    let mut body: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(request).map_err(|error| format!("the request is no JSON object: {error}"))?;
    body.insert("type".into(), "subscribe".into());
    let text = serde_json::Value::Object(body).to_string();
    match dialects::native().decode(&text) {
        Ok(Request::Subscribe(subscribe)) => Ok(subscribe),
        Ok(_) => unreachable!("the type is set to subscribe"),
        Err(error) => Err(error.message),
    }
}
