//! What is known of one file, and what a look at it changes. Pure: the time and the content are given.

use super::{Pace, content::Content};
use crate::discovery::{
    change::{Change, Fault},
    clients::{self, Problem, Reading},
    place::Place,
    server::Discovered,
};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

/// One file.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) place: Place,
    /// The last good reading, by id.
    servers: BTreeMap<String, Discovered>,
    /// Projects that it knew of then.
    pub(super) projects: Vec<PathBuf>,
    /// It was missing or broken at the last look, which may have been while it was written.
    doubt: Option<Doubt>,
    /// What is wrong with it.
    fault: Option<Fault>,
    told: Option<Fault>,
    told_at: Option<Instant>,
    first: bool,
}

#[derive(Debug)]
struct Doubt {
    since: Instant,
    /// `None`: it is missing.
    broken: Option<Fault>,
}

impl Known {
    pub(super) fn new(place: Place) -> Self {
        let (servers, projects) = (BTreeMap::new(), Vec::new());
        Self { place, servers, projects, doubt: None, fault: None, told: None, told_at: None, first: true }
    }

    /// It is not looked at any more: what was known of it is gone.
    pub(super) fn retire(self) -> Vec<Change> {
        let Self { servers, told, .. } = self;
        servers.into_values().map(Change::Gone).chain(told.map(Change::Mended)).collect()
    }

    /// Takes one look's content over: what is different now.
    pub(super) fn look(&mut self, content: Content, now: Instant, pace: &Pace) -> Vec<Change> {
        let mut changes = Vec::new();
        match content {
            Content::Same => {}
            Content::Missing if self.first => {}
            Content::Missing => self.doubt(None, now),
            Content::Unreadable(reason) => {
                let fault = self.fault(&[Problem::new("", reason)]);
                self.doubt(fault, now);
            }
            Content::Text(text) => {
                let Reading { servers, problems, projects, broken } = clients::read(&self.place, &text);
                let fault = self.fault(&problems);
                if broken {
                    self.doubt(fault, now);
                } else {
                    self.doubt = None;
                    self.fault = fault;
                    self.projects = projects;
                    self.replace(servers, &mut changes);
                }
            }
        }
        self.first = false;
        if self.doubt.as_ref().is_some_and(|doubt| now >= doubt.since + pace.doubt) {
            let doubt = self.doubt.take().expect("invariant: it was there in the line before");
            if doubt.broken.is_none() {
                self.projects.clear();
                self.replace(Vec::new(), &mut changes);
            }
            self.fault = doubt.broken;
        }
        self.tell(now, pace, &mut changes);
        changes
    }

    /// When it must be looked at again though nothing gives notice of it.
    pub(super) fn due(&self, pace: &Pace) -> Option<Instant> {
        let doubt = self.doubt.as_ref().map(|doubt| doubt.since + pace.doubt);
        let held_back = (self.fault.is_some() && self.fault != self.told).then_some(self.told_at).flatten();
        doubt.into_iter().chain(held_back.map(|at| at + pace.faults)).min()
    }

    fn doubt(&mut self, broken: Option<Fault>, now: Instant) {
        let known =
            if broken.is_some() { self.fault == broken } else { self.servers.is_empty() && self.fault.is_none() };
        if known {
            self.doubt = None;
        } else {
            let since = self.doubt.as_ref().map_or(now, |doubt| doubt.since);
            self.doubt = Some(Doubt { since, broken });
        }
    }

    fn fault(&self, problems: &[Problem]) -> Option<Fault> {
        let (first, more) = problems.split_first()?;
        let Place { client, file, .. } = &self.place;
        let (place, reason) = (first.place.clone(), first.reason.clone());
        Some(Fault { client: *client, file: file.clone(), place, reason, more: more.len() })
    }

    fn replace(&mut self, servers: Vec<Discovered>, changes: &mut Vec<Change>) {
        let new: BTreeMap<_, _> = servers.into_iter().map(|server| (server.id.clone(), server)).collect();
        let mut old = std::mem::take(&mut self.servers);
        for (id, server) in &new {
            match old.remove(id) {
                None => changes.push(Change::Appeared(server.clone())),
                Some(before) if before != *server => {
                    changes.push(Change::Changed { now: server.clone(), before: Box::new(before) });
                }
                Some(_) => {}
            }
        }
        changes.extend(old.into_values().map(Change::Gone));
        self.servers = new;
    }

