//! A conversation with a server, from the greeting on. Pure: messages and times go in, messages and what they mean come out.
//!
//! Nobody knows beforehand of which era a server is. It is asked the newer way first; if it refuses that, or says nothing for
//! a while, it is asked the older way too, and whichever it answers counts. Answers are told apart by their ids, so that one
//! that comes late confuses nobody.

use super::message::{self, Era, Incoming, Outgoing, Refusal};
use crate::health::Outcome;
use headwater_plugin::serde_json::{self, Value};
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
    agreed: Option<(Era, ProtocolVersion)>,
    tools: u32,
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
        let mut dialogue = Self { next: 1, asked: HashMap::new(), tried: Vec::new(), agreed: None, tools: 0 };
        let hello = dialogue.greet(era.unwrap_or(Era::Discover));
        (dialogue, hello)
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

    fn era(&self) -> Option<Era> {
        self.agreed.as_ref().map(|(era, _)| *era)
    }

    /// A ping.
    pub(crate) fn ping(&mut self, at: Duration) -> Option<Outgoing> {
        let era = self.era()?;
        let id = self.ask(Asked::Ping { at });
        Some(message::ping(id, era))
    }

    /// Asks for the list of tools, from the beginning.
    pub(crate) fn list_tools(&mut self) -> Option<Outgoing> {
        let era = self.era()?;
        self.tools = 0;
        // What is still asked for belongs to the list before.
        self.asked.retain(|_, asked| !matches!(asked, Asked::Tools { .. }));
        let id = self.ask(Asked::Tools { page: 0 });
        Some(message::tools(id, era, None))
    }

    /// Asks to be told when the tools are others, where that must be asked for.
    pub(crate) fn listen(&mut self) -> Option<Outgoing> {
        self.era().filter(|era| *era == Era::Discover)?;
        let id = self.ask(Asked::Listen);
        Some(message::listen(id))
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
                let version = self.agreed.as_ref().map(|(_, version)| version.clone());
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
                    self.agreed = Some((era, version.clone()));
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
        match cursor.zip(self.era()) {
            Some((cursor, era)) => {
                let id = self.ask(Asked::Tools { page: page + 1 });
                (Heard::Other, Some(message::tools(id, era, Some(cursor.to_owned()))))
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
            let result: DiscoverResult = serde_json::from_value(result).ok()?;
            let version = result.supported_versions.iter().rfind(|version| !version.has_initialize())?.clone();
            Some(ServerPeerInfo::from_discover_result(version, result))
        }
    }
}

