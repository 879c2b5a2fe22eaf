//! From an HTTP request to rmcp and back. rmcp knows the protocol of both eras: versions, headers, framing. Host and
//! Origin were checked by the guard.

use super::{Caller, server::Server};
use axum::http::{Request, Response, header, request};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
};
use std::{convert::Infallible, fmt, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// How long an answer that is awaited says nothing at most. Proxies cut what is silent for a minute, and a client that has
/// gone is noticed by writing to it. Of the era without a handshake rmcp holds back the head, and with it this, until there is
/// a first message.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The server behind its transport.
pub(crate) struct Door(StreamableHttpService<Server, NeverSessionManager>);

impl Door {
    /// For bodies up to `limit`. When `closing` is cancelled, answers that are awaited end.
    pub(crate) fn new(limit: usize, closing: CancellationToken) -> Self {
        Self::with(|config| config.with_max_request_body_bytes(limit).with_cancellation_token(closing))
    }

    fn with(change: impl FnOnce(StreamableHttpServerConfig) -> StreamableHttpServerConfig) -> Self {
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_sse_retry(None)
            .with_sse_keep_alive(Some(KEEP_ALIVE))
            .disable_allowed_hosts();
        Self(StreamableHttpService::new(|| Ok(Server), Arc::default(), change(config)))
    }

    /// Answers one message. Its head carries the [`Caller`]. Who drops the answer before its end withdraws the call.
    pub(crate) async fn answer(&self, head: request::Parts, body: Bytes) -> Response<BoxBody<Bytes, Infallible>> {
        self.0.handle(Request::from_parts(head, Full::new(body))).await
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").finish_non_exhaustive()
    }
}

/// The server where no daemon is: it says who it is and which tools there are, and each call that no daemon answers it.
/// For a bridge that is started before the daemon: clients ask for the tools once, when they start.
#[derive(Debug)]
pub struct Absent(Door);

impl Default for Absent {
    fn default() -> Self {
        Self(Door::with(|config| config.with_json_response(true)))
    }
}

impl Absent {
    /// Answers one JSON-RPC message with another, or with nothing where it wants no answer. `why` says what is missing and
    /// what to do about it; `headers` are those that would go to a daemon.
    pub async fn answer(&self, why: &str, headers: &[(&str, String)], message: Vec<u8>) -> Vec<u8> {
        let mut request = Request::post("/mcp")
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .extension(Caller::absent(why));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let Ok(request) = request.body(()) else { return Vec::new() };
        let answer = self.0.answer(request.into_parts().0, message.into()).await;
        let Ok(body) = answer.into_body().collect().await;
        body.to_bytes().into()
    }
}
