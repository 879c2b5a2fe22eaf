//! The processes below a root. Only those are looked at: to look at all of a machine's would cost milliseconds.

use super::{
    TICKS,
    roots::{Root, Started},
};
use crate::proc::process::{self, Seen, children};
use std::path::Path;

/// Walks, with its buffers kept.
#[derive(Debug, Default)]
pub(super) struct Walk {
    text: Vec<u8>,
    children: Vec<u32>,
    /// Numbers to look at, each with who has started it.
    waiting: Vec<(u32, u32)>,
    /// The machine's start by the clock on the wall, in seconds since 1970.
    booted: Option<u64>,
    without_lists: bool,
}

impl Walk {
    /// Looks at the root and all below it, as far as `left` allows. `false` where the root is not there any more, or its
    /// number is another's by now.
    pub(super) fn below(&mut self, proc: &Path, root: &mut Root, left: &mut usize, seen: &mut Vec<Seen>) -> bool {
        let first = process::look(proc, root.pid, &mut self.text).filter(|first| !first.ended);
        let Some(first) = first else { return false };
        match root.started {
            Some(Started::At(started)) if started != first.started => return false,
            Some(Started::Before(spoken)) if self.began(proc, &first).is_some_and(|began| began > spoken + 1) => {
                return false;
            }
            _ => root.started = Some(Started::At(first.started)),
        }
        self.waiting.clear();
        let mut next = Some(first);
        while *left > 0 {
            let looked = next.take().or_else(|| {
                let (pid, parent) = self.waiting.pop()?;
                // A number that was given away since has another parent.
                process::look(proc, pid, &mut self.text).filter(|process| process.parent == parent)
            });
            let Some(process) = looked else {
                if self.waiting.is_empty() {
                    break;
                }
                continue;
            };
            *left -= 1;
            seen.push(process);
            self.children.clear();
            self.without_lists |= !children(proc, process.pid, &mut self.text, &mut self.children);
            self.waiting.extend(self.children.iter().map(|child| (*child, process.pid)));
        }
        true
    }

    /// Why what is below is not known.
    pub(super) fn fault(&self) -> Option<String> {
        self.without_lists.then(|| "the kernel does not tell which processes one has started".to_owned())
    }

    /// When a process began, in seconds since 1970, a second more or less.
    fn began(&mut self, proc: &Path, process: &Seen) -> Option<u64> {
        if self.booted.is_none() {
            let stat = std::fs::read_to_string(proc.join("stat")).ok()?;
            let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
            self.booted = line.trim().parse().ok();
        }
        Some(self.booted? + process.started / TICKS)
    }
}
