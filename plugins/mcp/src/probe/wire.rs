//! The way to a server, whichever it is.

use super::{
    http::Http,
    message::{Incoming, Outgoing},
    pipes::Pipes,
};

/// The way to a server.
#[derive(Debug)]
pub(crate) enum Wire {
    /// A program's pipes.
    Pipes(Box<Pipes>),
    /// A URL.
    Http(Box<Http>),
}

/// Why no message comes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// None will come any more.
    #[error("{0}")]
    Closed(String),
    /// Nobody listens there.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// One message has come to no answer: the connection broke, or the answer did. What comes next may be answered.
    #[error("{0}")]
    Unanswered(String),
    /// It does not tell any more when its tools are others, and may again when it is asked to.
    #[error("it tells no more of its changes")]
    Mute,
    /// It knows our session no more: it was started anew, or has forgotten us.
    #[error("it has forgotten the session")]
    SessionGone,
    /// It wants to know who asks. It lives, and more cannot be told of it.
    #[error("it wants an authorization")]
    Locked,
}

impl Wire {
    /// Sends a message. It does not wait: what comes of it, if anything, is received.
    pub(crate) fn send(&mut self, message: &Outgoing) {
        match self {
            Self::Pipes(pipes) => pipes.send(message),
            Self::Http(http) => http.send(message),
        }
    }

    /// The next message. Cancel-safe.
    pub(crate) async fn receive(&mut self) -> Result<Incoming, WireError> {
        match self {
            Self::Pipes(pipes) => pipes.receive().await,
            Self::Http(http) => http.receive().await,
        }
    }

    /// Reads also what the server tells unasked.
    pub(crate) fn listen(&mut self) {
        if let Self::Http(http) = self {
            http.listen();
        }
    }

    /// Lines that were no messages.
    pub(crate) fn noise(&self) -> u64 {
        match self {
            Self::Pipes(pipes) => pipes.noise(),
            Self::Http(_) => 0,
        }
    }
}
