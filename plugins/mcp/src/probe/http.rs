//! Messages over HTTP: each of ours is a POST, the answer comes as JSON or as a stream of events. Redirects are not followed:
//! headers may hold secrets, and they are for this URL.
//!
//! What rmcp has for this begins sessions anew and opens streams again by itself; whether a server is well would be hidden
//! by that.

use super::{
    message::{Incoming, Outgoing, Refusal},
    sse::{Decoder, MAX_EVENT},
    wire::WireError,
};
use crate::discovery::Http as Launch;
use bytes::Bytes;
use headwater_plugin::tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Duration, sleep, timeout},
};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::Incoming as Body,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rmcp::model::ProtocolVersion;
use std::{
    error::Error,
    sync::{Arc, Mutex, PoisonError},
};

/// Posts that are on their way at once. One more is not made: it is not answered either.
const POSTS: usize = 32;

/// Messages that were received and not taken. While it is full, no more is read.
const RECEIVED: usize = 64;

/// The longest body of an answer.
const LONGEST: usize = MAX_EVENT;

/// The pause before the stream of what a server tells unasked is opened again.
const REOPEN: Duration = Duration::from_secs(5);

/// How long a connection is kept that nobody uses. Node and uvicorn close one after five seconds, which is when we ask
/// again: what is sent at that moment is lost.
const IDLE: Duration = Duration::from_secs(2);

/// How long all else waits for the server to take `notifications/initialized`: before that it may refuse it.
const SETTLING: Duration = Duration::from_secs(2);

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");

/// What is awaited of a URL before it can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UrlError {
    /// It is none.
    #[error("its URL is no http:// or https:// URL")]
    Url,
    /// A header has characters that none may have. Which one is not told.
    #[error("one of its headers is none")]
    Header,
    /// TLS needs to know whom to trust.
    #[error("no certificate authorities on this machine")]
    Authorities,
}

/// A URL, and the session there.
#[derive(Debug)]
pub(crate) struct Http {
    place: Arc<Place>,
    received: mpsc::Receiver<Result<Incoming, WireError>>,
    to: mpsc::Sender<Result<Incoming, WireError>>,
    posts: JoinSet<()>,
    patience: Duration,
    /// Ends when the server has taken `notifications/initialized`.
    settled: Option<watch::Receiver<()>>,
}

#[derive(Debug)]
struct Place {
    client: Either,
    uri: Uri,
    headers: HeaderMap,
    session: Mutex<Option<HeaderValue>>,
    version: Mutex<Option<ProtocolVersion>>,
}

