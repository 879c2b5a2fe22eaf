//! What a source says, and what the task does about it: events to the bus, answers to their askers, endings to the end.

use super::{
    command::Reply,
    gate::Admitted,
    generation::{Generation, in_words},
    said::Said,
    shared::{Counters, News},
    task::{Ended, Task},
};
use headwater_abi::state;
use serde_json::json;
use std::{
    mem,
    time::{Duration, Instant as StdInstant},
};
use tokio::time::{Instant, timeout, timeout_at};

/// What an instance gets beyond its grace, to tell how it ended.
const SLACK: Duration = Duration::from_millis(500);
/// How long the rest of what a killed instance sent may take.
const REST: Duration = Duration::from_secs(2);
/// Refused events are told at most this often.
const TELL: Duration = Duration::from_secs(1);
/// Reasons told at once; what comes beyond is counted to the last one. A source can make up reasons without end.
const REASONS: usize = 8;

/// What follows from something that was said.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Nothing.
    Go,
    /// It runs now.
    Runs,
    /// It does not run any more, or must not.
    End(End),
}

/// How an instance comes to its end.
#[derive(Debug)]
pub(crate) enum End {
    /// It does not take its settings, or cannot be loaded.
    Refused(String),
    /// It says that it is done.
    Finished,
    /// It says that it failed.
    Failed(String),
    /// Nothing more comes from it.
    Closed,
    /// It must be killed, and why.
    Kill(String),
}

/// Events that were refused and not yet told, by reason.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    waiting: Vec<(String, u64)>,
    told: Option<StdInstant>,
}

impl Refusals {
    /// The next ones are told at once.
    pub(crate) fn forget_when_told(&mut self) {
        self.told = None;
    }
}

impl Task {
    /// Deals with one thing that was said.
    pub(crate) fn heed(&mut self, generation: &mut Generation, said: Said) -> Turn {
        match said {
            Said::Events { admitted, credit } => {
                self.publish(admitted);
                generation.credit(credit);
            }
            Said::Reply { request, json } => match Reply::read(&json) {
                Reply::Alive => generation.is_alive(request),
                Reply::Dropped { channel, count } => {
                    self.dropped(count, &format!("its queue was full when it emitted on `{channel}`"));
                }
                Reply::Answer(answer) => generation.pending.answer(request, answer),
            },
            Said::Delivered(count) => generation.delivered(count),
            Said::Subscribe(json) => generation.subscribe(&self.inner, &json),
            Said::Dropped { count, why } => self.dropped(count.into(), &why.to_string()),
            Said::BadLine(why) => self.dropped(1, &format!("a line is neither an event nor an answer: {why}")),
            Said::State { state: state::STOPPED, .. } => return Turn::End(End::Finished),
            Said::State { state: state::FAILED, detail } => return Turn::End(End::Failed(detail)),
            Said::State { state: state::PANICKED, detail } => {
                return Turn::End(End::Failed(format!("panicked: {detail}")));
            }
            Said::Started => return Turn::Runs,
            Said::Hello(hello) => {
                generation.wants_heartbeat(hello.heartbeat);
                self.shared.greeted(hello.version, hello.commands);
                return Turn::Runs;
            }
            Said::Failed(reason) => return Turn::End(End::Refused(reason)),
            Said::NotNow(reason) => return Turn::End(End::Kill(reason)),
            Said::Broken => return Turn::End(End::Kill("sent bytes that are no frame".into())),
            Said::Closed => return Turn::End(End::Closed),
            Said::Loaded | Said::Stopped(_) | Said::State { .. } => {}
        }
        Turn::Go
    }

    fn publish(&mut self, admitted: Admitted) {
        let Admitted { drafts, bytes, refused } = admitted;
        let count = drafts.len() as u64;
        if count > 0 {
            match self.inner.ports.publish(drafts) {
                Ok(()) => {
                    let counters = &self.shared.counters;
                    Counters::add(&counters.events, count);
                    Counters::add(&counters.batches, 1);
                    Counters::add(&counters.bytes, bytes);
                }
                Err(error) => self.dropped(count, &format!("the bus refused them: {error}")),
            }
        }
        for (why, count) in refused {
            self.dropped(count.into(), &why.to_string());
        }
    }

