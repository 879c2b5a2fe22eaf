//! What a pane's program has said, region by region, and which rule knows it. Bounded: the last of each.

use super::{
    rules::{MOST_LINES, Rules},
    settings::{Evidence, Region, Status},
};
use std::time::{Duration, Instant};

/// Bytes that are kept of what was said at once.
const LONGEST: usize = 512;

/// Bytes of a tail's line.
const LONGEST_LINE: usize = 512;

/// Operating system commands that are kept, the last of each code; when there are more the oldest goes.
const MOST_CODES: usize = 8;

/// Output must have gone on for this long before it means anything: a prompt or an echo is not work.
pub(super) const SUSTAINED: Duration = Duration::from_secs(1);

/// Something that was said, and when.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) at: Instant,
    /// It stood there when it was looked at first. Nobody knows since when: what holds only for a while does not hold.
    pub(super) stood: bool,
}

/// Output that went on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) first: Instant,
    pub(super) last: Instant,
}

/// All that is known of what a program has said.
#[derive(Debug, Default)]
pub(super) struct Regions {
    /// By code, the oldest first.
    pub(super) commands: Vec<(u16, Said)>,
    pub(super) title: Option<Said>,
    pub(super) output: Option<Run>,
    /// Its lines, not empty, joined.
    pub(super) tail: Option<Said>,
    /// Something was said after the tail was read: the screen may say something else by now.
    pub(super) tail_is_old: bool,
}

/// What a region says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) status: Status,
    pub(super) evidence: Evidence,
    /// The rule's index; output has none.
    pub(super) rule: Option<usize>,
}

/// Who listens, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listener<'a> {
    pub(super) rules: &'a Rules,
    pub(super) agent: &'a str,
    /// When the agent was started. What was said before it was said by another program.
    pub(super) since: Option<Instant>,
    pub(super) now: Instant,
}

impl Regions {
    pub(super) fn hear_command(&mut self, code: u16, text: &str, at: Instant) {
        // What 9 says is progress when it begins so, and a message otherwise.
        let progress = |code: u16, text: &str| code == 9 && text.starts_with("4;");
        self.commands.retain(|(known, said)| {
            *known != code || progress(code, text) != progress(code, said.text.get(2..).unwrap_or_default())
        });
        if self.commands.len() == MOST_CODES {
            self.commands.remove(0);
        }
        let text = format!("{code};{}", cut(text, LONGEST));
        self.commands.push((code, Said { text, at, stood: false }));
        self.tail_is_old = true;
    }

    pub(super) fn hear_title(&mut self, text: &str, at: Instant, stood: bool) {
        self.title = Some(Said { text: cut(text, LONGEST).to_owned(), at, stood });
        self.tail_is_old = true;
    }

    pub(super) fn hear_output(&mut self, at: Instant, pause: Duration) {
        let first = match self.output {
            Some(run) if at.saturating_duration_since(run.last) < pause => run.first,
            _ => at,
        };
        self.output = Some(Run { first, last: at });
        self.tail_is_old = true;
    }

    pub(super) fn hear_tail(&mut self, text: &str, at: Instant) {
        let lines = text.lines().rev().map(str::trim_end).filter(|line| !line.is_empty());
        let mut last: Vec<&str> = lines.take(usize::from(MOST_LINES)).map(|line| cut(line, LONGEST_LINE)).collect();
        last.reverse();
        self.tail = Some(Said { text: last.join("\n"), at, stood: false });
        self.tail_is_old = false;
    }

    /// What decides: the most trusted word, or a more exact one of a less trusted region. The second is the word that was
    /// refined, if one was.
    pub(super) fn decide(&self, listener: Listener<'_>) -> Option<(Word, Option<Word>)> {
        let words = [
            self.command(listener, None),
            self.titled(listener, None),
            self.printing(listener),
            self.shown(listener, None),
        ];
        let first = words.into_iter().flatten().next()?;
        let refined = Some(first.status);
        let mut finer =
            [(Evidence::Title, self.titled(listener, refined)), (Evidence::Tail, self.shown(listener, refined))]
                .into_iter()
                .filter(|(evidence, _)| *evidence > first.evidence)
                .filter_map(|(_, word)| word);
        Some(finer.next().map_or((first, None), |word| (word, Some(first))))
    }

    /// The newest operating system command that a rule knows. `refining`: only rules that refine that status.
    fn command(&self, listener: Listener<'_>, refining: Option<Status>) -> Option<Word> {
        self.commands.iter().rev().find_map(|(_, said)| listener.word(Region::Osc, said, refining))
    }

    fn titled(&self, listener: Listener<'_>, refining: Option<Status>) -> Option<Word> {
        listener.word(Region::Title, self.title.as_ref()?, refining)
    }

    fn printing(&self, listener: Listener<'_>) -> Option<Word> {
        let run = self.output?;
        let counts = listener.rules.output_means_busy(listener.agent)
            && run.last.saturating_duration_since(run.first) >= SUSTAINED
            && listener.now.saturating_duration_since(run.last) < listener.rules.quiet_after;
        counts.then_some(Word { status: Status::Busy, evidence: Evidence::Output, rule: None })
    }

    fn shown(&self, listener: Listener<'_>, refining: Option<Status>) -> Option<Word> {
        if self.tail_is_old {
            return None;
        }
        listener.word(Region::Tail, self.tail.as_ref()?, refining)
    }

    /// When something ceases to count that counts now.
    pub(super) fn ends(&self, listener: Listener<'_>) -> Option<Instant> {
        let output = self.printing(listener).and(self.output).map(|run| run.last + listener.rules.quiet_after);
        let title = self.titled(listener, None).zip(self.title.as_ref());
        let commands = self.command(listener, None).and_then(|word| {
            let by_rule =
                |(_, said): &&(u16, Said)| word.rule.is_some_and(|rule| listener.rules.at(rule).matches(&said.text));
            self.commands.iter().rev().find(by_rule).map(|(_, said)| (word, said))
        });
        let held = [title, commands].into_iter().flatten().filter_map(|(word, said)| {
            let holds = listener.rules.at(word.rule?).holds?;
            said.at.checked_add(holds)
        });
        held.chain(output).min()
    }
}

impl Listener<'_> {
    /// Whether it was this agent who said it.
    pub(super) fn heard(&self, said: &Said) -> bool {
        self.since.is_none_or(|since| said.at >= since)
    }

    /// Whether what was said then still counts by a rule.
    pub(super) fn holds(&self, rule: usize, said: &Said) -> bool {
        let holds = self.rules.at(rule).holds;
        holds.is_none_or(|holds| !said.stood && self.now.saturating_duration_since(said.at) < holds)
    }

    /// What the rules make of it.
    fn word(&self, region: Region, said: &Said, refining: Option<Status>) -> Option<Word> {
        if !self.heard(said) {
            return None;
        }
        let counts = |index: usize| refining.is_none() || self.rules.at(index).refines == refining;
        let (index, rule) = self.rules.of(self.agent, region).find(|(index, rule)| {
            counts(*index) && self.holds(*index, said) && rule.matches(seen_by(region, &said.text, rule.lines))
        })?;
        Some(Word { status: rule.state, evidence: region.evidence(), rule: Some(index) })
    }
}

/// What a rule sees of a region: of the tail its last lines, otherwise all.
pub(super) fn seen_by(region: Region, text: &str, lines: usize) -> &str {
    if region != Region::Tail {
        return text;
    }
    let mut from = text.rmatch_indices('\n').map(|(at, _)| at + 1);
    from.nth(lines.saturating_sub(1)).map_or(text, |from| &text[from..])
}

/// At most so many bytes, whole characters.
fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
