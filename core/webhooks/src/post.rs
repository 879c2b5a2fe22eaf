//! One attempt: a signed POST, and what the answer means. Redirects are not followed: a moved endpoint is a matter for
//! the config, and the signature would go to whoever the old one names.

use crate::{Endpoint, Secrets};
use bytes::Bytes;
use headwater_event::Timestamp;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use std::{error::Error as _, sync::OnceLock, time::Duration};
use tokio::time::{Instant, timeout_at};

/// What the daemon calls itself.
const AGENT: &str = concat!("headwater-webhooks/", env!("CARGO_PKG_VERSION"));

/// The most that is read of an answer. Nothing in it matters, but a connection can only serve again when its answer was
/// read to the end.
const MAX_ANSWER: usize = 16 << 10;

/// How long a connection that rests is kept for the next event.
const KEEP: Duration = Duration::from_secs(30);

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The endpoint has it: 2xx.
    Taken,
    /// The endpoint wants nothing any more: 410.
    Gone,
    /// Everything else; it is tried again.
    Failed(Failure),
}

/// Why the endpoint does not have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What it answered, if it did.
    pub(crate) status: Option<u16>,
    /// For people; names no secret.
    pub(crate) reason: String,
    /// The pause that it asks for.
    pub(crate) pause: Option<Duration>,
}

impl Failure {
    fn silent(reason: String) -> Verdict {
        Verdict::Failed(Self { status: None, reason, pause: None })
    }
}

/// A client that keeps connections.
type Pooled<C> = Client<C, Full<Bytes>>;

/// Sends posts; connections are kept and shared by all webhooks.
#[derive(Default)]
pub(crate) struct Poster {
    plain: OnceLock<Pooled<HttpConnector>>,
    /// Made when the first https endpoint comes: it holds the machine's certificate authorities.
    secure: OnceLock<Result<Pooled<HttpsConnector<HttpConnector>>, String>>,
}

/// What is sent.
pub(crate) struct Post<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) secrets: &'a Secrets,
    /// The id by which a receiver knows a post that comes twice.
    pub(crate) id: &'a str,
    pub(crate) body: Bytes,
    pub(crate) timeout: Duration,
}

impl Poster {
    /// Tries once.
    pub(crate) async fn post(&self, post: Post<'_>) -> Verdict {
        let timeout = post.timeout;
        let request = match request(&post, Timestamp::now()) {
            Ok(request) => request,
            Err(error) => return Failure::silent(format!("it cannot be sent: {error}")),
        };
        let deadline = Instant::now() + timeout;
        let response = match timeout_at(deadline, self.send(post.endpoint, request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(reason)) => return Failure::silent(reason),
            Err(_) => return Failure::silent(format!("no answer within {} ms", timeout.as_millis())),
        };
        let verdict = verdict(response.status(), response.headers());
        // It has been said by now: an endpoint that dawdles over the rest has the event all the same.
        let _ = timeout_at(deadline, drain(response)).await;
        verdict
    }

    async fn send(&self, endpoint: &Endpoint, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, String> {
        let sent = if endpoint.is_secure() {
            self.secure.get_or_init(secure).as_ref().map_err(Clone::clone)?.request(request).await
        } else {
            self.plain.get_or_init(|| client(connector())).request(request).await
        };
        sent.map_err(|error| told(&error))
    }
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.enforce_http(false);
    connector
}

fn secure() -> Result<Pooled<HttpsConnector<HttpConnector>>, String> {
    let builder = HttpsConnectorBuilder::new()
        .with_native_roots()
        .map_err(|error| format!("no certificate authorities on this machine: {error}"))?;
    Ok(client(builder.https_only().enable_http1().wrap_connector(connector())))
}

fn client<C>(connector: C) -> Pooled<C>
where
    C: hyper_util::client::legacy::connect::Connect + Clone,
{
    Client::builder(TokioExecutor::new()).pool_idle_timeout(KEEP).pool_timer(TokioTimer::new()).build(connector)
}

fn request(post: &Post<'_>, now: Timestamp) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let seconds = now.0 / 1_000_000_000;
    Request::post(post.endpoint.uri())
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, AGENT)
        .header("webhook-id", post.id)
        .header("webhook-timestamp", seconds)
        .header("webhook-signature", post.secrets.signature(post.id, seconds, &post.body))
        .body(Full::new(post.body.clone()))
}

/// Standard Webhooks: 2xx is success, 410 ends it, and everything else is tried again, a 4xx too: it is as likely a
/// receiver that is being repaired as an event that it will never take.
fn verdict(status: StatusCode, headers: &HeaderMap) -> Verdict {
    if status.is_success() {
        return Verdict::Taken;
    }
    if status == StatusCode::GONE {
        return Verdict::Gone;
    }
    let reason = if status.is_redirection() {
        format!("it answered {status}, and redirects are not followed")
    } else {
        format!("it answered {status}")
    };
    let pause = headers.get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?, Timestamp::now()));
    Verdict::Failed(Failure { status: Some(status.as_u16()), reason, pause })
}

/// `Retry-After`: seconds, or a date as HTTP writes it.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_nanosecond();
    let wait = date - i128::from(now.0);
    Some(Duration::from_nanos(u64::try_from(wait.max(0)).unwrap_or(u64::MAX)))
}

/// Reads the answer, so that its connection can serve again, but not for ever.
async fn drain(response: Response<Incoming>) {
    let mut body = response.into_body();
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > MAX_ANSWER {
            return;
        }
    }
}

/// An error with its causes, without the address: what the address is, everyone who reads this knows.
fn told(error: &Error) -> String {
    let mut reason = String::from(if error.is_connect() { "it cannot be reached" } else { "the connection failed" });
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !reason.ends_with(&text) {
            reason.push_str(": ");
            reason.push_str(&text);
        }
        cause = error.source();
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn what_an_answer_means() {
        let mean = |status: u16| verdict(StatusCode::from_u16(status).unwrap(), &HeaderMap::new());
        for taken in [200, 201, 202, 204] {
            assert_eq!(mean(taken), Verdict::Taken);
        }
        assert_eq!(mean(410), Verdict::Gone);
        for failed in [301, 302, 308, 400, 401, 404, 408, 422, 425, 429, 500, 502, 503, 504] {
            let Verdict::Failed(failure) = mean(failed) else { panic!("{failed}") };
            assert_eq!((failure.status, failure.pause), (Some(failed), None));
        }
    }

    #[test]
    fn an_endpoint_may_name_a_pause() {
        let now = Timestamp::parse("2026-11-20T09:30:00Z").unwrap();
        assert_eq!(retry_after("120", now), Some(Duration::from_mins(2)));
        assert_eq!(retry_after("Fri, 20 Nov 2026 09:31:00 GMT", now), Some(Duration::from_mins(1)));
        assert_eq!(retry_after("Fri, 20 Nov 2026 09:29:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("-5", now), None);
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("7"))]);
        let Verdict::Failed(failure) = verdict(StatusCode::TOO_MANY_REQUESTS, &headers) else { panic!() };
        assert_eq!(failure.pause, Some(Duration::from_secs(7)));
    }
}
