//! Why an agent is said to do what it does: which rule decided, what each region held, which rules were tried.

use super::{
    heard::{Listener, Run, Said, seen_by},
    pane::PaneAgent,
    settings::{Evidence, Region, Status},
};
use headwater_plugin::prelude::*;
use std::time::Instant;

/// Why an agent is said to do what it does. It holds text of the pane: only for those who may capture it.
#[payload]
#[derive(Clone, Debug)]
pub struct Explanation {
    /// In one sentence.
    pub summary: String,
    /// The agent in the foreground; absent when there is none.
    pub agent: Option<String>,
    /// The process in the foreground; absent when it is not known.
    pub pid: Option<u32>,
    /// What it was last said to do.
    pub status: &'static str,
    /// Since when.
    pub status_age_ms: Option<u64>,
    /// What speaks for the status that is seen now; absent when nothing says anything.
    pub decision: Option<Decision>,
    /// The status that is seen and not yet said.
    pub pending: Option<Pending>,
    /// What was heard, most trusted first.
    pub regions: Vec<Heard>,
}

/// What decided.
#[payload]
#[derive(Clone, Debug)]
pub struct Decision {
    /// The status.
    pub status: &'static str,
    /// Where it was seen.
    pub region: &'static str,
    /// The rule; output needs none.
    pub rule: Option<String>,
    /// What a more trusted region said less exactly.
    pub refines: Option<Box<Decision>>,
}

/// A status that must be seen for longer.
#[payload]
#[derive(Clone, Debug)]
pub struct Pending {
    /// The status.
    pub status: &'static str,
    /// When it is said if nothing comes between.
    pub in_ms: u64,
}

/// What was heard in a region.
#[payload]
#[derive(Clone, Debug)]
pub struct Heard {
    /// The region.
    pub region: &'static str,
    /// The text; absent when nothing was heard.
    pub text: Option<String>,
    /// How long ago.
    pub age_ms: Option<u64>,
    /// Why it does not count; absent when it does.
    pub ignored: Option<&'static str>,
    /// The rules that were tried, in their order.
    pub tried: Vec<Tried>,
}

/// A rule that was tried.
#[payload]
#[derive(Clone, Debug)]
pub struct Tried {
    /// Its name.
    pub rule: String,
    /// What it would say.
    pub state: &'static str,
    /// Its priority.
    pub priority: i32,
    /// Whether it found what it looks for.
    pub matched: bool,
    /// What it said counts no longer: longer ago than `holds` of the rule.
    pub expired: bool,
    /// What it refines.
    pub refines: Option<&'static str>,
}

impl PaneAgent {
    /// Why the agent is said to do what it does.
    pub fn explain(&self, now: Instant) -> Explanation {
        let listener = self.listener(now);
        let decided = listener.and_then(|listener| self.regions.decide(listener));
        let decision = decided.map(|(word, refined)| {
            let of = |word: super::heard::Word, refines| Decision {
                status: word.status.as_str(),
                region: word.evidence.as_str(),
                rule: word.rule.map(|rule| self.rules.at(rule).name.clone()),
                refines,
            };
            of(word, refined.map(|word| Box::new(of(word, None))))
        });
        let pending = self.pending.map(|(next, since)| Pending {
            status: next.as_str(),
            in_ms: milliseconds(self.delay(next).saturating_sub(now.saturating_duration_since(since))),
        });
        Explanation {
            summary: self.summary(decision.as_ref(), pending.as_ref()),
            agent: self.agent().map(str::to_owned),
            pid: self.process.as_ref().map(|process| process.pid),
            status: self.status.as_str(),
            status_age_ms: self.changed.map(|at| milliseconds(now.saturating_duration_since(at))),
            decision,
            pending,
            regions: listener.map(|listener| self.heard(listener)).unwrap_or_default(),
        }
    }

    fn summary(&self, decision: Option<&Decision>, pending: Option<&Pending>) -> String {
        let Some(agent) = self.agent() else {
            return match &self.process {
                Some(process) => format!("the program in the foreground, process {}, is no agent", process.pid),
                None => "no program is known to be in the foreground".to_owned(),
            };
        };
        let by = |decision: &Decision| match &decision.rule {
            Some(rule) => format!("rule `{rule}` says {} by the {}", decision.status, decision.region),
            None => format!("the {} says {}", decision.region, decision.status),
        };
        let mut parts = vec![format!("{agent} is {}", self.status.as_str())];
        match decision {
            None => parts.push("nothing says what it does".to_owned()),
            Some(decision) => {
                parts.push(by(decision));
                parts.extend(
                    decision.refines.as_ref().map(|refined| format!("that is more exact than: {}", by(refined))),
                );
            }
        }
        parts.extend(pending.map(|next| format!("{} is said in {} ms if that stays", next.status, next.in_ms)));
        parts.join("; ")
    }

    fn heard(&self, listener: Listener<'_>) -> Vec<Heard> {
        let mut all: Vec<Heard> = Vec::new();
        let commands = self.regions.commands.iter().rev();
        all.extend(commands.map(|(_, said)| of_text(listener, Region::Osc, Some(said), None)));
        if all.is_empty() {
            all.push(of_text(listener, Region::Osc, None, None));
        }
        all.push(of_text(listener, Region::Title, self.regions.title.as_ref(), None));
        all.push(of_output(listener, self.regions.output));
        let old = self.regions.tail_is_old.then_some("something was said since, and the screen was not read again");
        all.push(of_text(listener, Region::Tail, self.regions.tail.as_ref(), old));
        all
    }
}

fn of_text(listener: Listener<'_>, region: Region, said: Option<&Said>, ignored: Option<&'static str>) -> Heard {
    let tried = listener.rules.of(listener.agent, region).map(|(index, rule)| Tried {
        rule: rule.name.clone(),
        state: rule.state.as_str(),
        priority: rule.priority,
        matched: said.is_some_and(|said| rule.matches(seen_by(region, &said.text, rule.lines))),
        expired: said.is_some_and(|said| !listener.holds(index, said)),
        refines: rule.refines.map(Status::as_str),
    });
    let before = said.is_some_and(|said| !listener.heard(said)).then_some("said before the agent was started");
    Heard {
        region: region.evidence().as_str(),
        text: said.map(|said| said.text.clone()),
        age_ms: said.map(|said| milliseconds(listener.now.saturating_duration_since(said.at))),
        ignored: before.or(said.and(ignored)),
        tried: tried.collect(),
    }
}

fn of_output(listener: Listener<'_>, run: Option<Run>) -> Heard {
    let text = run.map(|run| {
        let length = run.last.saturating_duration_since(run.first);
        format!("printed for {} ms without a pause", milliseconds(length))
    });
    let ignored = (!listener.rules.output_means_busy(listener.agent))
        .then_some("this agent prints while it waits, too (`output_means_busy`)");
    Heard {
        region: Evidence::Output.as_str(),
        text,
        age_ms: run.map(|run| milliseconds(listener.now.saturating_duration_since(run.last))),
        ignored,
        tried: Vec::new(),
    }
}

fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
