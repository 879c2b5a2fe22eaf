//! A bus with webhooks.

use crate::receiver::{PATIENCE, Receiver};
use headwater_engine::MemoryEngine;
use headwater_event::{ChannelName, ChannelPattern, Draft, Payload};
use headwater_filter::Filter;
use headwater_follow::Followers;
use headwater_router::{LogLimits, Router};
use headwater_webhooks::{
    Applied, Backoff, Endpoint, SecretSource, WebhookSpec, WebhookState, WebhookStatus, Webhooks,
};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The base64 of 32 bytes.
pub(crate) const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD4YB2KcCF5rE=";

/// A bus and a directory, which outlive the webhooks.
pub(crate) struct World {
    pub(crate) router: Arc<Router>,
    pub(crate) dir: tempfile::TempDir,
    /// How many of the next publications of webhooks are refused.
    pub(crate) refuse: Arc<AtomicUsize>,
}

/// Webhooks that run.
pub(crate) struct Hooks {
    pub(crate) webhooks: Webhooks,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(LogLimits::default())
    }

    pub(crate) fn with(limits: LogLimits) -> Self {
        let router = Router::new(Arc::new(MemoryEngine::new(1_000)), limits);
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("secret"), SECRET).unwrap();
        Self { router, dir, refuse: Arc::default() }
    }

    /// Starts the webhooks, as a daemon does.
    pub(crate) async fn hooks(&self, specs: impl IntoIterator<Item = WebhookSpec>) -> Hooks {
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let followers = Followers::start(&self.router, &tasks, cancel.child_token());
        let (router, refuse) = (self.router.clone(), self.refuse.clone());
        let publish = move |draft: Draft| {
            if refuse.try_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                return Err("the disk is full".to_owned());
            }
            router.publish(vec![draft]).map(drop).map_err(|error| error.to_string())
        };
        let webhooks = Webhooks::start(followers, Box::new(publish), self.state(), tasks.clone(), cancel.child_token());
        let mut hooks = Hooks { webhooks, tasks, cancel };
        let applied = hooks.apply(specs).await;
        assert_eq!(applied.failed, []);
        hooks
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("webhooks")
    }

    pub(crate) fn publish(&self, channel: &str, n: u64) {
        self.publish_as(channel, "count", n);
    }

    pub(crate) fn publish_as(&self, channel: &str, kind: &str, n: u64) {
        let data = Payload::new(json!({"n": n}).to_string().into()).unwrap();
        let draft = Draft::new(ChannelName::new(channel).unwrap(), kind, "test", data);
        self.router.publish(vec![draft]).unwrap();
    }

    /// A webhook of these channels; quick to repeat.
    pub(crate) fn hook(&self, name: &str, channels: &[&str], receiver: &Receiver) -> WebhookSpec {
        WebhookSpec {
            name: name.to_owned(),
            endpoint: Endpoint::parse(&format!("http://{}/hook?token=hunter2", receiver.address())).unwrap(),
            channels: channels.iter().map(|pattern| ChannelPattern::parse(pattern).unwrap()).collect(),
            filter: Filter::default(),
            secret: SecretSource::File(self.dir.path().join("secret")),
            enabled: true,
            timeout: PATIENCE,
            attempts: 3,
            backoff: Backoff { min: Duration::from_millis(1), max: Duration::from_secs(5) },
            dead_letter: ChannelName::new("webhooks.dead_letter").unwrap(),
            concurrency: 1,
        }
    }
}

impl Hooks {
    pub(crate) async fn apply(&mut self, specs: impl IntoIterator<Item = WebhookSpec>) -> Applied {
        self.webhooks.apply(specs.into_iter().collect()).await
    }

    pub(crate) fn status(&self, name: &str) -> WebhookStatus {
        self.webhooks.statuses().read().into_iter().find(|status| status.name == name).unwrap()
    }

    /// Waits until a webhook does this.
    pub(crate) async fn reaches(&self, name: &str, state: &WebhookState) {
        self.wait(name, |status| status.state == *state).await;
    }

    /// Waits until this is so.
    pub(crate) async fn wait(&self, name: &str, is: impl Fn(&WebhookStatus) -> bool) {
        let looked = async {
            while !is(&self.status(name)) {
                // Sleeps because nothing rings when a status changes.
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, looked).await.unwrap_or_else(|_| panic!("{:?}", self.status(name)));
    }

    /// Ends them, as a daemon that ends does.
    pub(crate) async fn end(self) {
        self.cancel.cancel();
        self.tasks.close();
        tokio::time::timeout(PATIENCE, self.tasks.wait()).await.expect("every task ends");
    }
}

/// The position that a webhook's file holds for a channel.
pub(crate) fn kept(state: &Path, name: &str, channel: &str) -> Option<u64> {
    let text = std::fs::read_to_string(state.join(format!("{name}.json"))).ok()?;
    let kept: Value = serde_json::from_str(&text).unwrap();
    kept["positions"][channel]["offset"].as_u64()
}
