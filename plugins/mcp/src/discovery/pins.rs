//! Which servers may be started: those that somebody allowed by name and by the hash of all that decides what runs.

use super::{digest::Digest, server::Discovered};
use std::collections::BTreeMap;

/// The table `spawn` of the settings: a server's id, or its name, and the hash of its launch.
///
/// ```toml
/// [source.mcp.spawn]
/// "memory@3f9c01ab" = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins(BTreeMap<String, Digest>);

/// Whether a server may be started. The first answer is the only yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// It is pinned as it stands.
    Pinned,
    /// Nobody allowed it.
    Unpinned,
    /// Another text of it was allowed: it was changed after that.
    Changed {
        /// What was allowed.
        pinned: Digest,
    },
}

impl Pins {
    /// The table as the settings have it.
    pub fn new(table: BTreeMap<String, Digest>) -> Self {
        Self(table)
    }

    /// The ids and names that something is allowed for.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether this server, exactly as it stands in its file, may be started. A pin by id goes before one by name.
    pub fn permit(&self, server: &Discovered) -> Permit {
        let Some(pinned) = self.0.get(&server.id).or_else(|| self.0.get(&server.name)) else { return Permit::Unpinned };
        if *pinned == server.hash { Permit::Pinned } else { Permit::Changed { pinned: *pinned } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::{Client, Launch, Origin, Stdio};
    use headwater_plugin::serde_json;

    fn server(command: &str) -> Discovered {
        let origin = Origin { client: Client::McpJson, file: "/p/.mcp.json".into(), project: None };
        let launch = Stdio { command: command.to_owned(), ..Stdio::default() };
        Discovered::new("git", origin, Launch::Stdio(launch))
    }

    fn pins(table: &[(&str, Digest)]) -> Pins {
        Pins::new(table.iter().map(|&(server, hash)| (server.to_owned(), hash)).collect())
    }

    #[test]
    fn only_the_very_text_that_was_allowed_may_run() {
        let (server, other) = (server("git-server"), server("rm"));
        let hash = server.hash;
        assert_eq!(pins(&[]).permit(&server), Permit::Unpinned);
        assert_eq!(pins(&[("memory", hash)]).permit(&server), Permit::Unpinned);
        for key in [server.name.as_str(), &server.id] {
            let pins = pins(&[(key, hash)]);
            assert_eq!(pins.permit(&server), Permit::Pinned);
            assert_eq!(pins.permit(&other), Permit::Changed { pinned: server.hash });
        }
        // Of two servers of one name, the one that has a pin of its own has no other.
        let both = pins(&[("git", hash), (&server.id, other.hash)]);
        assert_eq!(both.permit(&server), Permit::Changed { pinned: other.hash });
    }

    #[test]
    fn what_is_no_pin_is_no_setting() {
        for wrong in ["", "yes", "true", "*", "sha256:", "sha256:9f86"] {
            assert!(serde_json::from_value::<Digest>(wrong.into()).is_err(), "{wrong}");
        }
    }
}
