//! A conversation with a server, from the greeting on. Pure: messages and times go in, messages and what they mean come out.
//!
//! Nobody knows beforehand of which era a server is. It is asked the newer way first; if it refuses that, or says nothing for
//! a while, it is asked the older way too, and whichever it answers counts. Answers are told apart by their ids, so that one
//! that comes late confuses nobody.

#[cfg(test)]
mod tests;

use super::message::{self, Agreed, Era, Incoming, Outgoing, Refusal};
use crate::health::Outcome;
use headwater_plugin::serde_json::{self, Value, json};
use rmcp::model::{DiscoverResult, InitializeResult, ProtocolVersion, ServerCapabilities, ServerPeerInfo};
use std::{collections::HashMap, time::Duration};

/// Pages of a list of tools that are read.
const PAGES: u32 = 50;

/// A conversation.
#[derive(Debug)]
pub(crate) struct Dialogue {
    next: i64,
    asked: HashMap<i64, Asked>,
    /// Which of the two ways of greeting were tried.
    tried: Vec<Era>,
    /// Of which era it is, and the revision, once it has answered.
    agreed: Option<Agreed>,
    tools: u32,
    /// It does not tell unasked when its tools are others.
    is_mute: bool,
}

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Asked {
    Greeting(Era),
    Ping { at: Duration },
    Tools { page: u32 },
    Listen,
}

/// What a message means.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Heard {
    /// It has answered the greeting.
    Greeted(Era, Box<ServerPeerInfo>),
    /// It refuses both ways of greeting.
    Refused(String),
    /// It sends back what it gets: it is no server, as `cat` is none.
    Echo,
    /// It has answered a ping.
    Pong {
        /// How.
        outcome: Outcome,
        /// After this time.
        latency: Duration,
    },
    /// So many tools it has.
    Tools(u32),
    /// It has others now.
    ToolsChanged,
    /// Something else; it lives.
    Other,
}

impl Dialogue {
    /// Begins one. `era` is what the server is known to be.
    pub(crate) fn begin(era: Option<Era>) -> (Self, Outgoing) {
        let (asked, tried) = (HashMap::new(), Vec::new());
        let mut dialogue = Self { next: 1, asked, tried, agreed: None, tools: 0, is_mute: false };
        let hello = dialogue.greet(era.unwrap_or(Era::Discover));
        (dialogue, hello)
    }

    /// Begins anew with the same server. Answers to what was asked before mean nothing any more.
    pub(crate) fn anew(&mut self, era: Option<Era>) -> Outgoing {
        let next = self.next;
        *self = Self::begin(era).0;
        self.asked.clear();
        self.tried.clear();
        self.next = next;
        self.greet(era.unwrap_or(Era::Discover))
    }

    fn ask(&mut self, asked: Asked) -> i64 {
        let id = self.next;
        self.next += 1;
        self.asked.insert(id, asked);
        id
    }

    fn greet(&mut self, era: Era) -> Outgoing {
        self.tried.push(era);
        let id = self.ask(Asked::Greeting(era));
        match era {
            Era::Initialize => message::initialize(id),
            Era::Discover => message::discover(id),
        }
    }

    /// It has said nothing for a while: asks the other way too, once.
    pub(crate) fn insist(&mut self) -> Option<Outgoing> {
        let other = self.other()?;
        Some(self.greet(other))
    }

    fn other(&self) -> Option<Era> {
        let tried = |era: &Era| self.tried.contains(era);
        [Era::Discover, Era::Initialize].into_iter().find(|era| !tried(era)).filter(|_| self.agreed.is_none())
    }

    /// The way of greeting that was not tried, of a server that has answered none.
    pub(crate) fn untried(&self) -> Option<Era> {
        self.other()
    }

    /// A ping.
    pub(crate) fn ping(&mut self, at: Duration) -> Option<Outgoing> {
        let agreed = self.agreed.clone()?;
        let id = self.ask(Asked::Ping { at });
        Some(message::ping(id, &agreed))
    }

    /// Asks for the list of tools, from the beginning.
    pub(crate) fn list_tools(&mut self) -> Option<Outgoing> {
        let agreed = self.agreed.clone()?;
        self.tools = 0;
        // What is still asked for belongs to the list before.
        self.asked.retain(|_, asked| !matches!(asked, Asked::Tools { .. }));
        let id = self.ask(Asked::Tools { page: 0 });
        Some(message::tools(id, &agreed, None))
    }

    /// Asks to be told when the tools are others, where that must be asked for.
    pub(crate) fn listen(&mut self) -> Option<Outgoing> {
        let agreed = self.agreed.clone().filter(|agreed| agreed.era == Era::Discover && !self.is_mute)?;
        let id = self.ask(Asked::Listen);
        Some(message::listen(id, &agreed))
    }

    /// Pings that are not answered by now never count as answered.
    pub(crate) fn give_up_pings(&mut self) {
        self.asked.retain(|_, asked| !matches!(asked, Asked::Ping { .. }));
    }

    /// Takes a message: what it means, and what is to be sent.
    pub(crate) fn hear(&mut self, incoming: Incoming, now: Duration) -> (Heard, Option<Outgoing>) {
        match incoming {
            Incoming::Request { method, .. } if self.agreed.is_none() && is_ours(&method) => (Heard::Echo, None),
            Incoming::Request { id, method } => {
                // Before the greeting is over nothing but a ping is answered.
                let speaks = self.agreed.is_some() || method == "ping";
                let version = self.agreed.as_ref().map(|agreed| agreed.version.clone());
                (Heard::Other, speaks.then(|| message::answer(&id, &method, version)).flatten())
            }
            Incoming::Notification { method } if method == "notifications/tools/list_changed" => {
                (Heard::ToolsChanged, None)
            }
            Incoming::Notification { .. } => (Heard::Other, None),
            Incoming::Answer { id, result } => self.answered(id, result, now),
        }
    }

