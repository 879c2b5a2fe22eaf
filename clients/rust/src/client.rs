//! A client: where the daemon is, the token, and HTTP requests to it.
//!
//! The calls of single routes stand in `calls`, the event stream in `stream`. Each call is a connection of its own:
//! on one machine that costs less than keeping idle ones alive.

use crate::{Endpoint, Error, Problem, connect};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::{pin::pin, time::Duration};

/// The longest wait for an answer. A reload waits for sources to end, 10 s each by default, several at once.
const ANSWER: Duration = Duration::from_mins(1);
/// The largest answer that is read: a hostile or mistaken address could send without end.
const LARGEST_ANSWER: usize = 64 << 20;

/// What this program calls itself in requests.
pub(crate) const AGENT: &str = concat!("headwater-client/", env!("CARGO_PKG_VERSION"));

/// A daemon's address and the token for it. Cheap to clone; holds no connection.
#[derive(Clone, Debug)]
pub struct Client {
    endpoint: Endpoint,
    authorization: Option<HeaderValue>,
}

impl Client {
    /// Takes a URL such as `http://127.0.0.1:8765`, and a token where the daemon wants one. Nothing is sent yet.
    pub fn new(url: &str, token: Option<&str>) -> Result<Self, Error> {
        let endpoint = Endpoint::parse(url)?;
        let authorization = match token {
            None => None,
            Some(token) => {
                let mut value = HeaderValue::try_from(format!("Bearer {}", token.trim())).map_err(|_| Error::Token)?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        Ok(Self { endpoint, authorization })
    }

    /// Where the daemon is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// Gets a route such as `/v1/info`: the body of a successful answer.
    pub async fn get(&self, route: &str) -> Result<Bytes, Error> {
        self.call(Method::GET, route, None, Bytes::new()).await
    }

    /// Posts a body to a route: the body of a successful answer.
    pub async fn post(&self, route: &str, content_type: Option<&'static str>, body: Bytes) -> Result<Bytes, Error> {
        self.call(Method::POST, route, content_type, body).await
    }

    /// Gets a route and reads its JSON.
    pub async fn get_json<T: DeserializeOwned>(&self, route: &str) -> Result<T, Error> {
        read(&self.get(route).await?)
    }

    /// Posts JSON, or nothing, and reads the JSON of the answer.
    pub async fn post_json<T: DeserializeOwned>(&self, route: &str, body: Bytes) -> Result<T, Error> {
        let content_type = (!body.is_empty()).then_some("application/json");
        read(&self.post(route, content_type, body).await?)
    }

    async fn call(
        &self,
        method: Method,
        route: &str,
        content_type: Option<&'static str>,
        body: Bytes,
    ) -> Result<Bytes, Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(self.endpoint.path(route))
            .header(HOST, self.endpoint.authority())
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, "application/json");
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request
            .body(Full::new(body))
            .map_err(|error| Error::Url { url: self.endpoint.to_string(), reason: error.to_string() })?;
        let away = |reason: String| Error::Away { url: self.endpoint.to_string(), reason };
        tokio::time::timeout(ANSWER, self.exchange(request))
            .await
            .map_err(|_| away(format!("no answer within {} s", ANSWER.as_secs())))?
    }

    /// One request and its answer on a connection of its own, which ends with it.
    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Bytes, Error> {
        let stream = connect::connect(&self.endpoint).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.broken(&error))?;
        let mut connection = pin!(connection);
        let mut answer = pin!(async {
            let answer = sender.send_request(request).await.map_err(|error| self.broken(&error))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), LARGEST_ANSWER)
                .collect()
                .await
                .map_err(|error| Error::Protocol(format!("its body broke off: {error}")))?
                .to_bytes();
            if status.is_success() { Ok(body) } else { Err(Problem::from_http(status.as_u16(), &body).into()) }
        });
        // The connection is driven here instead of in a task: it must not outlive the call.
        tokio::select! {
            answer = &mut answer => answer,
            _ = &mut connection => answer.await,
        }
    }

    pub(crate) fn broken(&self, error: &hyper::Error) -> Error {
        if error.is_parse() {
            return Error::Protocol(error.to_string());
        }
        Error::Away { url: self.endpoint.to_string(), reason: error.to_string() }
    }
}

/// Reads JSON that a Headwater daemon of this version sends.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| Error::Protocol(error.to_string()))
}
