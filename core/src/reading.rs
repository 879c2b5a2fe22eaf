//! Sources that read the bus: each subscription is a follower of the same logs, filters and positions as any client. It
//! waits where the source is slow, and is told its gap when it falls behind.

use headwater_event::{ChannelPattern, Event};
use headwater_filter::Filter;
use headwater_follow::{Follow, Follower, Followers, Item, Lag, Page, Until};
use headwater_gateway::{filter_of, origin_of};
use headwater_host::{DeliverySink, SinkClosed, SubscriptionHandle};
use headwater_protocol::{LagPolicy, Options, Pace, Reply, Request, Subscribe, dialects};
use headwater_router::Router;
use std::{mem, sync::Arc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// All reading sources.
pub(crate) struct Readers {
    followers: Arc<Followers>,
    router: Arc<Router>,
    tasks: TaskTracker,
}

impl Readers {
    /// Over the followers of a running router; `tasks` owns what runs for the sources.
    pub(crate) fn new(followers: Arc<Followers>, router: Arc<Router>, tasks: TaskTracker) -> Self {
        Self { followers, router, tasks }
    }

    /// Starts a subscription for a source.
    pub(crate) fn subscribe(
        &self,
        source: &str,
        request: &[u8],
        sink: DeliverySink,
    ) -> Result<SubscriptionHandle, String> {
        let (wants_snapshots, Subscribe { channels, refused, filter, start, options, .. }) = decode(request)?;
        if let Some((name, reason)) = refused.first() {
            return Err(format!("channel `{name}`: {reason}"));
        }
        let filter = filter_of(&filter, &options).map_err(|error| error.message)?;
        let wanted = wants_snapshots.then(|| (channels.clone(), filter.clone()));
        let follow = Follow {
            channels,
            filter,
            lag: lag(&options)?,
            from: Box::new(move |name| origin_of(&start, &options, name)),
            until: Until::Forever,
        };
        let follower = self.followers.follow(follow).map_err(|error| error.to_string())?;
        // Behind the follower's beginning: what changes in between comes twice, and nothing is lost.
        let kept = wanted.map(|(channels, filter)| kept(&self.router, &channels, &filter)).unwrap_or_default();
        let cancel = CancellationToken::new();
        let (ending, source) = (cancel.clone(), source.to_owned());
        self.tasks.spawn(async move {
            tokio::select! {
                ended = run(kept, follower, sink) => {
                    tracing::debug!(source, ?ended, "a source's subscription has ended");
                }
                () = ending.cancelled() => {}
            }
        });
        Ok(SubscriptionHandle::new(cancel.drop_guard()))
    }
}

/// A source is handed events as fast as it takes them, so that the options of those who watch have no meaning for it.
fn lag(options: &Options) -> Result<Lag, String> {
    if options.pace != Pace::default() || options.buffer_size.is_some() || !options.priority_events.is_empty() {
        return Err("a source has no use for throttling and buffering; leave these options out".into());
    }
    match options.lag_policy {
        None | Some(LagPolicy::Store) => Ok(Lag::Store),
        Some(LagPolicy::Gap) => Ok(Lag::Gap),
        Some(_) => Err("the `lag_policy` of a source is \"store\" or \"gap\"".into()),
    }
}

/// The retained events of these channels that the filter lets through, each once; those of a channel in their order.
fn kept(router: &Router, channels: &[ChannelPattern], filter: &Filter) -> Vec<Arc<Event>> {
    let mut kept: Vec<Arc<Event>> = channels.iter().flat_map(|pattern| router.snapshot(pattern)).collect();
    kept.retain(|event| filter.matches(event));
    let place = |event: &Arc<Event>| (event.channel.clone(), event.position.offset);
    kept.sort_unstable_by_key(place);
    kept.dedup_by_key(|event| place(event));
    kept
}

async fn run(kept: Vec<Arc<Event>>, mut follower: Follower, sink: DeliverySink) -> Result<(), SinkClosed> {
    sink.deliver(&kept).await?;
    drop(kept);
    while let Some(Page { items }) = follower.next().await {
        let mut events: Vec<Arc<Event>> = Vec::with_capacity(items.len());
        for item in items {
            match item {
                Item::Event(event) => events.push(event),
                Item::Gap(gap) => {
                    sink.deliver(&mem::take(&mut events)).await?;
                    let mut text = Vec::new();
                    dialects::native().reply(&Reply::Gap(gap), &mut text);
                    sink.notice(&text)?;
                }
            }
        }
        sink.deliver(&events).await?;
    }
    Ok(())
}

/// A source writes the body of a native `subscribe` message, without its type; and whether what is retained comes first.
fn decode(request: &[u8]) -> Result<(bool, Subscribe), String> {
    let mut body: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(request).map_err(|error| format!("the request is no JSON object: {error}"))?;
    let snapshots = match body.remove("snapshots") {
        None => false,
        Some(serde_json::Value::Bool(wanted)) => wanted,
        Some(_) => return Err("`snapshots` is true or false".into()),
    };
    body.insert("type".into(), "subscribe".into());
    let text = serde_json::Value::Object(body).to_string();
    match dialects::native().decode(&text, None) {
        Ok(Request::Subscribe(subscribe)) => Ok((snapshots, subscribe)),
        Ok(_) => unreachable!("the type is set to subscribe"),
        Err(error) => Err(error.message),
    }
}
