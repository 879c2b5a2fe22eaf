//! How the daemon is asked to end, and in which order it does: sources, then the listener and its sessions, then the
//! engine. What a source says on its way out still reaches the clients.

use headwater_protocol::CloseCode;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that a daemon listens to.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// End; clients are told with this code whether the daemon is likely to come back.
    End(CloseCode),
    /// Read the config again.
    Reload,
}

impl Signals {
    /// Takes the signals over.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Asked {
        tokio::select! {
            // A service manager sends it, mostly to start the daemon anew.
            _ = self.terminate.recv() => Asked::End(CloseCode::Restart),
            // A person at the terminal.
            _ = self.interrupt.recv() => Asked::End(CloseCode::GoingAway),
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}
