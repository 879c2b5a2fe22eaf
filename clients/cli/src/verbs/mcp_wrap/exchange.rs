//! Joins answers with questions, both ways. Pure: messages and their times are given.

use super::{copy::Way, scan::Message};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Questions that wait for their answers, each way. Of one more it is not told what became of it.
const WAITING: usize = 4096;

/// Answers whose questions have not been seen, each way. When there are so many, they are forgotten: they are late answers to
/// what was given up.
const EARLY: usize = 256;

/// What has become of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) method: String,
    /// Of `tools/call`.
    pub(super) tool: Option<String>,
    pub(super) asked: Instant,
    pub(super) took: Duration,
    pub(super) outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Ok,
    /// An error was answered, or a tool's answer says that it has failed.
    Error,
    /// Given up by whoever asked, or still open when all was over.
    Unanswered,
}

/// What is known of the server by now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// How it was greeted.
    pub(super) era: Option<Era>,
    /// The revision that was agreed on, or that the requests name.
    pub(super) revision: Option<String>,
    pub(super) name: Option<String>,
    pub(super) version: Option<String>,
    /// How many tools it has told of, when it has told of all.
    pub(super) tools: Option<u32>,
}

/// How clients and servers get to know each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Era {
    /// Up to 2025-11-25: by `initialize`.
    Initialize,
    /// Since 2026-07-28: each request stands alone, and `server/discover` tells of the server.
    Discover,
}

/// Both ways of one session.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    waiting: [HashMap<String, Question>; 2],
    /// A quick answer may be seen before its question: each way has its own thread, and whichever is kept from running comes
    /// later.
    early: [HashMap<String, (Message, Instant)>; 2],
    pub(super) known: Known,
    /// Of the pages so far.
    pages: u32,
    /// Questions of which it is not told what became of them.
    pub(super) lost: u64,
}

#[derive(Debug)]
struct Question {
    method: String,
    tool: Option<String>,
    has_cursor: bool,
    asked: Instant,
}

impl Exchange {
    /// Takes a message over; a call, with the way of its question, when that is over.
    pub(super) fn message(&mut self, way: Way, message: Message, at: Instant) -> Option<(Way, Call)> {
        let Message { id, method, .. } = &message;
        match (id, method) {
            (Some(_), Some(_)) => self.question(way, message, at),
            (None, Some(method)) if method == "notifications/cancelled" => {
                let question = self.waiting[way as usize].remove(message.cancelled.as_deref()?)?;
                Some((way, question.ends(Outcome::Unanswered, at)))
            }
            (Some(id), None) => {
                let question = self.waiting[way.back() as usize].remove(id);
                let Some(question) = question else {
                    self.keep_early(way.back(), id.clone(), message, at);
                    return None;
                };
                Some((way.back(), self.answer(way, question, &message, at)))
            }
            _ => None,
        }
    }

    /// Something has been left out: what became of the questions that wait may have been in it.
    pub(super) fn gap(&mut self) {
        for waiting in &mut self.waiting {
            self.lost += waiting.len() as u64;
            waiting.clear();
        }
        self.early = Default::default();
    }

    /// All is over: what waits will have no answer.
    pub(super) fn end(&mut self, at: Instant) -> Vec<(Way, Call)> {
        let mut calls = Vec::new();
        for way in [Way::ToServer, Way::ToClient] {
            let waiting = self.waiting[way as usize].drain();
            calls.extend(waiting.map(|(_, question)| (way, question.ends(Outcome::Unanswered, at))));
        }
        calls.sort_by_key(|(_, call)| call.asked);
        calls
    }

    fn keep_early(&mut self, way: Way, id: String, answer: Message, at: Instant) {
        let early = &mut self.early[way as usize];
        if early.len() == EARLY {
            early.clear();
        }
        early.insert(id, (answer, at));
    }

    /// `way` is that of the answer.
    fn answer(&mut self, way: Way, question: Question, answer: &Message, at: Instant) -> Call {
        if way == Way::ToClient {
            self.learn(&question, answer);
        }
        let failed = answer.has_error || (answer.is_error && question.method == "tools/call");
        question.ends(if failed { Outcome::Error } else { Outcome::Ok }, at)
    }

