//! What a group of processes has used between two looks, though processes begin and end in between. Pure.
//!
//! The kernel adds what a process has used, and what its own children had, to its parent's account once that has waited for
//! it. So what a parent's account of children has gained is what they have used since the first look, and what was known of
//! those that have ended since is taken off.

use crate::proc::process::Seen;
use std::collections::HashMap;

/// Ticks that the processes of a group have used between two looks. What has started after `since` is new; what was there
/// and was not in the group counts from now on. `alive` says of a process that is not in the group any more whether it
/// still runs.
pub(super) fn used(before: &[Seen], now: &[Seen], since: u64, mut alive: impl FnMut(u32, u64) -> bool) -> u64 {
    let earlier: HashMap<u32, &Seen> = before.iter().map(|seen| (seen.pid, seen)).collect();
    let later: HashMap<u32, &Seen> = now.iter().map(|seen| (seen.pid, seen)).collect();
    let is_there = |seen: &Seen| later.get(&seen.pid).is_some_and(|now| now.started == seen.started);
    // By parent: what was known of processes below it that have ended.
    let mut known: HashMap<u32, u64> = HashMap::new();
    for gone in before.iter().filter(|seen| !is_there(seen)) {
        if alive(gone.pid, gone.started) {
            continue; // somebody else's now; its parent never gets its account
        }
        let mut parent = earlier.get(&gone.parent);
        while let Some(above) = parent.filter(|above| !is_there(above)) {
            parent = earlier.get(&above.parent);
        }
        if let Some(above) = parent {
            *known.entry(above.pid).or_default() += gone.own + gone.waited;
        }
    }
    let of_one = |seen: &Seen| match earlier.get(&seen.pid).filter(|before| before.started == seen.started) {
        Some(before) => {
            let waited = seen.waited.saturating_sub(before.waited);
            let known = known.get(&seen.pid).copied().unwrap_or(0);
            seen.own.saturating_sub(before.own) + waited.saturating_sub(known)
        }
        None if seen.started >= since => seen.own + seen.waited,
        None => 0,
    };
    now.iter().map(of_one).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seen(pid: u32, parent: u32, own: u64, waited: u64) -> Seen {
        Seen { pid, started: u64::from(pid), parent, own, waited, ended: false }
    }

    #[test]
    fn a_child_that_has_ended_counts_once() {
        let before = [seen(1, 0, 100, 0), seen(2, 1, 40, 5)];
        let now = [seen(1, 0, 110, 60)];
        assert_eq!(used(&before, &now, 10, |_, _| false), 10 + 15, "60 of the child, 45 of which were known");
        assert_eq!(used(&before, &[seen(1, 0, 110, 0)], 10, |_, _| false), 10, "one for which nobody has waited");
        let given_up = [seen(1, 0, 110, 30)];
        assert_eq!(used(&before, &given_up, 10, |pid, _| pid == 2), 10 + 30, "one that runs on elsewhere");
    }

    #[test]
    fn what_joins_counts_from_now_on_and_what_begins_from_its_beginning() {
        let before = [seen(1, 0, 100, 0)];
        assert_eq!(used(&before, &[seen(1, 0, 100, 0), seen(5, 1, 70, 0)], 10, |_, _| false), 0);
        assert_eq!(used(&before, &[seen(1, 0, 100, 0), seen(12, 1, 70, 3)], 10, |_, _| false), 73);
        let another = Seen { started: 99, ..seen(1, 0, 7, 0) };
        assert_eq!(used(&before, &[another], 10, |_, _| false), 7, "the number was given away anew");
    }

    /// A family of processes that work, start others, end and are waited for, and what they really used.
    #[derive(Default)]
    struct Family {
        processes: Vec<Seen>,
        next: u32,
        clock: u64,
        used: u64,
    }

    impl Family {
        fn step(&mut self, (what, which, ticks): (u8, usize, u64)) {
            self.clock += 1;
            let which = which % self.processes.len();
            match what {
                0 | 1 => {
                    self.processes[which].own += ticks;
                    self.used += ticks;
                }
                2 => {
                    self.next += 1;
                    let parent = self.processes[which].pid;
                    let child = Seen { started: self.clock, ..seen(self.next, parent, 0, 0) };
                    self.processes.push(child);
                }
                _ => {
                    let pid = self.processes[which].pid;
                    // The root stays, and who has children waits for them first.
                    if which > 0 && self.processes.iter().all(|other| other.parent != pid) {
                        let ended = self.processes.remove(which);
                        let parent = self.processes.iter_mut().find(|other| other.pid == ended.parent);
                        parent.unwrap().waited += ended.own + ended.waited;
                    }
                }
            }
        }
    }

    proptest! {
        /// However processes come and go between two looks: what they used is what is told, to the tick.
        #[test]
        fn nothing_is_lost_and_nothing_counts_twice(
            rounds in prop::collection::vec(prop::collection::vec((0_u8..4, 0_usize..50, 0_u64..100), 0..40), 2..8),
        ) {
            let mut family = Family { processes: vec![seen(1, 0, 0, 0)], next: 1, ..Family::default() };
            let (mut before, mut since) = (family.processes.clone(), 0);
            for round in rounds {
                family.used = 0;
                for step in round {
                    family.step(step);
                }
                prop_assert_eq!(used(&before, &family.processes, since, |_, _| false), family.used);
                (before, since) = (family.processes.clone(), family.clock + 1);
                family.clock += 1;
            }
        }
    }
}
