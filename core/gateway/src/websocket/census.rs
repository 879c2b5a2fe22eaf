//! Who is connected and reads what, for those who ask from outside the shards. They say which channels they mean and how many
//! names they take: what an answer costs a shard, whose thread has events to deliver, is bounded by the question.

use super::{
    mailbox::{Mail, Mailbox},
    shard::Shard,
};
use headwater_event::ChannelName;
use std::{iter::zip, sync::Arc};
use tokio::sync::oneshot;

/// What somebody wants to know.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// Whose readers.
    pub(crate) channels: Arc<[ChannelName]>,
    /// The most readers of each that are named.
    pub(crate) readers: usize,
    /// The most connections that are named.
    pub(crate) connections: usize,
}

/// Who there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Census {
    /// All connections.
    pub(crate) connections: Counted,
    /// The readers of each channel of the question, those by a pattern too, in the question's order.
    pub(crate) channels: Vec<Counted>,
}

/// Some connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// How many.
    pub(crate) count: u64,
    /// The names of some of them, as on the wire.
    pub(crate) names: Vec<String>,
}

impl Counted {
    /// These too, of whom so many are named.
    fn add(&mut self, more: Self, most: usize) {
        self.count += more.count;
        self.names.extend(more.names);
        self.names.truncate(most);
    }
}

impl Census {
    /// Of nobody.
    pub(super) fn empty(question: &Question) -> Self {
        Self { connections: Counted::default(), channels: vec![Counted::default(); question.channels.len()] }
    }

    /// That of another shard too.
    pub(super) fn add(&mut self, more: Self, question: &Question) {
        self.connections.add(more.connections, question.connections);
        for (here, there) in zip(&mut self.channels, more.channels) {
            here.add(there, question.readers);
        }
    }
}

/// Puts the question to one shard.
pub(super) fn ask(mailbox: &Mailbox, question: Question) -> oneshot::Receiver<Census> {
    let (answer, answered) = oneshot::channel();
    mailbox.put(Mail::Census { question, answer });
    answered
}

impl Shard {
    /// Who is here.
    pub(super) fn census(&self, question: &Question) -> Census {
        let mut numbers: Vec<u64> = self.connections.keys().copied().collect();
        let count = numbers.len() as u64;
        if question.connections < numbers.len() {
            numbers.select_nth_unstable(question.connections);
            numbers.truncate(question.connections);
        }
        numbers.sort_unstable();
        let named = numbers.iter().filter_map(|number| self.connections.get(number));
        Census {
            connections: Counted { count, names: named.map(|connection| connection.name()).collect() },
            channels: question.channels.iter().map(|channel| self.readers(channel, question.readers)).collect(),
        }
    }

    fn readers(&self, channel: &ChannelName, most: usize) -> Counted {
        let Some(index) = self.channels.index(channel) else { return Counted::default() };
        let channel = self.channels.get(index);
        let mut some: Vec<_> = channel.groups.iter().flat_map(|group| &group.members).take(most).collect();
        some.sort_unstable_by_key(|connection| connection.id);
        Counted {
            count: channel.readers() as u64,
            names: some.into_iter().map(|connection| connection.name()).collect(),
        }
    }
}