    fn question(&mut self, way: Way, message: Message, asked: Instant) -> Option<(Way, Call)> {
        let Message { id, method, name, has_cursor, revision, .. } = message;
        let (id, method) = (id?, method?);
        // Of `initialize` it is what the client would like; the answer says what it is.
        if way == Way::ToServer && revision.is_some() {
            self.known.era = Some(Era::Discover);
            self.known.revision = revision;
        }
        let tool = name.filter(|_| method == "tools/call");
        let question = Question { method, tool, has_cursor, asked };
        // One that was there before the question is the late answer to another.
        let early = self.early[way as usize].remove(&id).filter(|(_, answered)| *answered >= asked);
        if let Some((answer, at)) = early {
            return Some((way, self.answer(way.back(), question, &answer, at)));
        }
        let waiting = &mut self.waiting[way as usize];
        if waiting.len() >= WAITING && !waiting.contains_key(&id) {
            self.lost += 1;
        } else {
            waiting.insert(id, question);
        }
        None
    }

    fn learn(&mut self, question: &Question, answer: &Message) {
        match question.method.as_str() {
            "initialize" | "server/discover" if answer.has_result => {
                let known = &mut self.known;
                let greeted = question.method == "initialize";
                known.era = if greeted { Some(Era::Initialize) } else { known.era };
                known.revision = answer.revision.clone().or_else(|| known.revision.take());
                known.name = answer.server_name.clone().or_else(|| known.name.take());
                known.version = answer.server_version.clone().or_else(|| known.version.take());
            }
            "tools/list" => {
                let Some(tools) = answer.tools else { return };
                self.pages = if question.has_cursor { self.pages.saturating_add(tools) } else { tools };
                if !answer.has_more {
                    self.known.tools = Some(self.pages);
                }
            }
            _ => {}
        }
    }
}

