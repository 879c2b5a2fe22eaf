//! The reading of a server's `GET /event`: connects, reads, and connects again when the connection has ended.

use super::{read, stream::Decoder};
use crate::{
    adapters::{Fields, Unknown},
    signal::{Ended, Signal, What},
};
use bytes::Bytes;
use headwater_plugin::tokio::{
    net::TcpStream,
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use http_body_util::{BodyExt, Empty};
use hyper::{Request, StatusCode, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

/// How long a connection may take, with the answer's head.
const CONNECT: Duration = Duration::from_secs(5);
/// The server says every ten seconds that it is there. After this silence it is gone, or the connection is.
const SILENCE: Duration = Duration::from_secs(35);
/// The pause before the second attempt; each further one takes twice as long, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// How long a server that was started may stay unseen.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Each word of an answer says that the session is there. One a second is enough.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// The most sessions of a server that are remembered, to say that they are gone when it is. Of more, the rest is not said.
const MAX_SESSIONS: usize = 1024;

/// The address of a server: `http://127.0.0.1:4096`. It must be on this machine, since the stream holds what people and
/// models say, and is read without encryption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl {
    host: String,
    port: u16,
}

/// Why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Another scheme, or a path, or no address at all.
    #[error("an opencode server is written as http://127.0.0.1:4096")]
    Form,
    /// The server is elsewhere.
    #[error(
        "an opencode server is read without encryption, and must be on this machine: localhost, 127.0.0.1 or [::1]"
    )]
    Elsewhere,
}

/// What a follower has heard.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// The server answers. What its sessions do at the moment is not known until they say something.
    Connected,
    /// What an event says.
    Signals(Vec<Signal>),
    /// The connection has ended, or could not be made; the reason, for people. It is tried again. Told once until the
    /// server answers again.
    Lost(String),
}

/// Reads one server.
#[derive(Debug)]
pub struct Follower {
    url: ServerUrl,
    unknown: Unknown,
    /// While it is full nothing is read: what follows waits in the connection, and then with the server.
    heard: mpsc::Sender<Heard>,
    /// The sessions that have said something, and when their last mere sign of life was passed on.
    sessions: BTreeMap<String, (Signal, Option<Instant>)>,
}

/// The other end no longer listens.
struct Unheard;

/// How a connection ended.
enum Ending {
    /// Nobody listens at that address.
    NoServer(String),
    /// Another fault; the server may be there.
    Fault(String),
    Unheard,
}

impl From<Unheard> for Ending {
    fn from(Unheard: Unheard) -> Self {
        Self::Unheard
    }
}

impl Follower {
    /// A follower that has not connected yet. What is not understood is counted in `unknown`.
    pub fn new(url: ServerUrl, unknown: Unknown, heard: mpsc::Sender<Heard>) -> Self {
        Self { url, unknown, heard, sessions: BTreeMap::new() }
    }

