//! What is known without asking the file: the channels, how far each is numbered and written, and the events that wait
//! for the writer. Changed under one lock by publishers and by the writer; readers look here first.

use super::{
    channel::Channel,
    lineage::{Begin, Lineage, Seed},
    options::SqliteOptions,
    retention::published,
    schema,
};
use crate::{EngineError, Head, Receipt, ids::Ids};
use headwater_event::{ChannelMap, ChannelName, Draft, Epoch, Event, Position};
use std::{collections::HashSet, sync::Arc};

/// Everything under the lock.
pub(crate) struct Live {
    pub(crate) max_channels: usize,
    /// By name: where it stands in `channels`.
    names: ChannelMap<usize>,
    /// Channels are never removed, so that a place stays what it is.
    pub(crate) channels: Vec<Channel>,
    /// Where new channels' epochs come from.
    pub(crate) seed: Seed,
    /// Numbers for new channels in the file: those that are free below the highest one, and the next one above.
    free_ids: Vec<i64>,
    next_id: i64,
    ids: Ids,
    /// Channels with something for the writer.
    dirty: Vec<usize>,
    /// Publishers that wait for what is waiting.
    pub(crate) receipts: Vec<Waiting>,
    /// The bytes of all events that wait or are being written, and their number.
    pub(crate) bytes: usize,
    pub(crate) events: u64,
    /// Why writing does not work, while it does not.
    pub(crate) failing: Option<Arc<str>>,
    /// Damage that readers have met, and in which file.
    pub(crate) spoilt: Option<(u64, String)>,
    /// No publishes any more.
    pub(crate) closing: bool,
}

/// A publisher that is told when its events are written.
pub(crate) struct Waiting {
    pub(crate) receipt: Receipt,
    pub(crate) positions: Vec<Position>,
}

/// What the writer takes of one channel.
pub(crate) struct Run {
    pub(crate) index: usize,
    pub(crate) id: i64,
    pub(crate) name: ChannelName,
    pub(crate) lineage: Lineage,
    pub(crate) recorded: bool,
    /// Ascending; with holes only where `lost` has them.
    pub(crate) events: Arc<Vec<Arc<Event>>>,
    /// What they weigh, so that it need not be counted under the lock.
    bytes: usize,
    pub(crate) lost: Vec<(u64, u64)>,
}

/// What a batch came to.
pub(crate) struct Numbered {
    pub(crate) events: Vec<Arc<Event>>,
    pub(crate) positions: Vec<Position>,
    /// How many of them are queued for the writer.
    pub(crate) queued: u64,
    /// How many should have been, and found no room.
    pub(crate) lost: u64,
}

/// About what an event costs while it waits.
pub(crate) fn weight(event: &Event) -> usize {
    300 + event.data.as_bytes().len()
}

