//! How far a webhook has come, in a file, so that it goes on there after a restart.
//!
//! The file is written anew and put in the old one's place, so it is always whole. It may be a moment behind what the
//! endpoint has: then events are sent again, with the ids that the receiver has seen.

use headwater_event::{ChannelName, ChannelPattern, Epoch, Position};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;

/// The most often that the file is written while events are sent. Each write is synced; without a pause a busy webhook
/// would keep the disk busy.
const PAUSE: Duration = Duration::from_millis(250);

/// What stands in the file.
#[derive(Serialize, Deserialize)]
struct Stored {
    webhook: String,
    /// The patterns that the positions are of.
    channels: Vec<String>,
    positions: BTreeMap<String, Place>,
}

#[derive(Serialize, Deserialize)]
struct Place {
    epoch: String,
    offset: u64,
}

/// What was found at the start.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The last event that was sent, per channel.
    pub(crate) positions: BTreeMap<ChannelName, Position>,
    /// The patterns whose channels they are: a channel of these that has no position has come since.
    pub(crate) patterns: Vec<ChannelPattern>,
    /// Whether there was a file that could not be read.
    pub(crate) damaged: bool,
}

/// The positions of one webhook.
pub(crate) struct Bookmark {
    file: Arc<Kept>,
    changed: Notify,
}

struct Kept {
    path: PathBuf,
    webhook: String,
    channels: Vec<String>,
    positions: Mutex<BTreeMap<ChannelName, Position>>,
    /// Whether the file is behind.
    behind: AtomicBool,
    /// One writer at a time: a write whose waiter has gone may still be under way.
    writing: Mutex<()>,
    /// Whether the last write failed; told once.
    failing: AtomicBool,
}

/// Reads what an earlier run has left. A file that cannot be read is moved aside.
pub(crate) fn find(directory: &Path, webhook: &str) -> Option<Found> {
    let path = path(directory, webhook);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => return Some(damaged(&path, webhook, &error)),
    };
    match read(&text) {
        Ok(found) => Some(found),
        Err(reason) => Some(damaged(&path, webhook, &reason)),
    }
}

fn read(text: &str) -> Result<Found, String> {
    let stored: Stored = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut found = Found::default();
    for pattern in &stored.channels {
        found.patterns.push(ChannelPattern::parse(pattern).map_err(|error| error.to_string())?);
    }
    for (channel, Place { epoch, offset }) in stored.positions {
        let channel = ChannelName::new(&channel).map_err(|error| error.to_string())?;
        let epoch = Epoch::parse(&epoch).ok_or_else(|| format!("`{epoch}` is no epoch"))?;
        found.positions.insert(channel, Position { epoch, offset });
    }
    Ok(found)
}

fn damaged(path: &Path, webhook: &str, reason: &dyn std::fmt::Display) -> Found {
    let aside = path.with_extension("json.damaged");
    let moved = fs::rename(path, &aside);
    tracing::error!(
        webhook, file = %path.display(), %reason, moved_to = %aside.display(), moved = moved.is_ok(),
        "the position of the webhook cannot be read; everything that is kept is sent again"
    );
    Found { damaged: true, ..Found::default() }
}

fn path(directory: &Path, webhook: &str) -> PathBuf {
    directory.join(format!("{webhook}.json"))
}

impl Bookmark {
    /// Of a webhook with these channels, that has come so far.
    pub(crate) fn new(
        directory: &Path,
        webhook: &str,
        channels: &[ChannelPattern],
        positions: BTreeMap<ChannelName, Position>,
    ) -> Self {
        let file = Kept {
            path: path(directory, webhook),
            webhook: webhook.to_owned(),
            channels: channels.iter().map(ToString::to_string).collect(),
            positions: Mutex::new(positions),
            behind: AtomicBool::new(true),
            writing: Mutex::new(()),
            failing: AtomicBool::new(false),
        };
        Self { file: Arc::new(file), changed: Notify::new() }
    }

    /// The endpoint has everything up to here.
    pub(crate) fn reached(&self, channel: &ChannelName, position: Position) {
        self.reached_all([(channel.clone(), position)]);
    }

    /// The same for several channels.
    pub(crate) fn reached_all(&self, reached: impl IntoIterator<Item = (ChannelName, Position)>) {
        let mut positions = self.file.positions.lock().unwrap_or_else(PoisonError::into_inner);
        let mut moved = false;
        for (channel, position) in reached {
            moved |= positions.insert(channel, position) != Some(position);
        }
        drop(positions);
        if moved {
            self.file.behind.store(true, Ordering::Release);
            self.changed.notify_one();
        }
    }

    /// How far it has come.
    pub(crate) fn positions(&self) -> Vec<(ChannelName, Position)> {
        let positions = self.file.positions.lock().unwrap_or_else(PoisonError::into_inner);
        positions.iter().map(|(channel, position)| (channel.clone(), *position)).collect()
    }

