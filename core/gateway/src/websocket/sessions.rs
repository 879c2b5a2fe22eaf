//! Sessions: what a client had subscribed to and how far it had read, under a token that only it knows. Those of
//! connections that have ended are kept for a while, also across a restart of the daemon. All shards share them.

use super::{
    connection::Terms,
    mailbox::{Mail, Mailbox},
};
use headwater_event::{ChannelName, ChannelPattern, Position, Timestamp};
use rustix::rand::{GetRandomFlags, getrandom};
use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot;

/// How long a session is kept after its connection has ended, in nanoseconds: ten minutes.
const KEPT: i64 = 600 * 1_000_000_000;
/// The most sessions that are kept; the one that ended first goes.
const MAX_SESSIONS: usize = 1_000;
/// The most subscriptions and positions of all sessions that are kept, for the same reason: one pattern can mean every
/// channel there is. One session is kept whatever its size.
const MAX_PLACES: usize = 100_000;

/// What brings a session back: 128 random bits, 32 hexadecimal digits on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Token(u128);

impl Token {
    /// One that nobody can guess. `None`: the system has no random numbers.
    pub(super) fn new() -> Option<Self> {
        let mut bytes = [0; 16];
        let drawn = getrandom(&mut bytes, GetRandomFlags::empty()).ok()?;
        (drawn == bytes.len()).then(|| Self(u128::from_be_bytes(bytes)))
    }

    /// Reads what [`fmt::Display`] writes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        digits.then(|| u128::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)") // it opens a session to whoever reads it in a log
    }
}

/// What a client had.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Session {
    /// In the order in which they were made.
    pub(super) subscriptions: Vec<(ChannelPattern, Terms)>,
    /// The client has read everything up to these.
    pub(super) positions: Vec<(ChannelName, Position)>,
}

impl Session {
    fn places(&self) -> usize {
        self.subscriptions.len() + self.positions.len()
    }
}

/// A session whose connection has ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kept {
    pub(super) token: Token,
    pub(super) until: Timestamp,
    pub(super) session: Session,
}

/// What a token stands for.
pub(super) enum Claim {
    /// A session that waits for its client.
    Kept(Session),
    /// One whose connection is still there, as far as this side knows. When this resolves it has been given up.
    Held(oneshot::Receiver<()>),
    /// None.
    Unknown,
}

/// All sessions.
#[derive(Default)]
pub(crate) struct Sessions {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Tokens that connections have been given.
    live: HashMap<Token, (Arc<Mailbox>, u64)>,
    /// The one that ended first in front.
    kept: VecDeque<Kept>,
    places: usize,
}

impl Sessions {
    /// With what an earlier life of the daemon has kept.
    pub(super) fn with(kept: Vec<Kept>) -> Self {
        let mut inner = Inner::default();
        for kept in kept {
            inner.push(kept);
        }
        Self { inner: Mutex::new(inner) }
    }

    /// A connection was given this token.
    pub(super) fn register(&self, token: Token, mailbox: &Arc<Mailbox>, connection: u64) {
        self.lock().live.insert(token, (mailbox.clone(), connection));
    }

    /// The connection with this token has ended; its session is kept, if it leaves one.
    pub(super) fn end(&self, token: Token, session: Option<Session>) {
        let mut inner = self.lock();
        inner.live.remove(&token);
        if let Some(session) = session {
            inner.push(Kept { token, until: Timestamp(Timestamp::now().0.saturating_add(KEPT)), session });
        }
    }

    /// Takes the session of a token, or has the connection that holds it give it up.
    pub(super) fn claim(&self, token: Token) -> Claim {
        let mut inner = self.lock();
        if let Some(session) = inner.take(token, Timestamp::now()) {
            return Claim::Kept(session);
        }
        let Some((mailbox, connection)) = inner.live.get(&token).cloned() else { return Claim::Unknown };
        drop(inner);
        let (given_up, wait) = oneshot::channel();
        mailbox.put(Mail::GiveUp { connection, token, given_up });
        Claim::Held(wait)
    }

    /// All that are kept, for the next life of the daemon.
    pub(super) fn kept(&self) -> Vec<Kept> {
        let mut inner = self.lock();
        inner.expire(Timestamp::now());
        inner.kept.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in these sections panics half-way through a change that would matter.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn push(&mut self, kept: Kept) {
        self.expire(Timestamp::now());
        self.places += kept.session.places();
        self.kept.push_back(kept);
        while self.kept.len() > MAX_SESSIONS || self.places > MAX_PLACES && self.kept.len() > 1 {
            self.remove(0);
        }
    }

    fn take(&mut self, token: Token, now: Timestamp) -> Option<Session> {
        self.expire(now);
        let index = self.kept.iter().position(|kept| kept.token == token)?;
        self.remove(index)
    }

    fn expire(&mut self, now: Timestamp) {
        while self.kept.front().is_some_and(|first| first.until < now) {
            self.remove(0);
        }
    }

    fn remove(&mut self, index: usize) -> Option<Session> {
        let kept = self.kept.remove(index)?;
        self.places -= kept.session.places();
        Some(kept.session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_event::Epoch;

    fn session(places: usize) -> Session {
        let position = Position { epoch: Epoch(1), offset: 2 };
        let channel = ChannelName::new("a").unwrap();
        Session { positions: vec![(channel, position); places], ..Session::default() }
    }

    fn ended(sessions: &Sessions, places: usize) -> Token {
        let token = Token::new().unwrap();
        sessions.end(token, Some(session(places)));
        token
    }

    fn kept(sessions: &Sessions, token: Token) -> bool {
        matches!(sessions.claim(token), Claim::Kept(_))
    }

    #[test]
    fn a_token_reads_what_it_writes_and_nothing_else() {
        let token = Token::new().unwrap();
        assert_eq!(Token::parse(&token.to_string()), Some(token));
        assert_ne!(Token::new(), Some(token));
        let digits = "0".repeat(32);
        assert_eq!(Token::parse(&digits), Some(Token(0)));
        for wrong in [&digits[1..], &format!("{digits}0"), &format!("+{}", &digits[1..]), ""] {
            assert_eq!(Token::parse(wrong), None, "{wrong}");
        }
        assert!(!format!("{token:?}").contains(&token.to_string()), "a log does not tell it");
    }

    #[test]
    fn a_session_is_there_once_and_for_ten_minutes() {
        let sessions = Sessions::default();
        let token = ended(&sessions, 1);
        assert!(kept(&sessions, token));
        assert!(!kept(&sessions, token), "it has been taken");
        let token = ended(&sessions, 1);
        let later = Timestamp(Timestamp::now().0 + KEPT + 1);
        assert_eq!(sessions.lock().take(token, later), None);
        assert_eq!(sessions.lock().places, 0);
        // Who leaves nothing has nothing.
        let token = Token::new().unwrap();
        sessions.end(token, None);
        assert!(matches!(sessions.claim(token), Claim::Unknown));
    }

    #[test]
    fn there_are_as_many_as_there_may_be_and_the_oldest_go() {
        let sessions = Sessions::default();
        let tokens: Vec<Token> = (0..=MAX_SESSIONS).map(|_| ended(&sessions, 1)).collect();
        assert!(!kept(&sessions, tokens[0]) && kept(&sessions, tokens[1]));
        // Large ones count for more.
        let large = ended(&sessions, MAX_PLACES - 10);
        assert!(!kept(&sessions, tokens[2]) && kept(&sessions, tokens[MAX_SESSIONS]));
        let larger = ended(&sessions, MAX_PLACES + 1);
        assert!(!kept(&sessions, large) && kept(&sessions, larger));
    }
}
