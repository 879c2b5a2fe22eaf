//! The rules, compiled and in their order, and why a list of them is refused. What a pattern may cost is bounded here:
//! its length, what it weighs once it is compiled, and how many there are.

use super::{
    programs::Programs,
    settings::{AgentConfig, Evidence, Region, RuleConfig, Settings, Status},
};
use headwater_plugin::Period;
use regex::{Regex, RegexBuilder};
use std::{collections::HashSet, time::Duration};

/// Rules of a list. Each is tried on what its region says whenever that changes.
const MOST: usize = 256;

/// Bytes of a pattern.
const LONGEST: usize = 512;

/// Bytes that a compiled pattern may take. Without a limit a short one such as `\w{1000}` takes a third of a second to
/// compile, and all panes wait for it.
const HEAVIEST: usize = 64 * 1024;

/// Bytes for the states that matching makes; beyond it they are made anew.
const STATES: usize = 64 * 1024;

/// Brackets in brackets.
const DEEPEST: u32 = 50;

/// Lines of a tail.
pub(super) const MOST_LINES: u8 = 40;

/// The agents and rules of some settings.
#[derive(Debug)]
pub struct Rules {
    programs: Programs,
    /// By region, most trusted first; then by priority; then as they were written.
    list: Vec<Rule>,
    pub(super) settle: Duration,
    pub(super) quiet_after: Duration,
}

/// A rule that can be tried.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) agent: String,
    pub(super) region: Region,
    pub(super) state: Status,
    pub(super) priority: i32,
    pub(super) lines: usize,
    pub(super) refines: Option<Status>,
    pub(super) holds: Option<Duration>,
    regex: Regex,
}

/// Why a list of agents and rules is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Too many.
    #[error("{count} rules are too many: leave out some, or set `shipped` to false; {MOST} are possible")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// One has no name.
    #[error("a rule with the regex `{regex}` has no name: give it one, events name the rule that decided")]
    Unnamed {
        /// Its pattern, cut.
        regex: String,
    },
    /// Two of the settings have the same name.
    #[error("two {what} are called `{name}`: call one of them otherwise")]
    Twice {
        /// "rules" or "agents".
        what: &'static str,
        /// The name.
        name: String,
    },
    /// No such agent.
    #[error(
        "rule `{rule}` is for the agent `{agent}`, which does not exist: name one of {known}, or \"*\" for all, or add it to `agents`"
    )]
    UnknownAgent {
        /// The rule.
        rule: String,
        /// What it says.
        agent: String,
        /// What there is.
        known: String,
    },
    /// An agent that no process can be.
    #[error("agent `{agent}` has neither `programs` nor `packages`: name the program that runs it")]
    NoPrograms {
        /// The agent.
        agent: String,
    },
    /// The pattern is too long.
    #[error(
        "rule `{rule}`: its regex has {length} bytes, and {LONGEST} are allowed: write two rules with the same state"
    )]
    TooLong {
        /// The rule.
        rule: String,
        /// Bytes.
        length: usize,
    },
    /// The pattern is too large once compiled.
    #[error(
        "rule `{rule}`: its regex is too large once it is compiled: make repetitions such as {{100}} smaller, and write \
         [0-9A-Za-z] for \\w and [0-9] for \\d in them"
    )]
    TooLarge {
        /// The rule.
        rule: String,
    },
    /// The pattern is wrong.
    #[error(
        "rule `{rule}`: its regex `{regex}` is not understood: {reason}; to mean a character such as ( or [ itself, write \\ before it"
    )]
    Syntax {
        /// The rule.
        rule: String,
        /// Its pattern.
        regex: String,
        /// What is wrong.
        reason: String,
    },
    /// The pattern matches everything, and so tells nothing apart.
    #[error(
        "rule `{rule}`: its regex matches the empty text, and so everything: say what must be there; `.` is anything at all"
    )]
    MatchesAll {
        /// The rule.
        rule: String,
    },
    /// A number of lines that cannot be.
    #[error("rule `{rule}`: `lines` is {lines}: write a number from 1 to {MOST_LINES}")]
    Lines {
        /// The rule.
        rule: String,
        /// What it says.
        lines: u8,
    },
    /// There is nothing to refine.
    #[error(
        "rule `{rule}` refines what more trusted regions say, and there is none above \"osc\": leave out `refines`"
    )]
    NothingAbove {
        /// The rule.
        rule: String,
    },
    /// It says what it refines.
    #[error("rule `{rule}` refines `{state}` to the same `{state}`: leave out `refines`")]
    SameState {
        /// The rule.
        rule: String,
        /// The state.
        state: &'static str,
    },
}