    /// Counts events that never got a position, and tells of them now and then.
    fn dropped(&mut self, count: u64, why: &str) {
        Counters::add(&self.shared.counters.dropped, count);
        let waiting = &mut self.refusals.waiting;
        let full = waiting.len() == REASONS;
        match waiting.iter_mut().find(|(known, _)| known == why) {
            Some((_, sum)) => *sum += count,
            None if full => waiting[REASONS - 1].1 += count,
            None => waiting.push((why.to_owned(), count)),
        }
        self.tell_dropped();
    }

    /// Tells what was not told yet, when it is time to.
    pub(crate) fn tell_dropped(&mut self) {
        if self.refusals.told.is_some_and(|told| told.elapsed() < TELL) {
            return;
        }
        let waiting = mem::take(&mut self.refusals.waiting);
        let Some((first, rest)) = waiting.split_first() else { return };
        self.refusals.told = Some(StdInstant::now());
        let mut why = first.0.clone();
        if !rest.is_empty() {
            let counted = waiting.iter().map(|(why, count)| format!("{count} times: {why}"));
            why = counted.collect::<Vec<_>>().join("; ");
        }
        let count: u64 = waiting.iter().map(|(_, count)| count).sum();
        self.shared.tell(News::Dropped, Some(&why), &[("dropped", json!(count))]);
    }

    /// Brings an instance to the end that it has come to itself, or must come to.
    pub(crate) async fn finish(&mut self, mut generation: Generation, end: End) -> Ended {
        let up = generation.began.elapsed();
        let ended = match end {
            End::Finished => {
                self.retire(&mut generation, "finished").await;
                return Ended::Finished("finished".into());
            }
            End::Failed(reason) | End::Refused(reason) => {
                self.retire(&mut generation, &reason).await;
                return Ended::Failed(reason, up);
            }
            End::Kill(reason) => {
                generation.kill();
                self.drain(&mut generation, Instant::now() + REST).await;
                let _ = generation.ending().await;
                Ended::Failed(reason, up)
            }
            End::Closed => match generation.ending().await {
                (_, true) => Ended::Finished("finished".into()),
                (reason, false) => Ended::Failed(reason, up),
            },
        };
        if let Ended::Failed(reason, _) | Ended::Finished(reason) = &ended {
            generation.pending.end(&self.shared.name, reason);
        }
        ended
    }

    /// Asks an instance to end, takes all that it still says, and kills it when its grace is over.
    pub(crate) async fn retire(&mut self, generation: &mut Generation, why: &str) {
        let grace = generation.config.grace;
        generation.stop();
        if !self.drain(generation, Instant::now() + grace + SLACK).await {
            tracing::warn!(
                source = &*self.shared.name,
                "`{}` did not stop within {}; it is killed",
                self.shared.name,
                in_words(grace)
            );
            generation.kill();
            self.drain(generation, Instant::now() + REST).await;
        }
        let _ = generation.ending().await;
        generation.pending.end(&self.shared.name, why);
    }

    /// Takes what comes until nothing more does. `false`: there was more, or it had not ended when it said so.
    async fn drain(&mut self, generation: &mut Generation, deadline: Instant) -> bool {
        while let Ok(said) = timeout_at(deadline, generation.next()).await {
            match said {
                Said::Closed | Said::Broken => return true,
                Said::Stopped(false) => return false,
                Said::Stopped(true) => {
                    // All it had was sent before this. It closes its link now; that is not worth waiting for.
                    let _ = timeout(SLACK, generation.next()).await;
                    return true;
                }
                said => drop(self.heed(generation, said)),
            }
        }
        false
    }
}
