//! Channel names by their text: the map that every event is looked up in, and the names that a thread has met lately. A
//! busy bus reads the same few names again and again, each from the bytes of a message.

use crate::{ChannelName, NameError};
use foldhash::fast::RandomState;
use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
};

/// By channel. Each event is looked up in several of these, so that the hash is a quick one with a random seed. It does not
/// claim to withstand somebody who learns the seed by timing answers; such a one could make a look-up as slow as the number
/// of channels allows, which is bounded.
pub type ChannelMap<V> = HashMap<ChannelName, V, RandomState>;

/// How many names a thread remembers. When there are more, all are forgotten, and those that still come are met anew.
const KEPT: usize = 4_096;

thread_local! {
    static MET: RefCell<HashSet<ChannelName, RandomState>> = RefCell::default();
}

impl ChannelName {
    /// As [`Self::new`], for names that clients send with each event or subscription: one that this thread has met lately is
    /// not checked again, and shares its text.
    pub fn met(name: &str) -> Result<Self, NameError> {
        MET.with_borrow_mut(|met| {
            if let Some(known) = met.get(name) {
                return Ok(known.clone());
            }
            let new = Self::new(name)?;
            if met.len() >= KEPT {
                met.clear();
            }
            met.insert(new.clone());
            Ok(new)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_met_is_shared_and_one_that_is_none_is_refused_each_time() {
        let (first, again) = (ChannelName::met("a").unwrap(), ChannelName::met("a").unwrap());
        assert!(std::ptr::eq(first.as_str(), again.as_str()));
        assert_eq!(first, ChannelName::new("a").unwrap());
        for _ in 0..2 {
            assert_eq!(ChannelName::met("a b"), Err(NameError::Character(' ', 2)));
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        for number in 0..=2 * KEPT {
            let name = number.to_string();
            assert_eq!(ChannelName::met(&name).unwrap().as_str(), name);
            assert!(MET.with_borrow(HashSet::len) <= KEPT);
        }
    }
}