impl Rules {
    /// Compiles the rules of some settings, with the shipped ones if those count.
    pub fn new(settings: &Settings) -> Result<Self, RuleError> {
        let agents = settings.agents();
        let configs = settings.rules();
        if configs.len() > MOST {
            return Err(RuleError::TooMany { count: configs.len() });
        }
        distinct("agents", agents.iter().map(|agent| agent.name.as_str()))?;
        distinct("rules", configs.iter().map(|rule| rule.name.as_str()))?;
        if let Some(agent) = agents.iter().find(|agent| agent.programs.is_empty() && agent.packages.is_empty()) {
            return Err(RuleError::NoPrograms { agent: agent.name.clone() });
        }
        let mut rules = configs.iter().map(|rule| Rule::new(rule, &agents)).collect::<Result<Vec<_>, _>>()?;
        // Stable: of equals, the one that was written first stays first.
        rules.sort_by_key(|rule| (rule.region.evidence(), std::cmp::Reverse(rule.priority)));
        Ok(Self {
            programs: Programs::new(&agents),
            list: rules,
            settle: settings.settle.duration(),
            quiet_after: settings.quiet_after.duration(),
        })
    }

    /// The agent that a command line runs, if it is one. For a process, see [`super::foreground`]; where only the name of
    /// a command is known, that name alone will do.
    pub fn agent_of<S: AsRef<str>>(&self, argv: &[S]) -> Option<&str> {
        self.programs.agent_of(argv)
    }

    pub(super) fn output_means_busy(&self, agent: &str) -> bool {
        self.programs.output_means_busy(agent)
    }

    /// An agent's rules for a region, in their order. The index is the rule's for good.
    pub(super) fn of<'a>(&'a self, agent: &'a str, region: Region) -> impl Iterator<Item = (usize, &'a Rule)> {
        let fits = move |rule: &Rule| rule.region == region && (rule.agent == agent || rule.agent == "*");
        self.list.iter().enumerate().filter(move |(_, rule)| fits(rule))
    }

    pub(super) fn at(&self, index: usize) -> &Rule {
        &self.list[index]
    }

    /// How many lines of the tail an agent's rules see at most. Those of `refining` are for that status; else all.
    pub(super) fn lines(&self, agent: &str, refining: Option<Status>) -> Option<usize> {
        let counts = |rule: &&Rule| refining.is_none() || rule.refines == refining;
        self.of(agent, Region::Tail).map(|(_, rule)| rule).filter(counts).map(|rule| rule.lines).max()
    }
}

impl Rule {
    fn new(config: &RuleConfig, agents: &[AgentConfig]) -> Result<Self, RuleError> {
        let rule = || config.name.clone();
        if config.name.trim().is_empty() {
            return Err(RuleError::Unnamed { regex: config.regex.chars().take(60).collect() });
        }
        if config.agent != "*" && !agents.iter().any(|agent| agent.name == config.agent) {
            let known = agents.iter().map(|agent| format!("`{}`", agent.name)).collect::<Vec<_>>().join(", ");
            return Err(RuleError::UnknownAgent { rule: rule(), agent: config.agent.clone(), known });
        }
        if config.lines == 0 || config.lines > MOST_LINES {
            return Err(RuleError::Lines { rule: rule(), lines: config.lines });
        }
        if config.refines.is_some() && config.region.evidence() == Evidence::Osc {
            return Err(RuleError::NothingAbove { rule: rule() });
        }
        if config.refines == Some(config.state) {
            return Err(RuleError::SameState { rule: rule(), state: config.state.as_str() });
        }
        let regex = compile(config)?;
        if regex.is_match("") {
            return Err(RuleError::MatchesAll { rule: rule() });
        }
        Ok(Self {
            name: rule(),
            agent: config.agent.clone(),
            region: config.region,
            state: config.state,
            priority: config.priority,
            lines: usize::from(config.lines),
            refines: config.refines,
            holds: config.holds.map(Period::duration),
            regex,
        })
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

fn compile(config: &RuleConfig) -> Result<Regex, RuleError> {
    if config.regex.len() > LONGEST {
        return Err(RuleError::TooLong { rule: config.name.clone(), length: config.regex.len() });
    }
    let built =
        RegexBuilder::new(&config.regex).size_limit(HEAVIEST).dfa_size_limit(STATES).nest_limit(DEEPEST).build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => RuleError::TooLarge { rule: config.name.clone() },
        error => {
            // It draws the pattern with a caret below; the last line says what is wrong.
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            RuleError::Syntax { rule: config.name.clone(), regex: config.regex.clone(), reason: last }
        }
    })
}

fn distinct<'a>(what: &'static str, names: impl Iterator<Item = &'a str>) -> Result<(), RuleError> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(RuleError::Twice { what, name: name.to_owned() });
        }
    }
    Ok(())
}