    fn tell(&mut self, now: Instant, pace: &Pace, changes: &mut Vec<Change>) {
        if self.fault == self.told {
            return;
        }
        let Some(fault) = &self.fault else {
            changes.extend(self.told.take().map(Change::Mended));
            return;
        };
        let apart = |at: Instant| now.saturating_duration_since(at) >= pace.faults || pace.faults == Duration::ZERO;
        if self.told_at.is_none_or(apart) {
            changes.push(Change::Fault(fault.clone()));
            self.told = Some(fault.clone());
            self.told_at = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::server::Client;

    struct File {
        known: Known,
        pace: Pace,
        began: Instant,
    }

    impl File {
        fn new() -> Self {
            let place = Place { client: Client::ClaudeCode, file: "/h/.claude.json".into(), project: None };
            Self { known: Known::new(place), pace: Pace::default(), began: Instant::now() }
        }

        /// A look after so many milliseconds, in words.
        fn at(&mut self, milliseconds: u64, content: Content) -> Vec<String> {
            let changes = self.known.look(content, self.began + Duration::from_millis(milliseconds), &self.pace);
            let told = |change: &Change| match change {
                Change::Appeared(server) => format!("+{}", server.name),
                Change::Changed { now, .. } => format!("~{}", now.name),
                Change::Gone(server) => format!("-{}", server.name),
                Change::Fault(fault) => format!("!{}{}", fault.place, fault.more),
                Change::Mended(_) => "ok".to_owned(),
            };
            changes.iter().map(told).collect()
        }

        fn due(&self) -> Option<u64> {
            self.known.due(&self.pace).map(|due| due.duration_since(self.began).as_millis() as u64)
        }
    }

    fn servers(commands: &[(&str, &str)], rest: &str) -> Content {
        let entries: Vec<_> =
            commands.iter().map(|(name, command)| format!("{name:?}: {{\"command\": {command:?}}}")).collect();
        Content::Text(format!("{{\"mcpServers\": {{{}}}, \"rest\": {rest:?}}}", entries.join(",")).into_bytes())
    }

    fn text(text: &str) -> Content {
        Content::Text(text.as_bytes().to_vec())
    }

    const NOTHING: [&str; 0] = [];

    #[test]
    fn only_differences_are_told() {
        let mut file = File::new();
        assert_eq!(file.at(0, Content::Missing), NOTHING);
        assert_eq!(file.at(1, servers(&[("a", "x"), ("b", "y")], "1")), ["+a", "+b"]);
        for n in 2..100 {
            assert_eq!(
                file.at(n, servers(&[("b", "y"), ("a", "x")], &n.to_string())),
                NOTHING,
                "it is written all the time"
            );
        }
        assert_eq!(file.at(200, servers(&[("a", "z"), ("c", "x")], "")), ["~a", "+c", "-b"]);
        assert_eq!((file.at(201, Content::Same), file.due()), (vec![], None));
    }

    #[test]
    fn a_file_in_somebodys_hands_is_given_time() {
        let mut file = File::new();
        assert_eq!(file.at(0, servers(&[("a", "x")], "")), ["+a"]);
        // Half of it, nothing at all, and whole again.
        assert_eq!(file.at(10, text("{\"mcpServers\": {")), NOTHING);
        assert_eq!(file.at(20, Content::Missing), NOTHING);
        assert_eq!(file.due(), Some(710));
        assert_eq!(file.at(30, servers(&[("a", "x")], "")), NOTHING);
        assert_eq!(file.due(), None);
        // Gone for good.
        assert_eq!(file.at(1_000, Content::Missing), NOTHING);
        assert_eq!(file.at(1_700, Content::Missing), ["-a"]);
        assert_eq!((file.at(9_000, Content::Missing), file.due()), (vec![], None));
    }

    #[test]
    fn a_broken_file_is_told_once_and_what_was_known_stays() {
        let mut file = File::new();
        assert_eq!(file.at(0, servers(&[("a", "x")], "")), ["+a"]);
        assert_eq!(file.at(10, text("{\"mcpServers\": x")), NOTHING);
        assert_eq!(file.at(710, Content::Same), ["!line 1, column 160"]);
        assert_eq!((file.at(9_000, Content::Same), file.due()), (vec![], None));
        assert_eq!(file.at(9_001, text("{\"mcpServers\": x, ")), NOTHING);
        assert_eq!(file.at(9_100, servers(&[("a", "x")], "")), ["ok"], "and `a` is no news");
    }

    #[test]
    fn whatever_is_wrong_a_minute_has_one_fault() {
        let mut file = File::new();
        let wrong = "{\"mcpServers\": {\"a\": 1, \"b\": {\"command\": \"x\"}, \"c\": {\"args\": []}, \"d\": []}}";
        assert_eq!(file.at(0, text(wrong)), ["+b", "!mcpServers.a2"], "the others are read nevertheless");
        for second in 1..60 {
            let changed = file.at(second * 1_000, text(&format!("{{\"mcpServers\": {{\"s{second}\": 1}}}}")));
            assert!(changed == ["-b"] || changed.is_empty(), "{changed:?}");
        }
        assert_eq!(file.due(), Some(60_000));
        assert_eq!(file.at(60_000, Content::Same), ["!mcpServers.s590"]);
        // Right and wrong by turns.
        assert_eq!(file.at(61_000, text("{}")), ["ok"]);
        for second in 62..110 {
            let text = text(if second % 2 == 0 { wrong } else { "{}" });
            assert!(file.at(second * 1_000, text).iter().all(|change| change == "+b" || change == "-b"));
        }
    }
}
