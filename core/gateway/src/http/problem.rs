//! Errors over HTTP: RFC 9457 problem documents, with the same codes as on the WebSocket side. Handlers return them, the
//! guard counts them.

use crate::Refused;
use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use headwater_protocol::{ErrorCode, RequestError};
use serde::Serialize;
use serde_json::{Map, Value};

/// One kind of problem: what programs match on, and the status that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// The word that programs match on; the problem's `type` is made of it.
    code: &'static str,
    status: StatusCode,
    title: &'static str,
}

/// The kinds that only HTTP has. The others come from [`ErrorCode`].
impl Kind {
    pub(crate) const BAD_HOST: Self = Self::new("BAD_HOST", StatusCode::BAD_REQUEST, "no single Host header");
    pub(crate) const HOST_NOT_ALLOWED: Self =
        Self::new("HOST_NOT_ALLOWED", StatusCode::FORBIDDEN, "the Host is not one of this gateway");
    pub(crate) const ORIGIN_NOT_ALLOWED: Self =
        Self::new("ORIGIN_NOT_ALLOWED", StatusCode::FORBIDDEN, "pages of this Origin may not connect");
    pub(crate) const NO_SUCH_METHOD: Self =
        Self::new("METHOD_NOT_ALLOWED", StatusCode::METHOD_NOT_ALLOWED, "not with this method");
    pub(crate) const TOO_SLOW: Self =
        Self::new("REQUEST_TIMEOUT", StatusCode::REQUEST_TIMEOUT, "the request took too long to arrive");
    pub(crate) const TOO_LARGE: Self =
        Self::new("PAYLOAD_TOO_LARGE", StatusCode::PAYLOAD_TOO_LARGE, "the body is too large");
    pub(crate) const MEDIA_TYPE: Self =
        Self::new("UNSUPPORTED_MEDIA_TYPE", StatusCode::UNSUPPORTED_MEDIA_TYPE, "not this media type");
    pub(crate) const CONFIG_REJECTED: Self =
        Self::new("CONFIG_REJECTED", StatusCode::UNPROCESSABLE_ENTITY, "the config has errors; the running one stays");
    pub(crate) const UPGRADE_REQUIRED: Self =
        Self::new("UPGRADE_REQUIRED", StatusCode::UPGRADE_REQUIRED, "this path speaks WebSocket");
    pub(crate) const HTTP_VERSION: Self =
        Self::new("HTTP_VERSION_NOT_SUPPORTED", StatusCode::HTTP_VERSION_NOT_SUPPORTED, "HTTP/1.1 only");

    const fn new(code: &'static str, status: StatusCode, title: &'static str) -> Self {
        Self { code, status, title }
    }
}

impl From<ErrorCode> for Kind {
    fn from(code: ErrorCode) -> Self {
        let (status, title) = match code {
            ErrorCode::InvalidJson => (StatusCode::BAD_REQUEST, "no valid JSON"),
            ErrorCode::Validation => (StatusCode::BAD_REQUEST, "the request is not valid"),
            ErrorCode::UnknownCommand => (StatusCode::NOT_FOUND, "no source has this command"),
            ErrorCode::AmbiguousCommand => (StatusCode::CONFLICT, "several sources have this command"),
            ErrorCode::NotFound => (StatusCode::NOT_FOUND, "there is no such thing"),
            ErrorCode::RateLimit => (StatusCode::TOO_MANY_REQUESTS, "too much at once"),
            ErrorCode::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "not now"),
            ErrorCode::Internal | ErrorCode::OutcomeUnknown => {
                (StatusCode::INTERNAL_SERVER_ERROR, "a fault of the daemon")
            }
            _ => (StatusCode::BAD_REQUEST, "the request cannot be done"),
        };
        Self::new(code.as_str(), status, title)
    }
}

/// The code of a problem, left in the response's extensions for whoever counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProblemCode(pub(crate) &'static str);

/// One problem document.
#[derive(Debug)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    more: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem of this kind; the detail names the place and the fix.
    pub(crate) fn new(kind: impl Into<Kind>, detail: impl Into<String>) -> Self {
        Self { kind: kind.into(), detail: detail.into(), more: Map::new(), headers: Vec::new() }
    }

    /// The same with one more member.
    #[must_use]
    pub(crate) fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.more.insert(member.into(), value.into());
        self
    }

    /// The same with a header.
    #[must_use]
    pub(crate) fn header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The word that programs match on.
    pub(crate) fn code(&self) -> &'static str {
        self.kind.code
    }

    /// The place and the fix.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// A member of its own, if it has it.
    pub(crate) fn member(&self, name: &str) -> Option<&Value> {
        self.more.get(name)
    }

    #[cfg(test)]
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }
}

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        let problem = Self::new(error.code, error.message);
        match error.code {
            ErrorCode::Unavailable => problem.header(header::RETRY_AFTER, HeaderValue::from_static("1")),
            _ => problem,
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let problem = Self::new(refused.code, refused.message);
        match refused.suggested_action {
            Some(action) => problem.with("suggested_action", action),
            None => problem,
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    #[serde(flatten)]
    more: &'a Map<String, Value>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Kind { code, status, title } = self.kind;
        let document = Document {
            kind: format!("urn:headwater:error:{}", code.to_ascii_lowercase().replace('_', "-")),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            code,
            more: &self.more,
        };
        let mut text = serde_json::to_vec(&document).expect("invariant: a problem has only strings as keys");
        text.push(b'\n');
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = status;
        response.extensions_mut().insert(ProblemCode(code));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.extend(self.headers);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_a_type_of_its_code() {
        let response = Problem::new(ErrorCode::NotFound, "no source `x`").with("source", "x").into_response();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.extensions().get::<ProblemCode>().unwrap().0, "RESOURCE_NOT_FOUND");
    }
}
