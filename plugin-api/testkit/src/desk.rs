//! What the host side of a test has on its desk: everything that the source sent, until the test takes it.

use crate::{event::TestEvent, waiting::Bell};
use serde_json::Value;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Events that the test has not read yet. Beyond it the queue is full, as a daemon's would be.
const QUEUE: usize = 10_000;

/// Log records that are kept; older ones go.
const LOG: usize = 10_000;

/// How a source came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `run` returned `Ok`.
    Stopped,
    /// `run` returned this error.
    Failed(String),
    /// The source, or one of its tasks, panicked with this text.
    Panicked(String),
}

/// A log record of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// 1 error, 2 warn, 3 info, 4 debug, 5 trace.
    pub level: u8,
    /// The module, or the target that the statement names.
    pub target: String,
    /// The message with its fields.
    pub message: String,
}

/// One source's desk.
#[derive(Debug)]
pub(crate) struct Desk {
    papers: Mutex<Papers>,
    /// Rings whenever something has come.
    pub(crate) bell: Bell,
}

/// What lies on it.
#[derive(Debug)]
pub(crate) struct Papers {
    /// Patterns of the channels that the manifest lets it emit on.
    pub(crate) emits: Vec<String>,
    pub(crate) events: VecDeque<TestEvent>,
    /// How many events may lie here.
    pub(crate) limit: usize,
    pub(crate) snapshots: BTreeMap<(String, String), TestEvent>,
    pub(crate) log: VecDeque<LogRecord>,
    /// Answers by the number of the request.
    pub(crate) answers: BTreeMap<u64, Vec<Value>>,
    pub(crate) dropped: BTreeMap<String, u64>,
    pub(crate) subscriptions: BTreeMap<u64, Value>,
    pub(crate) running: bool,
    pub(crate) outcome: Option<Outcome>,
    /// What a daemon would not have let pass.
    pub(crate) faults: Vec<String>,
}

impl Desk {
    pub(crate) fn new(emits: Vec<String>) -> Self {
        let papers = Papers {
            emits,
            events: VecDeque::new(),
            limit: QUEUE,
            snapshots: BTreeMap::new(),
            log: VecDeque::new(),
            answers: BTreeMap::new(),
            dropped: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            running: false,
            outcome: None,
            faults: Vec::new(),
        };
        Self { papers: Mutex::new(papers), bell: Bell::default() }
    }

    /// The papers. A test that failed with them in hand does not spoil them for the message about it.
    pub(crate) fn papers(&self) -> MutexGuard<'_, Papers> {
        self.papers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Papers {
    /// Takes an event. `false`: the queue is full.
    pub(crate) fn take_event(&mut self, event: Result<TestEvent, String>) -> bool {
        let event = match event {
            Ok(event) => event,
            Err(fault) => {
                self.faults.push(fault);
                return true;
            }
        };
        if self.events.len() >= self.limit {
            return false;
        }
        if !self.emits.iter().any(|pattern| fits(pattern, &event.channel)) {
            self.faults.push(format!(
                "the source emitted on `{}`; its manifest declares emits: {:?}, so a daemon would refuse the event",
                event.channel, self.emits
            ));
        }
        if let Some(key) = &event.retained {
            self.snapshots.insert((event.channel.clone(), key.clone()), event.clone());
        }
        if let Some(key) = &event.forgets {
            self.snapshots.remove(&(event.channel.clone(), key.clone()));
        }
        self.events.push_back(event);
        true
    }

    pub(crate) fn take_log(&mut self, record: LogRecord) {
        if self.log.len() >= LOG {
            self.log.pop_front();
        }
        self.log.push_back(record);
    }

    pub(crate) fn take_answer(&mut self, request: u64, answer: Value) {
        if request == 0 && answer["status"] == "dropped" {
            let channel = answer["channel"].as_str().unwrap_or("?").to_owned();
            *self.dropped.entry(channel).or_default() += answer["count"].as_u64().unwrap_or(0);
        } else {
            self.answers.entry(request).or_default().push(answer);
        }
    }

    pub(crate) fn take_subscription(&mut self, request: Value) {
        let Some(number) = request["subscription"].as_u64() else {
            self.faults.push(format!("a subscription without a number: {request}"));
            return;
        };
        if request["unsubscribe"] == true {
            self.subscriptions.remove(&number);
        } else {
            self.subscriptions.insert(number, request);
        }
    }

    /// What the source did so far, for the message of a test that waits in vain.
    pub(crate) fn summary(&self) -> String {
        use std::fmt::Write as _;
        let mut text = match &self.outcome {
            Some(outcome) => format!("the source has ended: {outcome:?}"),
            None if self.running => "the source is running".into(),
            None => "the source has not started to run".into(),
        };
        let _ = write!(text, "; {} events wait unread", self.events.len());
        for event in self.events.iter().rev().take(3) {
            let _ = write!(text, "\n  event {} on {}: {}", event.kind, event.channel, event.data);
        }
        for record in self.log.iter().rev().take(10).rev() {
            let _ = write!(text, "\n  log {} {}: {}", record.level, record.target, record.message);
        }
        text
    }
}

/// Whether a name fits a pattern with `*` and `?`.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    match pattern.chars().next() {
        None => name.is_empty(),
        Some('*') => (0..=name.len()).any(|at| name.is_char_boundary(at) && fits(&pattern[1..], &name[at..])),
        Some(first) => {
            let mut rest = name.chars();
            rest.next().is_some_and(|c| first == '?' || c == first) && fits(&pattern[first.len_utf8()..], rest.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns_match_as_in_the_daemon() {
        assert!(fits("disk", "disk") && !fits("disk", "disk2") && !fits("disk", "dis"));
        assert!(fits("disk:*", "disk:") && fits("disk:*", "disk:a:b") && !fits("disk:*", "disk"));
        assert!(fits("a?c", "abc") && !fits("a?c", "ac"));
        assert!(fits("*:b", "a:b:b"));
    }
}
