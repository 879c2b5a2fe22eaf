//! The processes below a root. Only those are looked at: to look at all of a machine's would cost milliseconds.
//!
//! Groups overlap: an agent is below its pane, a server below its agent. Each process is looked at once in a round, however
//! many groups count it.

use super::{TICKS, roots::Started};
use crate::proc::process::{self, Seen, children};
use std::{collections::HashMap, path::Path};

/// Walks, with its buffers kept.
#[derive(Debug, Default)]
pub(super) struct Walk {
    text: Vec<u8>,
    /// Numbers to look at, each with who has started it.
    waiting: Vec<(u32, u32)>,
    /// What has been looked at in this round; `None`: it is not there.
    known: HashMap<u32, Option<Node>>,
    /// How many more may be looked at in this round.
    left: usize,
    /// The machine's start by the clock on the wall, in seconds since 1970.
    booted: Option<u64>,
    without_lists: bool,
}

#[derive(Debug)]
struct Node {
    seen: Seen,
    children: Vec<u32>,
}

/// How far a walk has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// The process is not there any more, or its number is another's by now.
    Nothing,
    /// Some of what is below has not been looked at: there is more than may be.
    Part,
    /// All that is below.
    All,
}

impl Walk {
    /// Begins a round, in which so many processes may be looked at.
    pub(super) fn begin(&mut self, most: usize) {
        self.known.clear();
        self.left = most;
    }

    /// Looks at a process and all below it. What is found of when it started is written down.
    pub(super) fn below(
        &mut self,
        proc: &Path,
        pid: u32,
        started: &mut Option<Started>,
        seen: &mut Vec<Seen>,
    ) -> Reached {
        // Whether it is there is asked even where nothing more may be looked at: a group is not gone for that.
        let first = match self.known.get(&pid) {
            Some(known) => known.as_ref().map(|node| node.seen),
            None => process::look(proc, pid, &mut self.text),
        };
        let Some(first) = first.filter(|first| !first.ended) else { return Reached::Nothing };
        match *started {
            Some(Started::At(started)) if started != first.started => return Reached::Nothing,
            Some(Started::Before(spoken)) if self.began(proc, &first).is_some_and(|began| began > spoken + 1) => {
                return Reached::Nothing;
            }
            _ => *started = Some(Started::At(first.started)),
        }
        self.waiting.clear();
        self.waiting.push((pid, first.parent));
        while let Some((pid, parent)) = self.waiting.pop() {
            if !self.visit(proc, pid) {
                return Reached::Part;
            }
            // A number that was given away since has another parent.
            let node = self.known.get(&pid).and_then(Option::as_ref).filter(|node| node.seen.parent == parent);
            if let Some(node) = node {
                seen.push(node.seen);
                self.waiting.extend(node.children.iter().map(|child| (*child, pid)));
            }
        }
        Reached::All
    }

    /// Looks at one process, unless that has been done in this round. `false`: it may not be any more.
    fn visit(&mut self, proc: &Path, pid: u32) -> bool {
        if self.known.contains_key(&pid) {
            return true;
        }
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let node = process::look(proc, pid, &mut self.text).map(|seen| {
            let mut below = Vec::new();
            self.without_lists |= !children(proc, pid, &mut self.text, &mut below);
            Node { seen, children: below }
        });
        self.known.insert(pid, node);
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
