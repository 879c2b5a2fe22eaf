//! The history as the config wants it: which engine, with which options, and how what it has to say becomes events and
//! log lines. `up.rs` opens it at the start, and `assemble.rs` lets it speak. A reload leaves it as it runs.

use crate::bus::announce;
use headwater_config::{Config, Durability as Configured, History};
use headwater_engine::{
    ChannelRule, Durability, Engine, Keep, MemoryEngine, Notice, OpenError, Opened, SqliteEngine, SqliteOptions,
};
use headwater_event::{ChannelName, ChannelPattern, Severity};
use headwater_router::Router;
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

/// The channel on which the gateway tells once a second what the daemon does. It is of use while it happens; what becomes
/// of it is in the events of the source `metrics`.
const DAEMON_METRICS: &str = "daemon_metrics";

/// The file in the state directory when the config names none.
const FILE: &str = "history.db";

/// The engine of this config, and what tells of its troubles.
pub(crate) struct Kept {
    pub(crate) engine: Arc<dyn Engine>,
    /// The same, where it has a file.
    pub(crate) file: Option<Arc<SqliteEngine>>,
    /// That file, absolute.
    pub(crate) path: Option<PathBuf>,
    herald: Arc<Herald>,
    opened: Opened,
}

/// Publishes what the engine has to say. It is made before the engine, and the router after it.
pub(crate) struct Herald(Mutex<Audience>);

enum Audience {
    /// Nobody yet. What is said meanwhile waits, up to [`EARLY`] notices; the rest is only logged.
    Awaited(Vec<Notice>),
    Router(Weak<Router>),
}

/// The engine says little before anybody publishes: that a reader met damage, that writing works after all.
const EARLY: usize = 16;

/// Where the file is.
pub(crate) fn file(config: &Config, state: &Path) -> PathBuf {
    config.history.path.clone().unwrap_or_else(|| state.join(FILE))
}

/// Opens the file, or makes the engine without one.
pub(crate) fn open(config: &Config, state: &Path) -> Result<Kept, OpenError> {
    let herald = Arc::<Herald>::default();
    if !config.history.enabled {
        let engine = Arc::new(MemoryEngine::new(config.router.max_channels));
        return Ok(Kept { engine, file: None, path: None, herald, opened: Opened::default() });
    }
    let path = file(config, state);
    let teller = herald.clone();
    let options = SqliteOptions {
        durability: durability(&config.history),
        max_channels: config.router.max_channels,
        keep: keep(&config.history),
        rules: rules(&config.history),
        total_size: Some(config.history.retention.size),
        notices: Box::new(move |notice| teller.tell(notice)),
        ..SqliteOptions::new(&path)
    };
    let (engine, opened) = SqliteEngine::open(options)?;
    tracing::debug!(path = %path.display(), channels = opened.channels, unclean = opened.unclean, "the history is open");
    let engine = Arc::new(engine);
    let absolute = std::path::absolute(&path).unwrap_or(path);
    Ok(Kept { engine: engine.clone(), file: Some(engine), path: Some(absolute), herald, opened })
}

impl Kept {
    /// From now on the bus hears what the engine has to say; first, what opening came to.
    pub(crate) fn announce_to(&self, router: &Arc<Router>) {
        let before = std::mem::replace(&mut *self.herald.audience(), Audience::Router(Arc::downgrade(router)));
        if let Some(aside) = &self.opened.moved_aside {
            self.herald.tell(Notice::Replaced { moved_to: Some(aside.to.clone()), reason: aside.reason.clone() });
        }
        if let Some(reason) = &self.opened.failing {
            self.herald.tell(Notice::Failing { reason: reason.clone() });
        }
        if let Audience::Awaited(early) = before {
            for notice in &early {
                publish(router, notice);
            }
        }
    }
}

impl Herald {
    fn audience(&self) -> MutexGuard<'_, Audience> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, notice: Notice) {
        let (kind, severity, data) = words(&notice);
        if severity == Severity::Warning {
            tracing::warn!(%data, "{kind}");
        } else {
            tracing::error!(%data, "{kind}");
        }
        let router = match &mut *self.audience() {
            Audience::Awaited(early) => {
                if early.len() < EARLY {
                    early.push(notice);
                }
                return;
            }
            Audience::Router(router) => router.upgrade(),
        };
        // The lock is free again: publishing may make the engine say more.
        if let Some(router) = router {
            publish(&router, &notice);
        }
    }
}

impl Default for Herald {
    fn default() -> Self {
        Self(Mutex::new(Audience::Awaited(Vec::new())))
    }
}

fn publish(router: &Router, notice: &Notice) {
    let (kind, severity, data) = words(notice);
    announce(router, kind, severity, &data);
}

/// A notice as an event of the daemon.
fn words(notice: &Notice) -> (&'static str, Severity, serde_json::Value) {
    match notice {
        Notice::Failing { reason } => ("history.failing", Severity::Critical, json!({"reason": reason})),
        Notice::Recovered { lost } => ("history.recovered", Severity::Warning, json!({"events_not_kept": lost})),
        Notice::Corrupt { channel, reason } => {
            ("history.corrupt", Severity::Error, json!({"channel": channel.as_str(), "reason": reason}))
        }
        Notice::Replaced { moved_to, reason } => {
            let moved_to = moved_to.as_ref().map(|path| path.display().to_string());
            ("history.replaced", Severity::Error, json!({"moved_to": moved_to, "reason": reason}))
        }
    }
}

fn durability(history: &History) -> Durability {
    match history.durability {
        Configured::Memory => Durability::Memory,
        Configured::Flush => Durability::Flush(history.flush_interval),
        Configured::Durable => Durability::Durable,
    }
}

fn keep(history: &History) -> Keep {
    Keep { age: Some(history.retention.age), events: history.retention.events, size: None }
}

fn rules(history: &History) -> Vec<ChannelRule> {
    let rule = |channel: &headwater_config::HistoryChannel| {
        let pattern = ChannelPattern::parse(&channel.pattern);
        Some(ChannelRule {
            // The config's own check has told of one that is none.
            pattern: pattern.ok()?,
            store: channel.store,
            keep: Keep { age: channel.age, events: channel.events, size: channel.size },
        })
    };
    // First, since the first that fits counts.
    let moment = ChannelName::new(DAEMON_METRICS).expect("invariant: the name is well formed");
    let moment = ChannelRule { pattern: ChannelPattern::Exact(moment), store: false, keep: Keep::default() };
    std::iter::once(moment).chain(history.channels.iter().filter_map(rule)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_router::LogLimits;

    /// Harm prevented: an alarm of the first moment stands in the log and nowhere else.
    #[test]
    fn what_is_said_before_anybody_hears_it_is_told_in_its_order() {
        let herald = Arc::<Herald>::default();
        for _ in 0..2 * EARLY {
            herald.tell(Notice::Recovered { lost: 1 });
        }
        let engine = Arc::new(MemoryEngine::new(10));
        let router = Router::new(engine.clone(), LogLimits::default());
        let opened = Opened { failing: Some("full".into()), ..Opened::default() };
        Kept { engine, file: None, path: None, herald: herald.clone(), opened }.announce_to(&router);
        herald.tell(Notice::Failing { reason: "full again".into() });
        let channel = router.channels().into_iter().find(|channel| channel.channel.as_str() == "system_events");
        assert_eq!(
            channel.map(|channel| channel.head),
            Some(EARLY as u64 + 2),
            "what opening came to, and each later one"
        );
    }
}