    /// Writes the file whenever something has changed, but not too often. For as long as it is polled.
    pub(crate) async fn keep(&self) -> std::convert::Infallible {
        loop {
            self.changed.notified().await;
            self.flush().await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Writes the file now, unless it is as it should be.
    pub(crate) async fn flush(&self) {
        let file = self.file.clone();
        let written = tokio::task::spawn_blocking(move || file.write()).await;
        // A panic in there is a fault of this file; the runtime has reported it.
        drop(written);
    }
}

impl Kept {
    fn write(&self) {
        let _only = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.behind.swap(false, Ordering::AcqRel) {
            return;
        }
        match self.replace() {
            Ok(()) => {
                if self.failing.swap(false, Ordering::Relaxed) {
                    tracing::info!(webhook = self.webhook, "the position of the webhook is kept again");
                }
            }
            Err(error) => {
                self.behind.store(true, Ordering::Release);
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        webhook = self.webhook, file = %self.path.display(), %error,
                        "the position of the webhook cannot be kept; after a restart events will be sent again"
                    );
                }
            }
        }
    }

    fn replace(&self) -> io::Result<()> {
        let positions = self.positions.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let place = |position: Position| Place { epoch: position.epoch.to_string(), offset: position.offset };
        let stored = Stored {
            webhook: self.webhook.clone(),
            channels: self.channels.clone(),
            positions: positions.into_iter().map(|(channel, at)| (channel.to_string(), place(at))).collect(),
        };
        let text = serde_json::to_vec(&stored).map_err(io::Error::other)?;
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        let fresh = self.path.with_extension("json.new");
        let mut file = fs::File::create(&fresh)?;
        file.write_all(&text)?;
        // Otherwise the name may reach the disk before the text, and a power cut leaves an empty file.
        file.sync_data()?;
        fs::rename(&fresh, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(name: &str) -> ChannelName {
        ChannelName::new(name).unwrap()
    }

    fn at(epoch: u64, offset: u64) -> Position {
        Position { epoch: Epoch(epoch), offset }
    }

    fn patterns() -> [ChannelPattern; 2] {
        ["a", "build:*"].map(|pattern| ChannelPattern::parse(pattern).unwrap())
    }

    #[tokio::test]
    async fn what_was_reached_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        assert!(find(dir.path(), "x").is_none(), "a webhook that never ran");
        let bookmark = Bookmark::new(dir.path(), "x", &patterns(), BTreeMap::new());
        bookmark.reached(&channel("a"), at(7, 1));
        bookmark.reached(&channel("a"), at(7, 2));
        bookmark.reached(&channel("build:1"), at(u64::MAX, 9));
        bookmark.flush().await;
        let found = find(dir.path(), "x").unwrap();
        assert!(!found.damaged);
        assert_eq!(found.positions, BTreeMap::from([(channel("a"), at(7, 2)), (channel("build:1"), at(u64::MAX, 9))]));
        assert_eq!(found.patterns, patterns());
        assert_eq!(bookmark.positions().len(), 2);
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["x.json"], "no half of a file stays behind");
    }

    /// A position that is lost would be events that are lost.
    #[tokio::test]
    async fn a_damaged_file_is_moved_aside_and_told() {
        for text in [
            "",
            "{",
            "[]",
            r#"{"webhook":"x","channels":["a b"],"positions":{}}"#,
            r#"{"webhook":"x","channels":[],"positions":{"a":{"epoch":"7","offset":1}}}"#,
        ] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join("x.json"), text).unwrap();
            assert!(find(dir.path(), "x").unwrap().damaged, "{text}");
            assert_eq!(fs::read_to_string(dir.path().join("x.json.damaged")).unwrap(), text);
            assert!(find(dir.path(), "x").is_none());
        }
    }

    #[tokio::test]
    async fn a_directory_that_cannot_be_written_is_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("webhooks");
        fs::write(&inner, "in the way").unwrap();
        let bookmark = Bookmark::new(&inner, "x", &patterns(), BTreeMap::new());
        bookmark.reached(&channel("a"), at(1, 1));
        bookmark.flush().await;
        fs::remove_file(&inner).unwrap();
        bookmark.flush().await;
        assert_eq!(find(&inner, "x").unwrap().positions.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_written_soon_and_not_too_often() {
        let dir = tempfile::tempdir().unwrap();
        let bookmark = Bookmark::new(dir.path(), "x", &patterns(), BTreeMap::new());
        let kept = || find(dir.path(), "x").map(|found| found.positions[&channel("a")].offset);
        let reached = async {
            for (offset, after) in [(1, Some(1)), (2, Some(1)), (3, Some(3))] {
                bookmark.reached(&channel("a"), at(1, offset));
                // Sleeps because the pause is what is tested; the clock is paused.
                tokio::time::sleep(PAUSE * 2 / 5).await;
                assert_eq!(kept(), after, "after {offset}");
            }
        };
        tokio::select! {
            never = bookmark.keep() => match never {},
            () = reached => {}
        }
    }
}