impl Question {
    fn ends(self, outcome: Outcome, at: Instant) -> Call {
        let took = at.saturating_duration_since(self.asked);
        Call { method: self.method, tool: self.tool, asked: self.asked, took, outcome }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::mcp_wrap::scan::Scanner;

    struct Session {
        exchange: Exchange,
        began: Instant,
    }

    impl Session {
        fn new() -> Self {
            Self { exchange: Exchange::default(), began: Instant::now() }
        }

        /// A line at a millisecond; the call that it ends, in words.
        fn says(&mut self, way: Way, millisecond: u64, line: &str) -> Option<String> {
            let at = self.began + Duration::from_millis(millisecond);
            let mut ended = None;
            Scanner::default().feed(line.as_bytes(), |message| ended = self.exchange.message(way, message, at));
            ended.map(|(way, call)| told(way, &call))
        }

        fn client(&mut self, millisecond: u64, line: &str) -> Option<String> {
            self.says(Way::ToServer, millisecond, line)
        }

        fn server(&mut self, millisecond: u64, line: &str) -> Option<String> {
            self.says(Way::ToClient, millisecond, line)
        }
    }

    fn told(way: Way, call: &Call) -> String {
        let tool = call.tool.as_deref().unwrap_or_default();
        format!("{way:?} {}({tool}) {:?} {}", call.method, call.outcome, call.took.as_millis())
    }

    #[allow(clippy::unnecessary_wraps, reason = "it is what is compared with")]
    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn answers_in_any_order_and_the_same_ids_both_ways() {
        let mut session = Session::new();
        assert_eq!(session.client(0, r#"{"id":1,"method":"tools/call","params":{"name":"a"}}"#), None);
        assert_eq!(session.client(5, r#"{"id":2,"method":"ping"}"#), None);
        assert_eq!(session.server(6, r#"{"id":1,"method":"sampling/createMessage","params":{"name":"no"}}"#), None);
        assert_eq!(session.server(7, r#"{"id":2,"result":{}}"#), some("ToServer ping() Ok 2"));
        assert_eq!(session.client(9, r#"{"id":1,"error":{}}"#), some("ToClient sampling/createMessage() Error 3"));
        assert_eq!(
            session.server(20, r#"{"id":1,"result":{"isError":true}}"#),
            some("ToServer tools/call(a) Error 20")
        );
        assert_eq!(session.server(21, r#"{"id":1,"result":{}}"#), None, "it was answered before");
        assert_eq!(session.client(22, r#"{"id":"1","method":"ping"}"#), None);
        assert_eq!(session.server(23, r#"{"id":1,"result":{}}"#), None, "a string is no number");
    }

    /// A busy machine may let the thread that copies answers go first.
    #[test]
    fn an_answer_that_is_seen_before_its_question_is_its_answer() {
        let mut session = Session::new();
        assert_eq!(session.server(12, r#"{"id":1,"result":{"isError":true}}"#), None);
        let question = r#"{"id":1,"method":"tools/call","params":{"name":"a"}}"#;
        assert_eq!(session.client(10, question), some("ToServer tools/call(a) Error 2"));
        // What comes late is no answer to a later question of the same id.
        assert_eq!(session.server(20, r#"{"id":1,"result":{}}"#), None);
        assert_eq!(session.client(30, question), None);
        assert_eq!(session.server(34, r#"{"id":1,"result":{}}"#), some("ToServer tools/call(a) Ok 4"));
        for id in 0..3 * EARLY {
            session.server(40, &format!("{{\"id\":\"late {id}\",\"result\":{{}}}}"));
        }
        assert!(session.exchange.early[0].len() <= EARLY);
        assert!(session.exchange.end(session.began).is_empty() && session.exchange.lost == 0);
    }

    #[test]
    fn what_is_given_up_or_left_open_is_unanswered() {
        let mut session = Session::new();
        session.client(0, r#"{"id":1,"method":"tools/call","params":{"name":"slow"}}"#);
        session.client(1, r#"{"id":2,"method":"ping"}"#);
        let cancelled = r#"{"method":"notifications/cancelled","params":{"requestId":1}}"#;
        assert_eq!(session.server(59, cancelled), None, "it is not the server's to give up");
        assert_eq!(session.client(60, cancelled), some("ToServer tools/call(slow) Unanswered 60"));
        assert_eq!(session.server(70, r#"{"id":1,"result":{}}"#), None);
        let open = session.exchange.end(session.began + Duration::from_millis(100));
        assert_eq!(
            open.iter().map(|(way, call)| told(*way, call)).collect::<Vec<_>>(),
            ["ToServer ping() Unanswered 99"]
        );
        assert_eq!(session.exchange.lost, 0);
    }

    #[test]
    fn the_handshake_and_the_pages_of_tools() {
        let mut session = Session::new();
        session.client(0, r#"{"id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#);
        assert_eq!(session.exchange.known, Known::default(), "what a client would like is not what it gets");
        session
            .server(1, r#"{"id":0,"result":{"protocolVersion":"2025-06-18","serverInfo":{"name":"s","version":"1"}}}"#);
        session.client(2, r#"{"id":1,"method":"tools/list"}"#);
        session.server(3, r#"{"id":1,"result":{"tools":[{},{}],"nextCursor":"x"}}"#);
        assert_eq!(session.exchange.known.tools, None);
        session.client(4, r#"{"id":2,"method":"tools/list","params":{"cursor":"x"}}"#);
        session.server(5, r#"{"id":2,"result":{"tools":[{}]}}"#);
        let era = Some(Era::Initialize);
        let known = Known { era, revision: some("2025-06-18"), name: some("s"), version: some("1"), tools: Some(3) };
        assert_eq!(session.exchange.known, known);
        let meta = r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#;
        session.client(6, &format!(r#"{{"id":3,"method":"tools/list","params":{meta}}}"#));
        session.server(7, r#"{"id":3,"result":{"tools":[]}}"#);
        let Known { era, revision, tools, .. } = session.exchange.known;
        assert_eq!((era, revision, tools), (Some(Era::Discover), some("2026-07-28"), Some(0)));
    }

    #[test]
    fn what_cannot_be_told_is_counted() {
        let mut session = Session::new();
        for id in 0..WAITING + 10 {
            session.client(0, &format!("{{\"id\":{id},\"method\":\"ping\"}}"));
        }
        assert_eq!((session.exchange.lost, session.exchange.waiting[0].len()), (10, WAITING));
        session.exchange.gap();
        assert_eq!((session.exchange.lost, session.exchange.end(session.began).len()), (10 + WAITING as u64, 0));
        assert_eq!(session.server(1, r#"{"id":1,"result":{}}"#), None);
    }
}
