//! What the adapters did not understand, counted by name, so that a new version of a program shows as a number and not as
//! silence.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// The most names that are told apart; what comes beyond is counted together as [`OTHERS`]. Names come from outside, and
/// could otherwise fill the memory.
const MAX_NAMES: usize = 256;
/// The longest name, in bytes; a longer one is cut.
const MAX_NAME: usize = 64;
/// The name of all that came when [`MAX_NAMES`] were known.
const OTHERS: &str = "others";

/// The counts; a clone counts into the same ones.
#[derive(Clone, Debug, Default)]
pub struct Unknown(Arc<Mutex<BTreeMap<String, u64>>>);

impl Unknown {
    /// One more of this kind (`claude`, `opencode status`, …) and name.
    pub(crate) fn count(&self, kind: &str, name: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("{kind}: {}", &name[..name.floor_char_boundary(MAX_NAME)]);
        let name = if counts.len() < MAX_NAMES || counts.contains_key(&name) { name } else { OTHERS.to_owned() };
        let count = counts.entry(name).or_default();
        *count = count.saturating_add(1);
    }

    /// All counts so far, by name.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many times something was not understood.
    pub fn total(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Harm prevented: whoever posts ever new names makes the source grow without end.
    #[test]
    fn names_are_bounded_in_number_and_length() {
        let unknown = Unknown::default();
        for number in 0..1000 {
            unknown.clone().count("claude", &format!("Hook{number}"));
        }
        unknown.count("claude", &"é".repeat(1000));
        let counts = unknown.counts();
        assert_eq!(counts.len(), MAX_NAMES + 1);
        assert_eq!((counts["claude: Hook0"], counts[OTHERS]), (1, 745));
        assert_eq!(unknown.total(), 1001);
        let long = Unknown::default();
        long.count("claude", &"é".repeat(1000));
        assert!(long.counts().keys().all(|name| name.len() <= "claude: ".len() + MAX_NAME));
    }
}
