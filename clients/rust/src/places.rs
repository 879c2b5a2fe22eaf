//! Where a reader stands in each channel: what it resumes from after its connection was lost.

use headwater_event::{Epoch, Position};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A position in each of some channels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places(BTreeMap<String, Position>);

/// A position as it stands in messages.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WirePosition {
    epoch: String,
    offset: u64,
}

impl Places {
    /// The position in a channel.
    pub fn get(&self, channel: &str) -> Option<Position> {
        self.0.get(channel).copied()
    }

    /// Each channel with its position.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Position)> {
        self.0.iter().map(|(channel, position)| (channel.as_str(), *position))
    }

    /// How many channels.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no channel is named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets the position in a channel, whatever it was.
    pub fn set(&mut self, channel: &str, position: Position) {
        match self.0.get_mut(channel) {
            Some(old) => *old = position,
            None => drop(self.0.insert(channel.to_owned(), position)),
        }
    }

    /// Goes forward to a position: within an epoch never back, for a retained event is sent with its old position.
    pub(crate) fn advance(&mut self, channel: &str, position: Position) {
        let behind = |old: Position| old.epoch != position.epoch || old.offset < position.offset;
        if self.get(channel).is_none_or(behind) {
            self.set(channel, position);
        }
    }

    /// Goes forward in all channels of `other`.
    pub(crate) fn advance_all(&mut self, other: &Self) {
        for (channel, position) in other.iter() {
            self.advance(channel, position);
        }
    }

    /// Forgets a channel.
    pub(crate) fn remove(&mut self, channel: &str) {
        self.0.remove(channel);
    }

    /// Reads `{"channel": {"epoch", "offset"}}`; entries that make no sense are left out.
    pub(crate) fn from_wire(wire: BTreeMap<String, WirePosition>) -> Self {
        Self(wire.into_iter().filter_map(|(channel, place)| Some((channel, place.read()?))).collect())
    }

    /// The JSON that `from` takes, as a value for a subscribe message.
    pub(crate) fn to_wire(&self) -> BTreeMap<&str, WirePosition> {
        self.iter().map(|(channel, position)| (channel, position.into())).collect()
    }
}

impl WirePosition {
    fn read(&self) -> Option<Position> {
        Some(Position { epoch: Epoch::parse(&self.epoch)?, offset: self.offset })
    }
}

impl From<Position> for WirePosition {
    fn from(position: Position) -> Self {
        Self { epoch: position.epoch.to_string(), offset: position.offset }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_forward_within_an_epoch_and_into_another() {
        let at = |epoch, offset| Position { epoch: Epoch(epoch), offset };
        let mut places = Places::default();
        places.advance("a", at(1, 5));
        places.advance("a", at(1, 3));
        assert_eq!(places.get("a"), Some(at(1, 5)), "a retained event must not move the reader back");
        places.advance("a", at(2, 1));
        assert_eq!(places.get("a"), Some(at(2, 1)));
    }
}
