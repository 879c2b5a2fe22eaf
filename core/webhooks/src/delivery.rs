//! One webhook at work: reads events, posts each until it is taken, and remembers how far it has come.
//!
//! There is no queue: while an endpoint is away, what it will get stays in the logs and the history. A page of events is
//! all that is held.

use crate::{
    WebhookSpec, WebhookState,
    bookmark::Bookmark,
    letter::{Kind, Letter, announcement, letter},
    post::{Failure, Post, Poster, Verdict},
    secret::Secrets,
    status::Board,
    webhooks::Publish,
};
use futures_util::{StreamExt, future::ready, stream};
use headwater_event::{ChannelName, Timestamp};
use headwater_follow::{Follower, Item};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// The time a post under way has to end when the webhook ends. What it leaves open is sent again at the next start.
const GRACE: Duration = Duration::from_secs(2);

/// How often what the filter leaves out is counted as read, while nothing is to be posted.
const LOOK: Duration = Duration::from_secs(1);

/// The channel of the daemon's own events.
const SYSTEM_EVENTS: &str = "system_events";

/// What one webhook works with.
pub(crate) struct Delivery {
    pub(crate) spec: WebhookSpec,
    pub(crate) secrets: Secrets,
    pub(crate) poster: Arc<Poster>,
    pub(crate) bookmark: Arc<Bookmark>,
    pub(crate) board: Arc<Board>,
    pub(crate) publish: Arc<Publish>,
    /// Ends it.
    pub(crate) cancel: CancellationToken,
}

/// Why no more is sent.
struct Ended;

impl Delivery {
    /// Until it is cancelled, or the endpoint says that it is gone.
    pub(crate) async fn run(self, mut follower: Follower) {
        self.given(&follower);
        self.bookmark.flush().await;
        let sending = async {
            loop {
                let page = tokio::select! {
                    biased;
                    () = self.cancel.cancelled() => break,
                    page = follower.next() => page,
                    () = tokio::time::sleep(LOOK) => {
                        self.given(&follower);
                        continue;
                    }
                };
                let Some(page) = page else { break };
                if self.page(page.items).await.is_err() {
                    return;
                }
                self.given(&follower);
            }
            self.given(&follower);
        };
        tokio::select! {
            biased;
            () = self.overdue() => {}
            () = sending => {}
            never = self.bookmark.keep() => match never {},
        }
        self.bookmark.flush().await;
        self.board.write(|progress| {
            if progress.state != WebhookState::Gone {
                progress.state = WebhookState::Stopped;
            }
        });
    }

    /// Everything that was read is posted, and what was read and left out by the filter counts too: a webhook that wants
    /// one event a month would go through that month again after a restart, and be told of a gap where it had seen all.
    fn given(&self, follower: &Follower) {
        self.bookmark.reached_all(follower.positions());
    }

    /// Cancelled, and the time that a post under way had is over.
    async fn overdue(&self) {
        self.cancel.cancelled().await;
        tokio::time::sleep(GRACE).await;
    }

    /// Posts a page: one after the other, or, where the config allows it, several channels at the same time.
    async fn page(&self, items: Vec<Item>) -> Result<(), Ended> {
        let lanes = if self.spec.concurrency > 1 { by_channel(items) } else { vec![items] };
        let lanes = stream::iter(lanes).map(|lane| async move {
            for letter in lane.iter().filter_map(|item| letter(item, &self.spec.name)) {
                self.send(&letter).await?;
            }
            Ok(())
        });
        // All to their end: one that is cancelled ends by itself.
        lanes.buffer_unordered(self.spec.concurrency.max(1)).fold(Ok(()), |all, lane| ready(all.and(lane))).await
    }

