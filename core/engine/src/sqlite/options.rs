//! How the durable engine is set up, and what it has to say: options, notices, what opening came to. Made by the
//! assembly from the config; read by every other file of this room.

use headwater_event::{ChannelName, ChannelPattern};
use std::{path::PathBuf, time::Duration};

/// When a publish is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// As soon as it has positions. A crash of the process loses what had not been written, mostly some milliseconds.
    Memory,
    /// When the operating system has it: a crash of the process loses nothing that was acknowledged, a power loss at
    /// most what was acknowledged in this time.
    Flush(Duration),
    /// When the disk has it. Many acks share one sync.
    Durable,
}

/// How much of a channel is kept. Each bound is optional; whichever is reached first counts. What is dropped is the oldest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// How long, counted from when the event was published.
    pub age: Option<Duration>,
    /// How many events.
    pub events: Option<u64>,
    /// How many bytes of events, as they are stored.
    pub size: Option<u64>,
}

/// What is kept of the channels that fit a pattern. The first rule that fits a channel is its rule.
#[derive(Clone, Debug)]
pub struct ChannelRule {
    /// Which channels.
    pub pattern: ChannelPattern,
    /// Whether their events are stored at all. If not, they are numbered as by the engine without a store, and what an
    /// earlier rule has stored of them goes.
    pub store: bool,
    /// What replaces the general bounds; a bound that is absent here is taken from [`SqliteOptions::keep`].
    pub keep: Keep,
}

/// What the engine has to say while it runs. It comes on the engine's own threads, with no lock held: the receiver may
/// publish, and must not block.
pub type Notices = Box<dyn Fn(Notice) + Send + Sync>;

/// Something that an operator wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Writing does not work. Live events go on; publishes are not acknowledged as kept. It is tried again by itself.
    /// Told once per outage.
    Failing {
        /// What the disk says.
        reason: String,
    },
    /// Writing works again.
    Recovered {
        /// How many events were handed back and could not be kept, because the queue for the writer was full.
        lost: u64,
    },
    /// A reader met something that cannot be as it is in the file. Told once in a life of the engine.
    Corrupt {
        /// Where.
        channel: ChannelName,
        /// What.
        reason: String,
    },
    /// The file could not be used any more, and a new one has been begun; what it held is no longer in the history.
    Replaced {
        /// Where the old one is; `None` when it was gone.
        moved_to: Option<PathBuf>,
        /// Why.
        reason: String,
    },
}

/// How the engine is set up. Fixed for its life.
pub struct SqliteOptions {
    /// The file. Beside it lie SQLite's `-wal` and `-shm`, and `-lock`, which keeps two daemons apart.
    pub path: PathBuf,
    /// When a publish is acknowledged.
    pub durability: Durability,
    /// Without a bound, a publisher that invents names would take all memory and fill the file.
    pub max_channels: usize,
    /// What is kept of channels that no rule names, and where a rule is silent.
    pub keep: Keep,
    /// What is kept of certain channels. The first rule that fits counts.
    pub rules: Vec<ChannelRule>,
    /// How large the file may become, in bytes; then the oldest events of all channels go first. It is kept to within
    /// a few per cent, and does not count the `-wal` beside it.
    pub total_size: Option<u64>,
    /// How many bytes of events may wait for the writer. When it is full (a disk that is full, failing or too slow)
    /// events are still handed back live, but not kept: they become a gap in the history, and their publishers are told.
    pub queue: usize,
    /// How many retained events are kept in the file; those that were updated longest ago make room.
    pub snapshots: usize,
    /// How many bytes of them.
    pub snapshot_bytes: usize,
    /// Who is told.
    pub notices: Notices,
}

impl SqliteOptions {
    /// An engine with this file and plain settings: acknowledged when the operating system has it, synced every 100 ms,
    /// everything kept.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            durability: Durability::Flush(Duration::from_millis(100)),
            max_channels: 10_000,
            keep: Keep::default(),
            rules: Vec::new(),
            total_size: None,
            queue: 32 << 20,
            snapshots: 10_000,
            snapshot_bytes: 16 << 20,
            notices: Box::new(|_| {}),
        }
    }

    /// What is kept of a channel; `None` where it is not stored.
    pub(crate) fn keep_of(&self, channel: &str) -> Option<Keep> {
        let Some(rule) = self.rules.iter().find(|rule| rule.pattern.matches(channel)) else { return Some(self.keep) };
        rule.store.then(|| Keep {
            age: rule.keep.age.or(self.keep.age),
            events: rule.keep.events.or(self.keep.events),
            size: rule.keep.size.or(self.keep.size),
        })
    }
}

impl std::fmt::Debug for SqliteOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteOptions")
            .field("path", &self.path)
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}

/// What opening came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// No file was there, or it could not be used.
    pub fresh: bool,
    /// The daemon that had it last did not end in order: every channel goes on under a new epoch.
    pub unclean: bool,
    /// A file that could not be used, where it is now and why.
    pub moved_aside: Option<MovedAside>,
    /// How many channels the file knows.
    pub channels: usize,
    /// Why nothing can be written yet, where that is so; the engine runs and tries again by itself.
    pub failing: Option<String>,
}

/// A file that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedAside {
    /// Where it is now. Its `-wal` and `-shm` moved with it.
    pub to: PathBuf,
    /// What was wrong with it.
    pub reason: String,
}

/// Why the engine cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("the history `{path}` is in use by {by}; stop that daemon, or give this one another `[history] path`")]
    InUse {
        /// The file.
        path: PathBuf,
        /// Who, as far as it is known.
        by: String,
    },
    /// A later Headwater wrote it.
    #[error(
        "the history `{path}` was written by a later Headwater (format {found}, this one knows {known}); run that one, \
         or give this one another `[history] path`"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The last format that this program knows.
        known: i64,
    },
    /// It can neither be read nor made.
    #[error("cannot open the history `{path}`: {reason}; mend that, or give another `[history] path`")]
    Unavailable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        reason: String,
    },
}

/// What has been counted, for metrics and health.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Events that are in the file since it was opened.
    pub stored: u64,
    /// Transactions that wrote events.
    pub batches: u64,
    /// Events that were handed back and could not be kept.
    pub lost: u64,
    /// Events that retention dropped.
    pub expired: u64,
    /// Events that wait for the writer, and their bytes.
    pub pending_events: u64,
    /// Their bytes.
    pub pending_bytes: u64,
    /// How long ago all that was in the file then was synced to the disk; `None` before the first time.
    pub since_sync: Option<Duration>,
    /// How large the file is.
    pub file_bytes: u64,
    /// How large the `-wal` beside it is.
    pub wal_bytes: u64,
    /// Why writing does not work, while it does not.
    pub failing: Option<String>,
}
