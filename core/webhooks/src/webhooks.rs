//! All webhooks: started, and changed while the daemon runs. Who is not touched by a change goes on without noticing it.

use crate::{
    WebhookSpec, WebhookState, WebhookStatus,
    bookmark::{self, Bookmark, Found},
    delivery::Delivery,
    post::Poster,
    secret::Secrets,
    status::Board,
};
use headwater_event::{ChannelName, Draft};
use headwater_follow::{Follow, FollowError, Follower, Followers, From, Lag, Until};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How webhooks publish events of their own (dead letters); `Err` says why it was refused.
pub type Publish = Box<dyn Fn(Draft) -> Result<(), String> + Send + Sync>;

/// What a change of the webhooks came to, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Those that run now and did not before.
    pub started: Vec<String>,
    /// Those that run with another table or secret.
    pub restarted: Vec<String>,
    /// Those that run no more.
    pub stopped: Vec<String>,
    /// Those that should run and cannot, and why. The next change tries them again.
    pub failed: Vec<(String, String)>,
}

/// The webhooks of a daemon. Owned by whoever applies configs; their tasks end with the token they were started with.
pub struct Webhooks {
    followers: Arc<Followers>,
    publish: Arc<Publish>,
    /// Where the positions are kept.
    directory: PathBuf,
    poster: Arc<Poster>,
    tasks: TaskTracker,
    cancel: CancellationToken,
    held: BTreeMap<String, Held>,
    shown: Statuses,
}

/// One webhook of the config.
struct Held {
    spec: WebhookSpec,
    board: Arc<Board>,
    /// While it runs, and after it has ended by itself.
    work: Option<Work>,
}

struct Work {
    secrets: Secrets,
    bookmark: Arc<Bookmark>,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

/// Says how the webhooks are doing. Cheap to clone.
#[derive(Clone, Default)]
pub struct Statuses(Arc<Mutex<Vec<Shown>>>);

struct Shown {
    name: String,
    url: String,
    board: Arc<Board>,
    bookmark: Option<Arc<Bookmark>>,
}

impl Statuses {
    /// All of them, disabled ones too, by name.
    pub fn read(&self) -> Vec<WebhookStatus> {
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let status = |one: &Shown| {
            let progress = one.board.read();
            WebhookStatus {
                name: one.name.clone(),
                url: one.url.clone(),
                state: progress.state,
                counts: progress.counts,
                last_success: progress.last_success,
                last_error: progress.last_error,
                positions: one.bookmark.as_ref().map(|bookmark| bookmark.positions()).unwrap_or_default(),
            }
        };
        shown.iter().map(status).collect()
    }
}

impl Webhooks {
    /// None yet; [`Webhooks::apply`] brings them. Positions are kept in `directory`, one file each; `tasks` gets the tasks,
    /// which end when `cancel` does: within two seconds, with their positions written.
    pub fn start(
        followers: Arc<Followers>,
        publish: Publish,
        directory: PathBuf,
        tasks: TaskTracker,
        cancel: CancellationToken,
    ) -> Self {
        let (publish, poster) = (Arc::new(publish), Arc::default());
        Self { followers, publish, directory, poster, tasks, cancel, held: BTreeMap::new(), shown: Statuses::default() }
    }

    /// Says how they are doing, also after later changes.
    pub fn statuses(&self) -> Statuses {
        self.shown.clone()
    }

    /// Makes these the webhooks. One that has not changed goes on undisturbed; one whose secret reads otherwise than before
    /// has changed. A post under way has two seconds to end.
    pub async fn apply(&mut self, specs: Vec<WebhookSpec>) -> Applied {
        let mut applied = Applied::default();
        let wanted: BTreeMap<String, (WebhookSpec, Result<Secrets, String>)> = specs
            .into_iter()
            .map(|spec| {
                // A disabled one needs none.
                let secrets = spec.secret.read().map_err(|error| error.to_string());
                (spec.name.clone(), (spec, secrets))
            })
            .collect();
        let ended = self.end_all_but(&wanted).await;
        self.held.retain(|name, _| wanted.contains_key(name));
        for (name, (spec, secrets)) in wanted {
            if self.held.get(&name).is_some_and(|held| held.work.is_some()) {
                continue;
            }
            let held = self.held.remove(&name);
            let board = held.map_or_else(|| Arc::new(Board::new(WebhookState::Disabled)), |held| held.board);
            let work = if spec.enabled {
                match secrets.and_then(|secrets| self.begin(&spec, secrets, &board)) {
                    Ok(work) => {
                        let list = if ended.contains(&name) { &mut applied.restarted } else { &mut applied.started };
                        list.push(name.clone());
                        Some(work)
                    }
                    Err(reason) => {
                        tracing::error!(webhook = name, reason, "the webhook cannot run");
                        board.is(WebhookState::Failed(reason.clone()));
                        applied.failed.push((name.clone(), reason));
                        None
                    }
                }
            } else {
                board.is(WebhookState::Disabled);
                None
            };
            self.held.insert(name, Held { spec, board, work });
        }
        applied.stopped = ended;
        applied.stopped.retain(|name| !applied.restarted.contains(name));
        self.show();
        applied
    }

