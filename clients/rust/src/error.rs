//! What can go wrong between a client and a daemon, split by what the caller can do about it.

use crate::Closed;
use serde::Deserialize;

/// Why a call or a connection failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL cannot be used; nothing was tried.
    #[error("`{url}` cannot be used as a daemon's URL: {reason}")]
    Url {
        /// As it was given.
        url: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// The token cannot be sent in a header; nothing was tried.
    #[error("the token has a character that no token has, maybe a line end")]
    Token,
    /// Nobody answers there, or not in time. Try again later, or start the daemon.
    #[error("no daemon answers at {url}: {reason}")]
    Away {
        /// Where it was tried.
        url: String,
        /// The system's words.
        reason: String,
    },
    /// The daemon wants a token, or another one.
    #[error("{}", .0.detail)]
    Denied(Box<Problem>),
    /// The daemon is there and says no to this request.
    #[error("{}", .0.detail)]
    Refused(Box<Problem>),
    /// The connection ended while an answer was awaited. Whether the request was carried out cannot be known.
    #[error("the connection ended before the answer came: {0}")]
    Lost(Closed),
    /// The answer is none that a Headwater daemon gives: another program, or another version.
    #[error("the answer is not a Headwater daemon's: {0}")]
    Protocol(String),
}

/// A refusal in the daemon's words (RFC 9457 over HTTP, an `error` message on a stream).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status; 0 where it came over a stream.
    pub status: u16,
    /// `VALIDATION_ERROR` and the like: what programs compare.
    pub code: String,
    /// The place and the fix: what people read.
    pub detail: String,
    /// The whole body as it came, for fields of a single route (`diagnostics`).
    pub body: String,
}

impl Problem {
    /// A text field of the body, when there is one.
    pub fn field(&self, name: &str) -> Option<String> {
        let body: serde_json::Value = serde_json::from_str(&self.body).ok()?;
        body.get(name)?.as_str().map(str::to_owned)
    }

    /// Reads an HTTP answer that is no success. Whatever the body is, there is something to tell people.
    pub(crate) fn from_http(status: u16, body: &[u8]) -> Self {
        #[derive(Deserialize, Default)]
        struct Body {
            code: Option<String>,
            detail: Option<String>,
            title: Option<String>,
        }
        let text = String::from_utf8_lossy(body).into_owned();
        let read: Body = serde_json::from_str(&text).unwrap_or_default();
        let detail = read.detail.or(read.title).unwrap_or_else(|| match text.trim() {
            "" => format!("the daemon answered with HTTP status {status} and nothing else"),
            words => format!("HTTP status {status}: {}", words.chars().take(200).collect::<String>()),
        });
        Self { status, code: read.code.unwrap_or_default(), detail, body: text }
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        let denied = matches!(problem.status, 401 | 403)
            || matches!(problem.code.as_str(), "AUTHENTICATION_FAILED" | "INSUFFICIENT_PERMISSIONS");
        if denied { Self::Denied(Box::new(problem)) } else { Self::Refused(Box::new(problem)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_speaks_even_when_its_body_does_not() {
        let problem = Problem::from_http(
            422,
            br#"{"title":"config refused","detail":"line 3","code":"CONFIG_INVALID","diagnostics":"error[E0102]"}"#,
        );
        assert_eq!((problem.code.as_str(), problem.detail.as_str()), ("CONFIG_INVALID", "line 3"));
        assert_eq!(problem.field("diagnostics").as_deref(), Some("error[E0102]"));
        assert!(Problem::from_http(500, b"").detail.contains("500"));
        assert_eq!(Problem::from_http(404, b"no such page").detail, "HTTP status 404: no such page");
    }

    #[test]
    fn a_missing_token_is_told_apart_from_a_refusal() {
        assert!(matches!(Problem::from_http(401, b"").into(), Error::Denied(_)));
        assert!(matches!(Problem::from_http(400, b"").into(), Error::Refused(_)));
        let words = Problem { code: "INSUFFICIENT_PERMISSIONS".into(), ..Problem::default() };
        assert!(matches!(words.into(), Error::Denied(_)));
    }
}
