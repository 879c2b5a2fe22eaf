//! How a verb fails: a sentence that says what to do, and an exit code that scripts can tell apart.

use crate::{
    globals::DEFAULT_URL,
    text::{visible, visible_lines},
};
use headwater_client::Error;
use std::{net::SocketAddr, process::ExitCode};

/// A verb's end without success.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The arguments cannot be used (2).
    #[error("{0}")]
    Usage(String),
    /// No daemon answers, or it went away (69).
    #[error("{0}")]
    Away(String),
    /// The token is missing or not enough (77).
    #[error("{0}")]
    Denied(String),
    /// The config has errors; the text is the diagnostics (78).
    #[error("{0}")]
    Config(String),
    /// The daemon refused, or something else went wrong (1).
    #[error("{0}")]
    Other(String),
    /// Whoever read the output has left (0): `headwater sub … | head -1` is no failure.
    #[error("the reader of the output has left")]
    ReaderLeft,
    /// Ctrl-C or SIGTERM (0): the way to end a subscription.
    #[error("interrupted")]
    Interrupted,
}

impl Failure {
    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::ReaderLeft | Self::Interrupted => 0,
            Self::Other(_) => 1,
            Self::Usage(_) => 2,
            Self::Away(_) => 69,
            Self::Denied(_) => 77,
            Self::Config(_) => 78,
        }
    }

    /// Says it on stderr and gives the exit code.
    pub fn report(&self) -> ExitCode {
        match self {
            Self::ReaderLeft | Self::Interrupted => {}
            Self::Config(diagnostics) => say(&visible_lines(diagnostics)),
            other => say(&format!("headwater: {}", visible(&other.to_string()))),
        }
        ExitCode::from(self.code())
    }
}

/// Writes a line to stderr. A closed stderr is nobody to tell.
pub(crate) fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The command that starts a daemon where this URL asks. Of one that is elsewhere nobody here knows how it is reached.
fn up_at(url: &str) -> String {
    let host = url.strip_prefix("http://").map(|host| host.replacen("localhost", "127.0.0.1", 1));
    let here = host.and_then(|host| host.parse::<SocketAddr>().ok()).filter(|address| address.ip().is_loopback());
    match here {
        Some(address) if url != DEFAULT_URL => format!("headwater up --listen {address}"),
        _ => "headwater up".to_owned(),
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Url { .. } | Error::Token => Self::Usage(error.to_string()),
            Error::Away { url, reason } if reason == "connection refused" => {
                Self::Away(format!("no daemon answers at {url}; start one: {}", up_at(&url)))
            }
            Error::Away { url, reason } => Self::Away(format!(
                "no daemon answers at {url} ({reason}); is the address right? --url or HEADWATER_URL"
            )),
            Error::Lost(closed) => Self::Away(format!("the connection to the daemon ended: {closed}")),
            Error::Denied(problem) => {
                Self::Denied(format!("{}; give a token that may: --token or HEADWATER_TOKEN", problem.detail))
            }
            Error::Refused(problem) => match problem.field("diagnostics") {
                Some(diagnostics) => Self::Config(diagnostics),
                None if problem.status == 503 => Self::Away(problem.detail),
                None => Self::Other(problem.detail),
            },
            Error::Protocol(_) => Self::Other(format!("{error}; check the address and the version of the daemon")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_client::Problem;

    #[test]
    fn each_kind_has_its_exit_code_and_says_what_to_do() {
        let problem = |status, body: &str| {
            Box::new(Problem { status, detail: "no".into(), body: body.into(), ..Problem::default() })
        };
        let away = Error::Away { url: "http://127.0.0.1:8765".into(), reason: "connection refused".into() };
        for (error, code, words) in [
            (away, 69, "no daemon answers at http://127.0.0.1:8765; start one: headwater up"),
            (Error::Away { url: "u".into(), reason: "host unreachable".into() }, 69, "(host unreachable)"),
            (Error::Denied(problem(401, "")), 77, "--token"),
            (Error::Refused(problem(422, r#"{"diagnostics":"error[E0102]: x"}"#)), 78, "error[E0102]: x"),
            (Error::Refused(problem(503, "")), 69, "no"),
            (Error::Refused(problem(404, "")), 1, "no"),
            (Error::Token, 2, "token"),
            (Error::Protocol("x".into()), 1, "version"),
        ] {
            let failure = Failure::from(error);
            assert_eq!(failure.code(), code, "{failure}");
            assert!(failure.to_string().contains(words), "{failure}");
        }
    }
    #[test]
    fn a_daemon_is_started_where_it_was_asked() {
        for (url, command) in [
            (DEFAULT_URL, "headwater up"),
            ("http://localhost:8765", "headwater up --listen 127.0.0.1:8765"),
            ("http://127.0.0.1:9000", "headwater up --listen 127.0.0.1:9000"),
            ("http://[::1]:9000", "headwater up --listen [::1]:9000"),
            ("http://box.lan:8765", "headwater up"),
            ("http://127.0.0.1:9000/bus", "headwater up"),
        ] {
            assert_eq!(up_at(url), command, "{url}");
        }
    }
}
