//! Who is connected and reads what, for those who ask from outside the shards.

use super::{
    mailbox::{Mail, Mailbox},
    shard::Shard,
};
use headwater_event::ChannelName;
use tokio::sync::oneshot;

/// One connection and the channels whose events it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reader {
    /// Its name on the wire.
    pub(crate) connection: String,
    /// Those that it has subscribed to, and those that its patterns mean now.
    pub(crate) channels: Vec<ChannelName>,
}

/// Puts the question to one shard.
pub(super) fn ask(mailbox: &Mailbox) -> oneshot::Receiver<Vec<Reader>> {
    let (answer, answered) = oneshot::channel();
    mailbox.put(Mail::Census { answer });
    answered
}

impl Shard {
    /// Every connection, by its number.
    pub(super) fn census(&self) -> Vec<Reader> {
        let mut connections: Vec<_> = self.connections.values().collect();
        connections.sort_unstable_by_key(|connection| connection.id);
        let reader = |connection: &std::rc::Rc<super::connection::Connection>| {
            let reading = connection.reading.borrow();
            let name = |channel: &u32| self.channels.get(*channel).log.name().clone();
            let mut channels: Vec<ChannelName> = reading.memberships.keys().map(name).collect();
            channels.sort_unstable();
            Reader { connection: connection.name(), channels }
        };
        connections.into_iter().map(reader).collect()
    }
}
