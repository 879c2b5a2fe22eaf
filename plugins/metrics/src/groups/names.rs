//! What groups are called: patterns of the config, filled with what is known of a root.

use super::roots::{Kind, Root};
use crate::config;

/// The patterns.
#[derive(Debug)]
pub(super) struct Names {
    panes: String,
    agents: String,
    servers: String,
    daemon: String,
}

impl Names {
    pub(super) fn new(config: &config::Groups) -> Self {
        Self {
            panes: config.panes.clone(),
            agents: config.agents.clone(),
            servers: config.servers.clone(),
            daemon: config.daemon.clone(),
        }
    }

    /// The name of the group of this root; `None` where such are not counted. What is not known is left out.
    pub(super) fn of(&self, root: &Root) -> Option<String> {
        let pattern = match root.kind {
            Kind::Pane => &self.panes,
            Kind::Agent => &self.agents,
            Kind::Server => &self.servers,
            Kind::Daemon => &self.daemon,
        };
        if pattern.is_empty() {
            return None;
        }
        let mut name = String::new();
        let mut rest = pattern.as_str();
        // In one pass: a session may be called `{pane}`.
        while let Some((before, after)) = rest.split_once('{') {
            name.push_str(before);
            let Some((label, after)) = after.split_once('}') else {
                name.push('{');
                rest = after;
                break;
            };
            match root.labels.iter().find(|(known, _)| *known == label) {
                Some((_, value)) => name.push_str(value),
                None if ["session", "window", "pane", "name", "id", "type"].contains(&label) => {}
                None => name.extend(["{", label, "}"]),
            }
            rest = after;
        }
        name.push_str(rest);
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(pattern: &str, labels: &[(&'static str, &str)]) -> Option<String> {
        let names = Names::new(&config::Groups { panes: pattern.to_owned(), ..config::Groups::default() });
        let labels = labels.iter().map(|(label, value)| (*label, (*value).to_owned())).collect();
        names.of(&Root { kind: Kind::Pane, pid: 1, started: None, labels })
    }

    #[test]
    fn patterns_are_filled_with_what_is_known() {
        let labels = [("session", "{pane}"), ("window", "2"), ("pane", "%5")];
        assert_eq!(name("pane {session}:{window} {pane}", &labels).as_deref(), Some("pane {pane}:2 %5"));
        assert_eq!(name("{session}-{name}", &labels).as_deref(), Some("{pane}-"));
        assert_eq!(name("{what} {", &labels).as_deref(), Some("{what} {"));
        assert_eq!(name("", &labels), None);
    }
}