    fn answered(
        &mut self,
        id: Option<i64>,
        result: Result<Value, Refusal>,
        now: Duration,
    ) -> (Heard, Option<Outgoing>) {
        let id = match id {
            Some(id) => id,
            // An error without an id means what was asked last, while there is but one thing that it may mean.
            None => match (self.asked.len(), self.asked.keys().next()) {
                (1, Some(only)) => *only,
                _ => return (Heard::Other, None),
            },
        };
        match self.asked.remove(&id) {
            Some(Asked::Greeting(era)) if self.agreed.is_none() => self.greeted(era, result),
            Some(Asked::Ping { at }) => {
                let outcome = match result {
                    Err(refusal) if !refusal.is_unknown_method() => Outcome::Error,
                    _ => Outcome::Ok,
                };
                (Heard::Pong { outcome, latency: now.saturating_sub(at) }, None)
            }
            Some(Asked::Tools { page }) => self.tools(page, result.ok()),
            Some(Asked::Listen) => {
                self.is_mute |= result.is_err();
                (Heard::Other, None)
            }
            _ => (Heard::Other, None),
        }
    }

    fn greeted(&mut self, era: Era, result: Result<Value, Refusal>) -> (Heard, Option<Outgoing>) {
        let refusal = match result {
            Ok(result) => match understand(era, result) {
                Some(info) => {
                    // A server may answer `initialize` with a revision that has none.
                    let era = if info.protocol_version.has_initialize() { era } else { Era::Discover };
                    let version = info.protocol_version.clone();
                    self.agreed = Some(Agreed { era, version: version.clone() });
                    let told = (era == Era::Initialize).then(|| message::initialized(version));
                    return (Heard::Greeted(era, Box::new(info)), told);
                }
                None => "it answers the greeting with something else".to_owned(),
            },
            Err(refusal) => format!("it refuses the greeting: error {}", refusal.code),
        };
        match self.other() {
            Some(other) => (Heard::Other, Some(self.greet(other))),
            None if self.asked.values().any(|asked| matches!(asked, Asked::Greeting(_))) => (Heard::Other, None),
            None => (Heard::Refused(refusal), None),
        }
    }

    fn tools(&mut self, page: u32, result: Option<Value>) -> (Heard, Option<Outgoing>) {
        let Some(result) = result else { return (Heard::Other, None) };
        self.tools += result["tools"].as_array().map_or(0, Vec::len) as u32;
        let cursor = result["nextCursor"].as_str().filter(|cursor| !cursor.is_empty() && page + 1 < PAGES);
        match cursor.zip(self.agreed.clone()) {
            Some((cursor, agreed)) => {
                let id = self.ask(Asked::Tools { page: page + 1 });
                (Heard::Other, Some(message::tools(id, &agreed, Some(cursor.to_owned()))))
            }
            None => (Heard::Tools(self.tools), None),
        }
    }
}

/// Methods that only a client uses.
fn is_ours(method: &str) -> bool {
    matches!(method, "initialize" | "server/discover")
}

/// What a server says of itself, as far as it is understood.
fn understand(era: Era, result: Value) -> Option<ServerPeerInfo> {
    match era {
        Era::Initialize => {
            let version = result["protocolVersion"].as_str()?.to_owned();
            match serde_json::from_value::<InitializeResult>(result) {
                Ok(result) => Some(result.into()),
                // It has agreed; what else it says is not needed.
                Err(_) => Some(ServerPeerInfo::new(version_of(version)?, ServerCapabilities::default())),
            }
        }
        Era::Discover => {
            let version = supported(&result)?;
            match serde_json::from_value::<DiscoverResult>(complete(result)) {
                Ok(result) => Some(ServerPeerInfo::from_discover_result(version, result)),
                Err(_) => Some(ServerPeerInfo::new(version, ServerCapabilities::default())),
            }
        }
    }
}

/// The revision without `initialize` that a server has: the one that we offer, or else its newest.
fn supported(result: &Value) -> Option<ProtocolVersion> {
    let named = result["supportedVersions"].as_array()?.iter().filter_map(Value::as_str);
    let versions: Vec<ProtocolVersion> =
        named.filter_map(|name| version_of(name.to_owned())).filter(|version| !version.has_initialize()).collect();
    let ours = Era::Discover.version();
    if versions.contains(&ours) {
        Some(ours)
    } else {
        versions.into_iter().max_by(|one, other| one.as_str().cmp(other.as_str()))
    }
}

/// An answer to `server/discover` with all members that one must have. Those that tell for how long it may be kept are
/// of no use here, and no reason not to understand the rest.
fn complete(mut result: Value) -> Value {
    let missing = [
        ("resultType", json!("complete")),
        ("ttlMs", json!(0)),
        ("cacheScope", json!("private")),
        ("capabilities", json!({})),
    ];
    for (name, value) in missing {
        if result[name].is_null() {
            result[name] = value;
        }
    }
    result
}

fn version_of(version: String) -> Option<ProtocolVersion> {
    serde_json::from_value(Value::String(version)).ok()
}