#[derive(Debug)]
enum Either {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Secure(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl Http {
    /// A server at this URL; each post has this long.
    pub(crate) fn new(launch: &Launch, patience: Duration) -> Result<Self, UrlError> {
        let uri: Uri = launch.url.parse().map_err(|_| UrlError::Url)?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.enforce_http(false);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_idle_timeout(IDLE).pool_timer(TokioTimer::new());
        let client = match uri.scheme_str() {
            Some("http") => Either::Plain(builder.build(connector)),
            Some("https") => {
                let secure = HttpsConnectorBuilder::new().with_native_roots().map_err(|_| UrlError::Authorities)?;
                Either::Secure(builder.build(secure.https_only().enable_http1().wrap_connector(connector)))
            }
            _ => return Err(UrlError::Url),
        };
        let mut headers = HeaderMap::new();
        for (name, value) in &launch.headers {
            let name: HeaderName = name.parse().map_err(|_| UrlError::Header)?;
            let mut value = HeaderValue::from_str(value).map_err(|_| UrlError::Header)?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let (to, received) = mpsc::channel(RECEIVED);
        let (session, version) = (Mutex::default(), Mutex::default());
        let place = Arc::new(Place { client, uri, headers, session, version });
        Ok(Self { place, received, to, posts: JoinSet::new(), patience, settled: None })
    }

    /// Posts a message.
    pub(crate) fn send(&mut self, message: &Outgoing) {
        while self.posts.try_join_next().is_some() {}
        if self.posts.len() >= POSTS {
            return;
        }
        let (place, to, message) = (Arc::clone(&self.place), self.to.clone(), message.clone());
        let listens = message.method == "subscriptions/listen";
        // What a server tells as long as it lives has no end.
        let patience = if listens { Duration::MAX } else { self.patience };
        let before = self.settled.clone();
        let settling = (message.method == "notifications/initialized").then(|| {
            let (settling, settled) = watch::channel(());
            self.settled = Some(settled);
            settling
        });
        self.posts.spawn(async move {
            wait(before).await;
            // Too late is the same as never: whoever waits has a deadline of its own.
            let posted = timeout(patience, place.post(&message, &to)).await;
            drop(settling);
            let failed = match posted {
                Ok(Ok(Posted::Stream) | Err(WireError::Unanswered(_))) if listens => WireError::Mute,
                Ok(Err(error)) => error,
                Ok(Ok(_)) | Err(_) => return,
            };
            let _ = to.send(Err(failed)).await;
        });
    }

    /// The next message. Cancel-safe.
    pub(crate) async fn receive(&mut self) -> Result<Incoming, WireError> {
        let closed = || Err(WireError::Closed("nobody reads it".to_owned()));
        self.received.recv().await.unwrap_or_else(closed)
    }

    /// Opens the stream of what the server tells unasked. A server need not have one.
    pub(crate) fn listen(&mut self) {
        let (place, to, before) = (Arc::clone(&self.place), self.to.clone(), self.settled.clone());
        self.posts.spawn(async move {
            wait(before).await;
            while place.stream(&to).await {
                sleep(REOPEN).await;
            }
        });
    }
}

type Sink = mpsc::Sender<Result<Incoming, WireError>>;

/// How a message was answered.
enum Posted {
    /// In one piece, or not at all.
    Whole,
    /// By a stream of events, which has ended.
    Stream,
}

/// Waits until the server has taken what goes before all else, but not for long.
async fn wait(before: Option<watch::Receiver<()>>) {
    if let Some(mut before) = before {
        // Nothing is ever sent: it ends when the other end is dropped.
        let _ = timeout(SETTLING, before.changed()).await;
    }
}

impl Place {
    async fn ask(&self, request: Request<Full<Bytes>>) -> Result<Response<Body>, WireError> {
        let sent = match &self.client {
            Either::Plain(client) => client.request(request).await,
            Either::Secure(client) => client.request(request).await,
        };
        sent.map_err(|error| match told(&error) {
            reason if error.is_connect() => WireError::Unreachable(reason),
            // Somebody is there. A connection that was kept may have ended at the moment when it was used again.
            reason => WireError::Unanswered(format!("the connection broke: {reason}")),
        })
    }

    fn request(&self, method: Method, accept: &'static str, body: String) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = method;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("headwater/", env!("CARGO_PKG_VERSION"))));
        headers.extend(self.headers.clone());
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        if let Some(session) = lock(&self.session).clone() {
            headers.insert(SESSION, session);
        }
        request
    }

    async fn post(&self, message: &Outgoing, to: &Sink) -> Result<Posted, WireError> {
        if message.method == "initialize" {
            // It begins a session; one that was there before is none any more.
            *lock(&self.session) = None;
        }
        let mut request = self.request(Method::POST, "application/json, text/event-stream", message.json.clone());
        let had_session = request.headers().contains_key(SESSION);
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(version) = &message.version {
            if let Ok(value) = HeaderValue::from_str(version.as_str()) {
                headers.insert(VERSION, value);
            }
            if *version >= ProtocolVersion::STANDARD_HEADERS && !message.method.is_empty() {
                headers.insert(METHOD, HeaderValue::from_static(message.method));
            }
            lock(&self.version).clone_from(&message.version);
        }
        let response = self.ask(request).await?;
        let status = response.status();
        if message.method == "initialize"
            && let Some(session) = response.headers().get(SESSION)
        {
            *lock(&self.session) = Some(session.clone());
        }
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(WireError::Locked),
            StatusCode::NOT_FOUND if had_session => return Err(WireError::SessionGone),
            status if !status.is_success() => return self.refused(message, status, response, to).await,
            StatusCode::ACCEPTED | StatusCode::NO_CONTENT => return Ok(Posted::Whole),
            _ => {}
        }
        if is_stream(&response) {
            read(response, to).await.map_err(|reason| broken(message, &reason))?;
            return Ok(Posted::Stream);
        }
        let body = whole(response).await.map_err(|reason| broken(message, &reason))?;
        if let Some(incoming) = Incoming::read(&body) {
            let _ = to.send(Ok(incoming)).await;
        } else if let Some(id) = message.id {
            let refusal = Refusal { code: 0, message: "its answer is no message of the protocol".to_owned() };
            let _ = to.send(Ok(Incoming::Answer { id: Some(id), result: Err(refusal) })).await;
        }
        Ok(Posted::Whole)
    }

    /// It answers, and not with what was asked.
    async fn refused(
        &self,
        message: &Outgoing,
        status: StatusCode,
        response: Response<Body>,
        to: &Sink,
    ) -> Result<Posted, WireError> {
        let Some(id) = message.id else { return Ok(Posted::Whole) };
        let said = whole(response).await.ok().and_then(|body| Incoming::read(&body));
        let refusal = match said {
            Some(Incoming::Answer { result: Err(refusal), .. }) => refusal,
            _ => Refusal { code: i64::from(status.as_u16()), message: format!("HTTP {}", status.as_u16()) },
        };
        let _ = to.send(Ok(Incoming::Answer { id: Some(id), result: Err(refusal) })).await;
        Ok(Posted::Whole)
    }

    /// Reads what it tells unasked. `false`: it has no such stream.
    async fn stream(&self, to: &Sink) -> bool {
        let mut request = self.request(Method::GET, "text/event-stream", String::new());
        let version = lock(&self.version).as_ref().and_then(|version| HeaderValue::from_str(version.as_str()).ok());
        if let Some(version) = version {
            request.headers_mut().insert(VERSION, version);
        }
        match self.ask(request).await {
            Ok(response) if response.status().is_success() && is_stream(&response) => {
                let _ = read(response, to).await;
                true
            }
            Ok(_) => false,
            Err(_) => true,
        }
    }
}

fn broken(message: &Outgoing, reason: &str) -> WireError {
    WireError::Unanswered(format!("its answer to {} broke off: {reason}", message.method))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_stream(response: &Response<Body>) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/event-stream"))
}

/// Reads a stream of events to its end.
async fn read(response: Response<Body>, to: &Sink) -> Result<(), String> {
    let mut body = response.into_body();
    let mut decoder = Decoder::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| told(&error))?;
        for event in frame.data_ref().map(|data| decoder.feed(data)).unwrap_or_default() {
            if let Some(incoming) = Incoming::read(&event) {
                let _ = to.send(Ok(incoming)).await;
            }
        }
    }
    Ok(())
}

async fn whole(response: Response<Body>) -> Result<Vec<u8>, String> {
    let mut body = response.into_body();
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| told(&error))?;
        if let Some(data) = frame.data_ref() {
            if all.len() + data.len() > LONGEST {
                return Err("it is too long".to_owned());
            }
            all.extend_from_slice(data);
        }
    }
    Ok(all)
}

/// The innermost reason: `Connection refused (os error 111)`.
fn told(error: &(dyn Error + 'static)) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
