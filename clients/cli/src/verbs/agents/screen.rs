//! The agents on a terminal: those that wait for somebody first.

use super::{
    answer::{Agent, Answer, Pane, RawText},
    order::{Kind, order, since},
};
use crate::{
    Column, Style, Table,
    clock::Clock,
    text::{cut, visible},
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// What is said of each.
const COLUMNS: [Column; 6] = [
    Column::text("STATUS"),
    Column::text("AGENT"),
    Column::number("SINCE"),
    Column::number("FOR"),
    Column::place("PANE"),
    Column::text("DOING"),
];

/// How agents are shown.
pub(super) struct Screen {
    pub(super) clock: Clock,
    pub(super) style: Style,
}

impl Kind {
    fn colour(self, style: Style, text: &str) -> String {
        match self {
            Self::Waiting => style.warning(style.bold(text)),
            Self::Failed => style.bad(text),
            Self::Working => style.good(text),
            Self::Done | Self::Idle | Self::Unknown | Self::Other => text.to_owned(),
            Self::Dead => style.dim(text),
        }
    }
}

impl Screen {
    /// The lines: a table, and below it how many there are of each.
    pub(super) fn lines(&self, answer: &Answer, width: usize, now: Timestamp) -> Vec<String> {
        if answer.agents.is_empty() {
            return vec![cut("no agents; have yours report: headwater hook install claude", width).into_owned()];
        }
        let order = order(&answer.agents);
        let agents: Vec<_> = order.iter().map(|place| &answer.agents[place.at]).map(|a| (Kind::of(a), a)).collect();
        let mut table = Table::new(&COLUMNS);
        for ((kind, agent), place) in agents.iter().zip(&order) {
            // A cell without text takes its column off a screen that is too narrow for it.
            let fits = |least: usize, text: Option<String>| text.filter(|_| width >= least).unwrap_or_default();
            let pane = agent.pane.as_ref().map(|pane| if width < 44 { id(pane).to_owned() } else { at(pane) });
            let branch =
                if place.depth == 0 { String::new() } else { format!("{}└ ", "  ".repeat((place.depth - 1).min(4))) };
            table.row(&[
                kind.word(),
                &format!("{branch}{}", name(agent)),
                &fits(72, since(agent).map(|since| self.clock.short(since, now))),
                &fits(28, since(agent).map(|since| length(since, now))),
                &fits(32, pane),
                &fits(56, Some(doing(*kind, agent))),
            ]);
        }
        let mut lines = table.lines(width, Style { colored: false });
        lines.push(counts(agents.iter().map(|(kind, _)| *kind)));
        for line in &mut lines {
            // A line that the terminal breaks would move all others.
            *line = cut(line, width).into_owned();
        }
        let last = lines.len() - 1;
        for at in [0, last] {
            lines[at] = self.style.dim(&lines[at]);
        }
        for (line, (kind, _)) in lines[1..last].iter_mut().zip(&agents) {
            // The status is the first column; only the narrowest screens cut it.
            if let Some(rest) = line.strip_prefix(kind.word()) {
                *line = match kind {
                    Kind::Dead => kind.colour(self.style, line),
                    kind => format!("{}{rest}", kind.colour(self.style, kind.word())),
                };
            }
        }
        lines
    }
}

/// `2 waiting, 5 working`.
fn counts(kinds: impl Iterator<Item = Kind>) -> String {
    let mut counted = BTreeMap::<Kind, usize>::new();
    for kind in kinds {
        *counted.entry(kind).or_default() += 1;
    }
    counted.iter().map(|(kind, count)| format!("{count} {}", kind.word())).collect::<Vec<_>>().join(", ")
}

/// What it is called. A name like `claude in web` is made of where it was found: beside its pane, the program says all.
fn name(agent: &Agent) -> &str {
    let name = agent.name.as_deref().filter(|name| !name.is_empty()).unwrap_or(&agent.id);
    let (Some(program), Some(_)) = (agent.emitter.as_deref(), &agent.pane) else { return name };
    let found = name.strip_prefix(program).is_some_and(|rest| rest.starts_with(" in "));
    if found { program } else { name }
}

/// What it waits for or ended of, what it does, or where.
fn doing(kind: Kind, agent: &Agent) -> String {
    let task = agent.task.as_ref();
    // Of one that works or is idle, it is only what it was told last.
    let reason = agent.reason.as_deref().filter(|_| matches!(kind, Kind::Waiting | Kind::Failed | Kind::Dead));
    if let Some(reason) = reason {
        let step = match kind {
            // Its last step may have ended before.
            Kind::Waiting => agent.waits_for.as_deref(),
            _ => task.and_then(|task| task.step.as_deref()),
        };
        return step.map_or_else(|| reason.to_owned(), |step| format!("{reason}: {step}"));
    }
    let step = task.and_then(|task| task.step.as_deref());
    let description = task.and_then(|task| task.description.as_deref());
    match (step, description) {
        (Some(step), Some(description)) => format!("{step}: {description}"),
        (Some(text), None) | (None, Some(text)) => text.to_owned(),
        // The end of a path says more than its beginning.
        (None, None) => agent.cwd.as_deref().map(|cwd| tail(cwd).to_owned()).unwrap_or_default(),
    }
}

/// The last two parts of a path.
fn tail(path: &str) -> &str {
    let mut slashes = path.char_indices().rev().filter(|(_, c)| *c == '/').map(|(at, _)| at);
    slashes.nth(1).map_or(path, |at| &path[at + 1..])
}

/// `api:1 %3`: what `tmux select-pane -t` takes is the last.
fn at(pane: &Pane) -> String {
    let window = pane.window.as_ref().map(|window| match window {
        RawText::Number(number) => number.to_string(),
        RawText::Text(text) => text.clone(),
    });
    let session = pane.session.as_deref().map(visible).unwrap_or_default();
    let window = window.map(|window| format!(":{window}")).unwrap_or_default();
    format!("{session}{window} {}", id(pane)).trim().to_owned()
}

/// `%3`.
fn id(pane: &Pane) -> &str {
    pane.id.as_deref().unwrap_or_default()
}

/// How long it has been so: `42s`, `3m`, `2h05`, `4d`.
fn length(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86400 => format!("{}h{:02}", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d", seconds / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    /// Ten agents of all kinds, with names as people and attackers give them.
    pub(crate) const TEN: &str = include_str!("ten.json");

    fn screen(colored: bool) -> Screen {
        Screen { clock: Clock::utc(), style: Style { colored } }
    }

    fn now() -> Timestamp {
        "2026-11-20T10:30:00Z".parse().unwrap()
    }

    #[test]
    fn ten_agents_fit_a_screen_with_those_first_that_wait() {
        let answer = Answer::read(TEN).unwrap();
        let lines = screen(false).lines(&answer, 80, now());
        expect![[r"
            STATUS   AGENT                 SINCE    FOR  PANE           DOING
            waiting  web                   10:21     8m  web:0 %5       permission: Bash
            waiting  release-notes-for-t…  10:28     1m  release:3 %16  answer
            failed   flaky-tests           10:26     4m  ci:0 %18       rate_limit
            working  planner               11-19  12h30                 plan the week
            working  migrations            09:25   1h04  db:2 %12       apply_patch: move t…
            working  api-refactor          10:27     2m  api:1 %3       Bash
            working  日本語のテスト        10:29    29s  i18n:0 %15     edit
            done     ␛]0;owned␇docs        10:12    18m  docs:0 %14     work/docs
            idle     fresh                 10:29    10s  scratch:0 %21  dev/scratch
            dead     search                10:25     4m                 exited
            2 waiting, 1 failed, 4 working, 1 done, 1 idle, 1 dead"]]
        .assert_eq(&lines.join("\n"));
    }

    /// Harm prevented: in a narrow pane every line breaks, and what is drawn over it is no table any more.
    #[test]
    fn no_line_is_wider_than_the_screen() {
        let answer = Answer::read(TEN).unwrap();
        for width in (1..=120).chain([200]) {
            for line in screen(false).lines(&answer, width, now()) {
                assert!(crate::text::width(&line) <= width, "{width}: {line}");
            }
        }
        expect![[r"
            STATUS   AGENT                 FOR  PANE
            waiting  web                    8m  %5
            waiting  release-notes-for…     1m  %16
            failed   flaky-tests            4m  %18
            working  planner             12h30
            working  migrations           1h04  %12
            working  api-refactor           2m  %3
            working  日本語のテスト        29s  %15
            done     ␛]0;owned␇docs        18m  %14
            idle     fresh                 10s  %21
            dead     search                 4m
            2 waiting, 1 failed, 4 working, 1 done,…"]]
        .assert_eq(&screen(false).lines(&answer, 40, now()).join("\n"));
    }

    /// Harm prevented: the ids that `tmux select-pane` takes are cut off, and nobody sees whose a subagent is.
    #[test]
    fn what_is_needed_to_go_there_is_never_cut() {
        let answer = Answer::read(
            r#"{"agents":[
            {"id":"1","name":"claude in mobile-application-redesign:0","emitter":"claude","status":"active",
             "since":"2026-11-20T10:27:48Z","pane":{"session":"mobile-application-redesign","window":0,"pane_id":"%9"}},
            {"id":"2","name":"claude in web","emitter":"claude","status":"active","since":"2026-11-20T10:20:00Z",
             "pane":{"session":"again","window":12,"pane_id":"%123"},"cwd":"/home/dev/work/a-long-directory-of-it"},
            {"id":"3","name":"Explore","emitter":"claude","status":"waiting","reason":"permission","parent":"1",
             "since":"2026-11-20T10:28:00Z"},
            {"id":"4","name":"deeper","emitter":"claude","status":"active","parent":"3"},
            {"id":"5","name":"a","status":"idle","parent":"6"},
            {"id":"6","name":"b","status":"idle","parent":"5"}]}"#,
        )
        .unwrap();
        let shown = [45, 80].map(|width| screen(false).lines(&answer, width, now()).join("\n")).join("\n\n");
        expect![[r"
            STATUS   AGENT       FOR  PANE
            working  claude       2m  mobile-applic…:0 %9
            waiting  └ Explore    2m
            working    └ deeper
            working  claude      10m  again:12 %123
            idle     a
            idle     └ b
            1 waiting, 3 working, 2 idle

            STATUS   AGENT       SINCE  FOR  PANE                     DOING
            working  claude      10:27   2m  mobile-applicatio…:0 %9
            waiting  └ Explore   10:28   2m                           permission
            working    └ deeper
            working  claude      10:20  10m  again:12 %123            work/a-long-directory…
            idle     a
            idle     └ b
            1 waiting, 3 working, 2 idle"]]
        .assert_eq(&shown);
        for width in 32..120 {
            let lines = screen(false).lines(&answer, width, now()).join("\n");
            assert!(lines.contains("%9") && lines.contains("%123"), "{width}: {lines}");
        }
    }

    #[test]
    fn colours_mark_the_status_and_nothing_steers_the_terminal() {
        let answer = Answer::read(TEN).unwrap();
        let lines = screen(true).lines(&answer, 80, now());
        assert!(lines[1].starts_with("\x1b[33m\x1b[1mwaiting"), "{:?}", lines[1]);
        let plain = lines.join("").replace("\x1b[0m", "");
        let others = plain.split("\x1b[").skip(1).filter(|rest| !rest.starts_with(['1', '2', '3']));
        assert_eq!(others.count(), 0, "{plain:?}");
        assert!(plain.contains("␛]0;owned␇"), "{plain:?}");
    }

    #[test]
    fn what_is_not_known_is_not_shown() {
        let answer = Answer::read(r#"{"agents":[{"id":"a1","status":"new-word","extra":1}]}"#).unwrap();
        assert_eq!(screen(false).lines(&answer, 80, now()), ["STATUS  AGENT", "?       a1", "1 ?"]);
        let silent = Answer::read(r#"{"agents":[{"id":"b","status":"dead"},{"id":"a","status":"unknown"}]}"#).unwrap();
        let expected = ["STATUS   AGENT", "unknown  a", "dead     b", "1 unknown, 1 dead"];
        assert_eq!(screen(false).lines(&silent, 80, now()), expected);
        let nobody = Answer::read(r#"{"agents":[]}"#).unwrap();
        assert!(screen(false).lines(&nobody, 80, now())[0].contains("headwater hook install claude"));
        assert!(Answer::read("[]").is_err() && Answer::read(r#"{"agents":[{"id":1}]}"#).is_err());
    }

    #[test]
    fn lengths_are_short() {
        let of = |seconds: i64| length(now() - jiff::SignedDuration::from_secs(seconds), now());
        let shown = [-5, 0, 59, 60, 3599, 3600, 7500, 86399, 86400 * 12].map(of);
        assert_eq!(shown, ["0s", "0s", "59s", "1m", "59m", "1h00", "2h05", "23h59", "12d"]);
        assert_eq!((tail("/home/dev/api"), tail("api"), tail("/api"), tail("a/b")), ("dev/api", "api", "/api", "a/b"));
    }
}