    /// Posts until it is taken or has been tried often enough.
    async fn send(&self, letter: &Letter) -> Result<(), Ended> {
        let mut failed = 0;
        loop {
            if self.cancel.is_cancelled() {
                return Err(Ended);
            }
            let (endpoint, secrets, timeout) = (&self.spec.endpoint, &self.secrets, self.spec.timeout);
            let post = Post { endpoint, secrets, id: &letter.id, body: letter.body.clone(), timeout };
            let failure = match self.poster.post(post).await {
                Verdict::Taken => {
                    self.taken(letter, failed);
                    return Ok(());
                }
                Verdict::Gone => {
                    self.gone(letter);
                    return Err(Ended);
                }
                Verdict::Failed(failure) => failure,
            };
            failed += 1;
            let pause = self.spec.backoff.pause(failed, failure.pause);
            if failed >= self.spec.attempts && self.give_up(letter, failed, &failure) {
                return Ok(());
            }
            self.failed(letter, failed, pause, &failure);
            self.bookmark.flush().await;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.cancel.cancelled() => return Err(Ended),
            }
        }
    }

    fn taken(&self, letter: &Letter, failed: u32) {
        self.bookmark.reached(&letter.channel, letter.reached);
        self.board.write(|progress| {
            match letter.kind {
                Kind::Gap => progress.counts.gaps += 1,
                Kind::Event | Kind::DeadLetter => progress.counts.delivered += 1,
            }
            progress.last_success = Some(Timestamp::now());
            progress.state = WebhookState::Sending;
        });
        if failed > 0 {
            tracing::info!(webhook = self.spec.name, failed, "the endpoint takes events again");
        }
    }

    fn failed(&self, letter: &Letter, failed: u32, pause: Duration, failure: &Failure) {
        let next = Timestamp(Timestamp::now().0.saturating_add(pause.as_nanos() as i64));
        self.board.write(|progress| {
            progress.counts.failures += 1;
            progress.last_error = Some(failure.reason.clone());
            progress.state = WebhookState::Retrying { failed, next };
        });
        // The first is news; the others are in the status.
        if failed == 1 {
            tracing::warn!(
                webhook = self.spec.name, url = %self.spec.endpoint, id = letter.id, reason = failure.reason,
                "an event could not be posted; it is tried again"
            );
        }
    }

    /// Puts a letter where people look for those that were not taken. Whether that succeeded: if not, nothing is lost, and
    /// it is tried again.
    fn give_up(&self, letter: &Letter, attempts: u32, failure: &Failure) -> bool {
        let (name, endpoint, channel) = (&self.spec.name, &self.spec.endpoint, &self.spec.dead_letter);
        // A dead letter is an event of its channel already; wrapped in another, two webhooks that read each other's would
        // wrap for ever.
        if letter.kind != Kind::DeadLetter {
            let draft = letter.dead(name, endpoint, channel, attempts, failure);
            if let Err(error) = (self.publish)(draft) {
                tracing::error!(webhook = name, %channel, error, "no dead letter can be published; the post is tried again");
                return false;
            }
        }
        self.bookmark.reached(&letter.channel, letter.reached);
        self.board.write(|progress| {
            progress.counts.failures += 1;
            progress.counts.dead_letters += 1;
            progress.last_error = Some(failure.reason.clone());
            progress.state = WebhookState::Sending;
        });
        tracing::error!(
            webhook = name, url = %endpoint, id = letter.id, attempts, reason = failure.reason, %channel,
            "the endpoint did not take an event; it is in the dead-letter channel"
        );
        true
    }

    fn gone(&self, letter: &Letter) {
        self.cancel.cancel();
        let (name, url) = (&self.spec.name, self.spec.endpoint.to_string());
        self.board.write(|progress| {
            progress.counts.failures += 1;
            progress.last_error = Some("it answered 410 Gone".to_owned());
            progress.state = WebhookState::Gone;
        });
        tracing::error!(
            webhook = name,
            url,
            "the endpoint answered 410 Gone; it gets no more events until its table changes"
        );
        let channel = ChannelName::new(SYSTEM_EVENTS).expect("the name is well formed");
        let reason = "the endpoint answered 410 Gone";
        let data = json!({"webhook": name, "url": url, "reason": reason, "message_id": letter.id});
        if let Err(error) = (self.publish)(announcement(channel, "webhook.disabled", &data)) {
            tracing::warn!(webhook = name, error, "cannot publish that the webhook is disabled");
        }
    }
}

/// The items of each channel, in order.
fn by_channel(items: Vec<Item>) -> Vec<Vec<Item>> {
    let mut lanes: BTreeMap<ChannelName, Vec<Item>> = BTreeMap::new();
    for item in items {
        let channel = match &item {
            Item::Event(event) => &event.channel,
            Item::Gap(gap) => &gap.channel,
        };
        match lanes.get_mut(channel) {
            Some(lane) => lane.push(item),
            None => drop(lanes.insert(channel.clone(), vec![item])),
        }
    }
    lanes.into_values().collect()
}