    /// Reads until nobody listens. It can be dropped at any time.
    pub async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        // Before the first answer there is no connection that could be lost, but a fault to be told once.
        let mut told = false;
        loop {
            let mut connected = false;
            let ending = match self.connection(&mut connected).await {
                Ending::Unheard => return,
                ending => ending,
            };
            if connected {
                (pause, told) = (FIRST_PAUSE, false);
            }
            if self.ended(ending, &mut told).await.is_err() {
                return;
            }
            headwater_plugin::tokio::select! {
                () = sleep(pause) => {}
                () = self.heard.closed() => return,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn ended(&mut self, ending: Ending, told: &mut bool) -> Result<(), Unheard> {
        let reason = match ending {
            Ending::NoServer(reason) => {
                // Who no longer listens has ended, and its sessions with it.
                let sessions = std::mem::take(&mut self.sessions);
                let reason_of = || Some("server_gone".to_owned());
                let gone = |(signal, _): (Signal, _)| Signal { what: What::Gone { reason: reason_of() }, ..signal };
                let gone: Vec<Signal> = sessions.into_values().map(gone).collect();
                if !gone.is_empty() {
                    self.tell(Heard::Signals(gone)).await?;
                }
                reason
            }
            Ending::Fault(reason) => reason,
            Ending::Unheard => return Err(Unheard),
        };
        if !std::mem::replace(told, true) {
            self.tell(Heard::Lost(reason)).await?;
        }
        Ok(())
    }

    /// One connection, from its beginning to its end.
    async fn connection(&mut self, connected: &mut bool) -> Ending {
        let stream = match timeout(CONNECT, TcpStream::connect((self.url.host.as_str(), self.url.port))).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Ending::NoServer(format!("{} does not answer: {error}", self.url)),
            Err(_) => return Ending::Fault(format!("{} does not answer", self.url)),
        };
        // Owns the task that drives the connection: it ends with this call.
        let mut driver = JoinSet::new();
        let answer = timeout(CONNECT, self.ask(stream, &mut driver)).await;
        let mut body = match answer {
            Ok(Ok(body)) => body,
            Ok(Err(reason)) => return Ending::Fault(reason),
            Err(_) => return Ending::Fault(format!("{} gives no answer", self.url)),
        };
        *connected = true;
        if self.tell(Heard::Connected).await.is_err() {
            return Ending::Unheard;
        }
        let mut decoder = Decoder::default();
        loop {
            let frame = headwater_plugin::tokio::select! {
                frame = timeout(SILENCE, body.frame()) => frame,
                () = self.heard.closed() => return Ending::Unheard,
            };
            match frame {
                Ok(Some(Ok(frame))) => {
                    for event in decoder.feed(frame.data_ref().map_or(&[], |data| data)) {
                        if let Err(unheard) = self.event(&event).await {
                            return unheard.into();
                        }
                    }
                }
                Ok(Some(Err(error))) => return Ending::Fault(format!("{}: {error}", self.url)),
                Ok(None) => return Ending::Fault(format!("{} has ended the stream", self.url)),
                Err(_) => return Ending::Fault(format!("{} has said nothing for {} s", self.url, SILENCE.as_secs())),
            }
        }
    }

    /// Asks for the stream; an answer that is none is the reason.
    async fn ask(
        &self,
        stream: TcpStream,
        driver: &mut JoinSet<Result<(), hyper::Error>>,
    ) -> Result<hyper::body::Incoming, String> {
        let fault = |error: hyper::Error| format!("{}: {error}", self.url);
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(fault)?;
        driver.spawn(connection);
        let request = Request::get("/event")
            .header(header::HOST, self.url.authority())
            .header(header::ACCEPT, "text/event-stream")
            .body(Empty::<Bytes>::new())
            .expect("invariant: the address was checked when it was read");
        let answer = sender.send_request(request).await.map_err(fault)?;
        match answer.status() {
            StatusCode::OK => Ok(answer.into_body()),
            StatusCode::UNAUTHORIZED => Err(format!("{} wants a password, which cannot be given here", self.url)),
            status => Err(format!("{} answers {status}", self.url)),
        }
    }

    async fn event(&mut self, json: &[u8]) -> Result<(), Unheard> {
        let Ok(event) = serde_json::from_slice::<Value>(json) else {
            self.unknown.count("opencode", "(no JSON)");
            return Ok(());
        };
        let mut signals = read(Fields(&event), &self.unknown);
        signals.retain(|signal| self.worth_telling(signal));
        for signal in &mut signals {
            // Nobody has asked for text here, and no gateway has taken it away.
            if let What::Turn(Ended::Failed { message, .. }) = &mut signal.what {
                *message = None;
            }
        }
        if signals.is_empty() { Ok(()) } else { self.tell(Heard::Signals(signals)).await }
    }

    /// Remembers the session, and holds back signs of life that come too fast.
    fn worth_telling(&mut self, signal: &Signal) -> bool {
        let Some(session) = &signal.agent.session else { return false };
        if matches!(signal.what, What::Gone { .. }) {
            self.sessions.remove(session);
            return true;
        }
        let now = Instant::now();
        let sign = signal.what == What::Heartbeat;
        if let Some((_, last)) = self.sessions.get_mut(session) {
            if sign && last.is_some_and(|last| now.duration_since(last) < HEARTBEAT) {
                return false;
            }
            *last = Some(now);
        } else if self.sessions.len() < MAX_SESSIONS {
            self.sessions.insert(session.clone(), (Signal { task: None, at: None, ..signal.clone() }, Some(now)));
        }
        true
    }

    async fn tell(&self, heard: Heard) -> Result<(), Unheard> {
        self.heard.send(heard).await.map_err(|_| Unheard)
    }
}

impl ServerUrl {
    fn authority(&self) -> String {
        // An address of IPv6 stands in brackets.
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for ServerUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let authority = text.strip_prefix("http://").ok_or(UrlError::Form)?;
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let (host, port) = authority.rsplit_once(':').ok_or(UrlError::Form)?;
        let port = port.parse().map_err(|_| UrlError::Form)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host == "localhost" {
            return Ok(Self { host: host.into(), port });
        }
        match host.parse::<std::net::IpAddr>() {
            Ok(address) if address.is_loopback() => Ok(Self { host: host.into(), port }),
            Err(_) if host.is_empty() || host.contains(['/', '@', '?', '#', ' ']) => Err(UrlError::Form),
            Ok(_) | Err(_) => Err(UrlError::Elsewhere),
        }
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority())
    }
}

#[cfg(test)]
mod tests;
