//! Why a connection is closed, as a number that tells a client whether to come back.

/// A WebSocket close code that this server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// 1000: the client asked for it.
    Normal,
    /// 1001: the daemon ends; come back when it runs again.
    GoingAway,
    /// 1002: the client broke the WebSocket protocol.
    Protocol,
    /// 1003: a binary message; this protocol has text only.
    Unsupported,
    /// 1007: a text message that is not UTF-8.
    InvalidText,
    /// 1008: a limit was passed on purpose or by a fault.
    Policy,
    /// 1009: a message larger than the limit.
    TooBig,
    /// 1011: a fault of the daemon.
    Internal,
    /// 1012: the daemon restarts; come back at once.
    Restart,
    /// 1013: too much at the moment; come back later.
    Overload,
    /// 4408: no answer to a ping in time.
    Timeout,
    /// 4410: too slow; resume at the position that the last message gave.
    SlowConsumer,
    /// 4429: too many messages.
    RateLimit,
}

impl CloseCode {
    /// The number on the wire.
    pub const fn number(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::GoingAway => 1001,
            Self::Protocol => 1002,
            Self::Unsupported => 1003,
            Self::InvalidText => 1007,
            Self::Policy => 1008,
            Self::TooBig => 1009,
            Self::Internal => 1011,
            Self::Restart => 1012,
            Self::Overload => 1013,
            Self::Timeout => 4408,
            Self::SlowConsumer => 4410,
            Self::RateLimit => 4429,
        }
    }
}