    /// Ends those that are not wanted as they run, and waits for them: two at once would send everything twice, and the
    /// later would not know how far the earlier came.
    async fn end_all_but(&mut self, wanted: &BTreeMap<String, (WebhookSpec, Result<Secrets, String>)>) -> Vec<String> {
        let mut ended = Vec::new();
        let mut tasks = Vec::new();
        for (name, held) in &mut self.held {
            let Some(work) = &held.work else { continue };
            // One that has panicked is begun anew.
            let died = work.task.is_finished() && held.board.read().state != WebhookState::Gone;
            let same = wanted.get(name).is_some_and(|(spec, secrets)| {
                // A secret that cannot be read just now is no reason to end: the one that was read still signs.
                *spec == held.spec && secrets.as_ref().map_or(true, |secrets| *secrets == work.secrets)
            });
            if same && !died {
                continue;
            }
            work.cancel.cancel();
            ended.push(name.clone());
            tasks.extend(held.work.take().map(|work| work.task));
        }
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a webhook's task has panicked");
            }
        }
        ended
    }

    fn begin(&self, spec: &WebhookSpec, secrets: Secrets, board: &Arc<Board>) -> Result<Work, String> {
        let found = bookmark::find(&self.directory, &spec.name);
        let positions = found.as_ref().map(|found| found.positions.clone()).unwrap_or_default();
        // Of other channels nothing is known any more when they come back.
        let ours = |channel: &ChannelName| spec.channels.iter().any(|pattern| pattern.matches(channel.as_str()));
        let positions: BTreeMap<_, _> = positions.into_iter().filter(|(channel, _)| ours(channel)).collect();
        let bookmark = Arc::new(Bookmark::new(&self.directory, &spec.name, &spec.channels, positions));
        let follower = self.follow(spec, found)?;
        board.is(WebhookState::Sending);
        let cancel = self.cancel.child_token();
        let delivery = Delivery {
            spec: spec.clone(),
            secrets: secrets.clone(),
            poster: self.poster.clone(),
            bookmark: bookmark.clone(),
            board: board.clone(),
            publish: self.publish.clone(),
            cancel: cancel.clone(),
        };
        let task = self.tasks.spawn(delivery.run(follower));
        Ok(Work { secrets, bookmark, cancel, task })
    }

    fn follow(&self, spec: &WebhookSpec, found: Option<Found>) -> Result<Follower, String> {
        let found = found.map(Arc::new);
        // Channels whose position nobody can have: the history was replaced by an older one.
        let mut ahead = BTreeSet::new();
        loop {
            let (found, beyond) = (found.clone(), ahead.clone());
            let from = move |channel: &ChannelName| match found.as_deref() {
                _ if beyond.contains(channel) => From::Earliest,
                found => start(channel, found),
            };
            let (channels, filter, from) = (spec.channels.clone(), spec.filter.clone(), Box::new(from));
            let follow = Follow { channels, filter, from, lag: Lag::Store, until: Until::Forever };
            match self.followers.follow(follow) {
                Err(FollowError::Ahead { channel, head }) if ahead.insert(channel.clone()) => {
                    tracing::warn!(
                        webhook = spec.name, %channel, head,
                        "the webhook has come further than the history goes; everything that is kept is sent again"
                    );
                }
                follower => return follower.map_err(|error| error.to_string()),
            }
        }
    }

    fn show(&self) {
        let shown = self.held.iter().map(|(name, held)| Shown {
            name: name.clone(),
            url: held.spec.endpoint.to_string(),
            board: held.board.clone(),
            bookmark: held.work.as_ref().map(|work| work.bookmark.clone()),
        });
        *self.shown.0.lock().unwrap_or_else(PoisonError::into_inner) = shown.collect();
    }
}

/// Where a channel is read from. One that comes to be while the webhook runs is read from its first event in any case.
fn start(channel: &ChannelName, found: Option<&Found>) -> From {
    match found {
        // The first start ever: what was before is nobody's request.
        None => From::Latest,
        // How far it came is lost; rather twice than never.
        Some(Found { damaged: true, .. }) => From::Earliest,
        Some(found) => match found.positions.get(channel) {
            Some(position) => From::After(*position),
            // It has come since; or the config asks for it only now.
            None if found.patterns.iter().any(|pattern| pattern.matches(channel.as_str())) => From::Earliest,
            None => From::Latest,
        },
    }
}
