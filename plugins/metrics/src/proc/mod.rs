//! The kernel's counters: reading the files, and one parser for each of them.
//!
//! The parsers are pure: text in, numbers out, `None` where the text is not what it should be.

pub mod cpu;
pub mod disks;
pub mod file;
pub mod memory;
pub mod network;
pub mod pressure;
pub mod process;

use std::path::Path;

/// A counter that only rises, such as the bytes of an interface, with the name of the thing that it counts for.
pub type Counter = (Box<str>, u64);

/// Whether the numbers of processes below this directory are those by which this process knows them. Those of the host, seen
/// from a container, are others: there another program has the number of ours.
pub fn is_ours(proc: &Path) -> bool {
    let own = std::process::id().to_string();
    std::fs::read_link(proc.join("self")).is_ok_and(|number| number.as_os_str() == own.as_str())
}

/// How much the counters rose together. A thing that came or went in between, or whose counter was reset, does not
/// count; `None` when no thing is in both.
pub fn rise(before: &[Counter], now: &[Counter]) -> Option<u64> {
    let pairs = now.iter().filter_map(|(name, value)| {
        let (_, earlier) = before.iter().find(|(other, _)| other == name)?;
        value.checked_sub(*earlier)
    });
    pairs.fold(None, |sum: Option<u64>, rise| Some(sum.unwrap_or(0).saturating_add(rise)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(all: &[(&str, u64)]) -> Vec<Counter> {
        all.iter().map(|(name, value)| ((*name).into(), *value)).collect()
    }

    #[test]
    fn only_what_is_in_both_and_has_risen_counts() {
        let before = counters(&[("a", 10), ("reset", 500), ("gone", 7)]);
        let now = counters(&[("a", 15), ("reset", 3), ("new", 1_000_000)]);
        assert_eq!(rise(&before, &now), Some(5));
        assert_eq!(rise(&before, &before), Some(0));
        assert_eq!(rise(&before, &counters(&[("new", 1)])), None, "nothing is known, which is not nothing");
    }
}