impl Live {
    pub(crate) fn new(options: &SqliteOptions, seed: Seed, channels: Vec<Channel>) -> Self {
        let names = channels.iter().enumerate().map(|(index, channel)| (channel.name.clone(), index)).collect();
        let used: HashSet<i64> = channels.iter().map(|channel| channel.id).collect();
        let next_id = used.iter().max().unwrap_or(&0) + 1;
        Self {
            max_channels: options.max_channels.min(schema::CHANNELS),
            names,
            channels,
            seed,
            free_ids: (1..next_id).rev().filter(|id| !used.contains(id)).collect(),
            next_id,
            ids: Ids::new(),
            dirty: Vec::new(),
            receipts: Vec::new(),
            bytes: 0,
            events: 0,
            failing: None,
            spoilt: None,
            closing: false,
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Channel> {
        self.names.get(name).map(|index| &self.channels[*index])
    }

    /// The head of a channel, also of one that has never had an event.
    pub(crate) fn head(&self, name: &ChannelName) -> Head {
        match self.find(name.as_str()) {
            Some(channel) => channel.head(),
            None => Head { name: name.clone(), epoch: self.seed.epoch(name.as_str()), first: 1, last: 0 },
        }
    }

    pub(crate) fn kept(&self, name: &str, epoch: Epoch) -> Option<u64> {
        match self.find(name) {
            Some(channel) => channel.lineage.kept(epoch, channel.last),
            None => (self.seed.epoch(name) == epoch).then_some(0),
        }
    }

    /// Refuses a batch that would create too many channels, before any of it has an offset.
    pub(crate) fn admit(&self, batch: &[Draft]) -> Result<(), EngineError> {
        if self.channels.len() + batch.len() <= self.max_channels {
            return Ok(()); // even if every draft were a new channel
        }
        let mut new = HashSet::new();
        for draft in batch {
            if !self.names.contains_key(draft.channel.as_str()) {
                new.insert(&draft.channel);
                if self.channels.len() + new.len() > self.max_channels {
                    return Err(EngineError::Refused(format!(
                        "channel `{}` would be one more than the {} that may exist; publish to fewer channels or raise \
                         `max_channels`",
                        draft.channel, self.max_channels
                    )));
                }
            }
        }
        Ok(())
    }

    /// Gives a batch its positions and puts its events where the writer finds them.
    pub(crate) fn number(&mut self, batch: Vec<Draft>, options: &SqliteOptions) -> Numbered {
        self.ids.tick();
        let mut numbered = Numbered {
            events: Vec::with_capacity(batch.len()),
            positions: Vec::with_capacity(batch.len()),
            queued: 0,
            lost: 0,
        };
        let mut known: Option<usize> = None;
        for mut draft in batch {
            // Batches mostly go to one channel: it is looked up once for a run of drafts.
            let index = match known {
                Some(index) if self.channels[index].name == draft.channel => index,
                _ => self.index(&draft.channel, options),
            };
            known = Some(index);
            let channel = &mut self.channels[index];
            draft.channel = channel.name.clone();
            channel.last += 1;
            let position = Position { epoch: channel.lineage.epoch(), offset: channel.last };
            let event = Event::shared(draft, position, self.ids.next());
            numbered.positions.push(position);
            numbered.events.push(event.clone());
            if !channel.store {
                channel.written = channel.last;
                channel.first = channel.last + 1;
                continue;
            }
            let weight = weight(&event);
            if self.bytes + weight <= options.queue {
                self.bytes += weight;
                self.events += 1;
                numbered.queued += 1;
                channel.waiting_bytes += weight;
                channel.waiting.push(event);
            } else {
                channel.lose(position.offset);
                numbered.lost += 1;
            }
            if !channel.dirty {
                channel.dirty = true;
                self.dirty.push(index);
            }
        }
        numbered
    }

    fn index(&mut self, name: &ChannelName, options: &SqliteOptions) -> usize {
        if let Some(index) = self.names.get(name) {
            return *index;
        }
        let lineage = Lineage::new(Begin { first: 1, epoch: self.seed.epoch(name.as_str()) });
        let id = self.free_ids.pop().unwrap_or_else(|| {
            self.next_id += 1;
            self.next_id - 1
        });
        let channel = Channel::new(name.clone(), id, lineage, options.keep_of(name.as_str()));
        self.channels.push(channel);
        self.names.insert(name.clone(), self.channels.len() - 1);
        self.channels.len() - 1
    }

    /// Whether the writer has something to do.
    pub(crate) fn has_work(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Gives the writer all that waits. It stays readable here until [`Self::wrote`] or [`Self::failed`].
    pub(crate) fn take(&mut self) -> Vec<Run> {
        let runs = self.dirty.drain(..).map(|index| {
            let channel = &mut self.channels[index];
            channel.dirty = false;
            channel.flying = Arc::new(std::mem::take(&mut channel.waiting));
            Run {
                index,
                id: channel.id,
                name: channel.name.clone(),
                lineage: channel.lineage.clone(),
                recorded: channel.recorded,
                events: channel.flying.clone(),
                bytes: std::mem::take(&mut channel.waiting_bytes),
                lost: channel.lost.clone(),
            }
        });
        runs.collect()
    }

    /// The writer has written what it took.
    pub(crate) fn wrote(&mut self, runs: &[Run]) {
        for run in runs {
            let channel = &mut self.channels[run.index];
            channel.recorded = true;
            channel.flying = Arc::default();
            let oldest = || run.events.first().map(|event| published(event.id.as_bytes()));
            channel.oldest = channel.oldest.or_else(oldest);
            let stored = run.events.last().map_or(0, |event| event.position.offset);
            let lost = run.lost.last().map_or(0, |lost| lost.1);
            channel.written = channel.written.max(stored).max(lost);
            // What was lost since may have made the last hole longer.
            channel.lost.retain(|(_, last)| *last > lost);
            if let Some(open) = channel.lost.first_mut() {
                open.0 = open.0.max(lost + 1);
            }
            self.bytes -= run.bytes;
            self.events -= run.events.len() as u64;
        }
    }

    /// The file is lost: what it held is a hole, and the writer writes all that a new one needs. Nothing is being written.
    pub(crate) fn lost_file(&mut self) {
        for (index, channel) in self.channels.iter_mut().enumerate() {
            channel.recorded = false;
            channel.oldest = None;
            if !channel.store {
                continue;
            }
            if channel.first <= channel.written {
                let upto = channel.lost.first().map_or(channel.written, |(first, _)| channel.written.min(first - 1));
                if channel.first <= upto {
                    channel.lost.insert(0, (channel.first, upto));
                }
            }
            if !channel.dirty {
                channel.dirty = true;
                self.dirty.push(index);
            }
        }
    }

    /// The writer could not write what it took: it waits again, before what came since.
    pub(crate) fn failed(&mut self, runs: Vec<Run>) {
        for run in runs {
            let channel = &mut self.channels[run.index];
            channel.flying = Arc::default();
            let since = std::mem::take(&mut channel.waiting);
            channel.waiting = run.events.iter().cloned().chain(since).collect();
            channel.waiting_bytes += run.bytes;
            if !channel.dirty {
                channel.dirty = true;
                self.dirty.push(run.index);
            }
        }
    }
}
