//! Which channels exist, which shard watches which pattern, and the shards' queues. Owned by the router, behind one
//! read-write lock: publishing reads it; a new channel, a new pattern and a new shard write it.

use crate::{ChannelLog, MAX_SHARDS, fanout::ShardQueue};
use headwater_engine::Head;
use headwater_event::{ChannelMap, ChannelName, ChannelPattern, Glob};
use std::{collections::HashMap, sync::Arc};

#[derive(Default)]
pub(crate) struct Directory {
    pub(crate) logs: ChannelMap<Arc<ChannelLog>>,
    exact: HashMap<ChannelName, Watchers>,
    globs: HashMap<Glob, Watchers>,
    /// By shard number; a shard that ended leaves its place free.
    pub(crate) shards: Vec<Option<Arc<ShardQueue>>>,
}

/// How often each shard watches one pattern.
#[derive(Default)]
struct Watchers(Vec<(usize, u32)>);

impl Watchers {
    /// True: it is this shard's first.
    fn add(&mut self, shard: usize) -> bool {
        if let Some((_, count)) = self.0.iter_mut().find(|(s, _)| *s == shard) {
            *count += 1;
            return false;
        }
        self.0.push((shard, 1));
        true
    }

    /// True: it was this shard's last.
    fn remove(&mut self, shard: usize) -> bool {
        let Some(at) = self.0.iter().position(|(s, _)| *s == shard) else { return false };
        self.0[at].1 -= 1;
        let last = self.0[at].1 == 0;
        if last {
            self.0.swap_remove(at);
        }
        last
    }

    fn shards(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|(shard, _)| *shard)
    }
}

impl Directory {
    /// The log of this channel, made if need be, with the interest of every pattern that matches already set: an event
    /// must not come before it.
    pub(crate) fn create(&mut self, head: Head) -> &Arc<ChannelLog> {
        let name = head.name.clone();
        self.logs.entry(name.clone()).or_insert_with(|| {
            let log = ChannelLog::new(head);
            let globs = self.globs.iter().filter(|(glob, _)| glob.matches(name.as_str())).map(|(_, watchers)| watchers);
            for shard in self.exact.get(&name).into_iter().chain(globs).flat_map(Watchers::shards) {
                log.add_interest(shard);
            }
            Arc::new(log)
        })
    }

    /// Registers the pattern and returns the logs that match it now.
    pub(crate) fn watch(&mut self, shard: usize, pattern: &ChannelPattern) -> Vec<Arc<ChannelLog>> {
        let first = match pattern {
            ChannelPattern::Exact(name) => self.exact.entry(name.clone()).or_default().add(shard),
            ChannelPattern::Glob(glob) => self.globs.entry(glob.clone()).or_default().add(shard),
        };
        let logs = self.matching(pattern);
        if first {
            for log in &logs {
                log.add_interest(shard);
            }
        }
        logs
    }

    pub(crate) fn unwatch(&mut self, shard: usize, pattern: &ChannelPattern) {
        let (last, unused) = match pattern {
            ChannelPattern::Exact(name) => removed(self.exact.get_mut(name), shard),
            ChannelPattern::Glob(glob) => removed(self.globs.get_mut(glob), shard),
        };
        if unused {
            match pattern {
                ChannelPattern::Exact(name) => drop(self.exact.remove(name)),
                ChannelPattern::Glob(glob) => drop(self.globs.remove(glob)),
            }
        }
        if last {
            let matching = self.matching(pattern);
            for log in &matching {
                log.remove_interest(shard);
            }
            // A name that was watched and never published to would otherwise take one of the channels for ever.
            for log in matching.iter().filter(|log| log.is_idle()) {
                self.logs.remove(log.name());
            }
        }
    }

    /// Whether anybody watches this channel by its name.
    pub(crate) fn is_named(&self, name: &ChannelName) -> bool {
        self.exact.contains_key(name)
    }

    /// How many watches there are, of all shards.
    pub(crate) fn watches(&self) -> u64 {
        let all = self.exact.values().chain(self.globs.values());
        all.flat_map(|watchers| &watchers.0).map(|(_, count)| u64::from(*count)).sum()
    }

    /// Gives a shard a number.
    ///
    /// # Panics
    /// When there are [`MAX_SHARDS`] already.
    pub(crate) fn add_shard(&mut self, queue: Arc<ShardQueue>) -> usize {
        let free = self.shards.iter().position(Option::is_none).unwrap_or_else(|| {
            assert!(self.shards.len() < MAX_SHARDS, "at most {MAX_SHARDS} shards");
            self.shards.push(None);
            self.shards.len() - 1
        });
        self.shards[free] = Some(queue);
        free
    }

    /// Forgets a shard and everything it watches.
    pub(crate) fn remove_shard(&mut self, shard: usize) {
        let exact = self.exact.iter().map(|(name, watchers)| (ChannelPattern::Exact(name.clone()), watchers));
        let globs = self.globs.iter().map(|(glob, watchers)| (ChannelPattern::Glob(glob.clone()), watchers));
        let held: Vec<(ChannelPattern, u32)> = exact
            .chain(globs)
            .filter_map(|(pattern, watchers)| {
                watchers.0.iter().find(|(s, _)| *s == shard).map(|(_, count)| (pattern, *count))
            })
            .collect();
        for (pattern, count) in held {
            for _ in 0..count {
                self.unwatch(shard, &pattern);
            }
        }
        self.shards[shard] = None;
    }

    /// The logs that a pattern means now, in no order.
    pub(crate) fn matching(&self, pattern: &ChannelPattern) -> Vec<Arc<ChannelLog>> {
        match pattern {
            ChannelPattern::Exact(name) => self.logs.get(name).into_iter().cloned().collect(),
            ChannelPattern::Glob(glob) => {
                self.logs.iter().filter(|(name, _)| glob.matches(name.as_str())).map(|(_, log)| log.clone()).collect()
            }
        }
    }
}

/// Whether it was this shard's last watch, and whether nobody's is left.
fn removed(watchers: Option<&mut Watchers>, shard: usize) -> (bool, bool) {
    watchers.map_or((false, false), |watchers| (watchers.remove(shard), watchers.0.is_empty()))
}