fn version_of(version: String) -> Option<ProtocolVersion> {
    serde_json::from_value(Value::String(version)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_plugin::serde_json::json;

    fn answer(id: i64, result: Value) -> Incoming {
        Incoming::Answer { id: Some(id), result: Ok(result) }
    }

    fn refuse(id: impl Into<Option<i64>>, code: i64) -> Incoming {
        Incoming::Answer { id: id.into(), result: Err(Refusal { code, message: String::new() }) }
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn hello(version: &str) -> Value {
        json!({ "protocolVersion": version, "capabilities": { "tools": {} }, "serverInfo": { "name": "s", "version": "1" } })
    }

    fn card() -> Value {
        json!({
            "resultType": "complete", "supportedVersions": ["2025-11-25", "2026-07-28"], "capabilities": {}, "ttlMs": 0,
            "cacheScope": "private",
        })
    }

    fn agreed(era: Era) -> Dialogue {
        let (mut dialogue, _) = Dialogue::begin(Some(era));
        let result = match era {
            Era::Initialize => hello("2025-06-18"),
            Era::Discover => card(),
        };
        assert!(matches!(dialogue.hear(answer(1, result), ms(0)).0, Heard::Greeted(found, _) if found == era));
        dialogue
    }

    #[test]
    fn a_server_of_the_older_era_is_greeted_after_it_refused_the_newer_way() {
        for refusal in [refuse(1, -32601), refuse(None, -32600)] {
            let (mut dialogue, first) = Dialogue::begin(None);
            assert_eq!(first.method, "server/discover");
            let (_, second) = dialogue.hear(refusal, ms(1));
            assert_eq!(second.unwrap().method, "initialize");
            let (heard, told) = dialogue.hear(answer(2, hello("2025-06-18")), ms(2));
            let Heard::Greeted(Era::Initialize, info) = heard else { panic!("{heard:?}") };
            assert_eq!((info.protocol_version.as_str(), info.server_info.unwrap().name.as_str()), ("2025-06-18", "s"));
            assert_eq!(told.unwrap().method, "notifications/initialized");
        }
    }

    #[test]
    fn a_server_of_the_newer_era_needs_one_question() {
        let (mut dialogue, _) = Dialogue::begin(None);
        let (heard, told) = dialogue.hear(answer(1, card()), ms(1));
        let Heard::Greeted(Era::Discover, info) = heard else { panic!("{heard:?}") };
        assert_eq!((info.protocol_version.as_str(), told), ("2026-07-28", None));
        assert_eq!(dialogue.ping(ms(1)).unwrap().method, "server/discover");
    }

    /// A server that is slow to start answers the first question when the second has been asked.
    #[test]
    fn late_answers_confuse_nobody() {
        let (mut dialogue, _) = Dialogue::begin(None);
        assert_eq!(dialogue.insist().unwrap().method, "initialize");
        assert_eq!(dialogue.insist(), None, "once");
        assert_eq!(dialogue.hear(refuse(1, -32602), ms(1)), (Heard::Other, None), "there is another one open");
        assert!(matches!(dialogue.hear(answer(2, hello("2024-11-05")), ms(2)).0, Heard::Greeted(Era::Initialize, _)));

        let (mut dialogue, _) = Dialogue::begin(None);
        dialogue.insist();
        assert!(matches!(dialogue.hear(answer(1, card()), ms(1)).0, Heard::Greeted(Era::Discover, _)));
        assert_eq!(dialogue.hear(answer(2, hello("2025-11-25")), ms(2)), (Heard::Other, None));
        assert_eq!(dialogue.ping(ms(3)).unwrap().method, "server/discover");
    }

    #[test]
    fn a_server_that_refuses_both_ways_has_refused() {
        let (mut dialogue, _) = Dialogue::begin(Some(Era::Initialize));
        let (heard, next) = dialogue.hear(refuse(1, -32600), ms(1));
        assert_eq!((heard, next.unwrap().method), (Heard::Other, "server/discover"));
        let (heard, _) = dialogue.hear(answer(2, json!("what?")), ms(2));
        assert!(matches!(heard, Heard::Refused(_)), "{heard:?}");
    }

    #[test]
    fn cat_is_no_server() {
        let (mut dialogue, first) = Dialogue::begin(None);
        let echo = Incoming::read(first.json.as_bytes()).unwrap();
        assert_eq!(dialogue.hear(echo, ms(1)), (Heard::Echo, None));
    }

    #[test]
    fn pings_are_timed_and_any_answer_is_one() {
        let mut dialogue = agreed(Era::Initialize);
        for (incoming, outcome) in [
            (answer(2, json!({})), Outcome::Ok),
            (answer(3, json!("anything")), Outcome::Ok),
            (refuse(4, -32601), Outcome::Ok),
            (refuse(5, -32603), Outcome::Error),
        ] {
            assert_eq!(dialogue.ping(ms(10)).unwrap().method, "ping");
            assert_eq!(dialogue.hear(incoming, ms(17)).0, Heard::Pong { outcome, latency: ms(7) });
        }
        dialogue.ping(ms(20));
        dialogue.give_up_pings();
        assert_eq!(dialogue.hear(answer(6, json!({})), ms(99)).0, Heard::Other, "too late");
        let asks = Incoming::Request { id: json!(1), method: "ping".to_owned() };
        assert!(dialogue.hear(asks, ms(0)).1.unwrap().json.contains("result"));
    }

    #[test]
    fn tools_are_counted_over_all_pages() {
        let mut dialogue = agreed(Era::Initialize);
        assert_eq!(dialogue.list_tools().unwrap().method, "tools/list");
        let (heard, more) = dialogue.hear(answer(2, json!({ "tools": [{}, {}], "nextCursor": "2" })), ms(0));
        assert!(heard == Heard::Other && more.unwrap().json.contains(r#""cursor":"2""#));
        assert_eq!(dialogue.hear(answer(3, json!({ "tools": [{}] })), ms(0)).0, Heard::Tools(3));
        // A server that always names a further page.
        let mut ask = dialogue.list_tools();
        let mut pages = 0;
        while let Some(asked) = ask {
            pages += 1;
            let page = answer(asked.id.unwrap(), json!({ "tools": [{}], "nextCursor": "again" }));
            ask = dialogue.hear(page, ms(0)).1;
        }
        assert_eq!(pages, PAGES);
        let changed = Incoming::Notification { method: "notifications/tools/list_changed".to_owned() };
        assert_eq!(dialogue.hear(changed, ms(0)), (Heard::ToolsChanged, None));
        assert_eq!(dialogue.listen(), None, "servers of the older era tell it unasked");
        assert_eq!(agreed(Era::Discover).listen().unwrap().method, "subscriptions/listen");
    }
}
