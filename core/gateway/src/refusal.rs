//! What a client is told when a room behind the gateway does not do what it asked: one code for each kind of error,
//! whatever way the client came in.

use headwater_follow::FollowError;
use headwater_protocol::{ErrorCode, RequestError};
use headwater_router::{EngineError, RouterError};

/// The router did not take events, or has not the channel.
pub(crate) fn by_router(error: &RouterError) -> RequestError {
    RequestError::new(router(error), error.to_string())
}

/// There is nothing to be read from there.
pub(crate) fn by_follow(error: &FollowError) -> RequestError {
    let code = match error {
        FollowError::Ahead { .. } => ErrorCode::PositionAhead,
        FollowError::Router(error) => router(error),
    };
    RequestError::new(code, error.to_string())
}

fn router(error: &RouterError) -> ErrorCode {
    match error {
        RouterError::TooManyChannels { .. } | RouterError::Engine(EngineError::Refused(_)) => ErrorCode::Validation,
        // The same may work in a moment.
        RouterError::Engine(EngineError::Busy(_) | EngineError::Down(_)) => ErrorCode::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_never_work_is_told_apart_from_what_may_work_later() {
        for (error, code) in [
            (RouterError::Engine(EngineError::Refused("x".into())), ErrorCode::Validation),
            (RouterError::Engine(EngineError::Busy("x".into())), ErrorCode::Unavailable),
            (RouterError::Engine(EngineError::Down("x".into())), ErrorCode::Unavailable),
        ] {
            assert_eq!(by_router(&error).code, code, "{error}");
            assert_eq!(by_follow(&FollowError::Router(error)).code, code);
        }
    }
}
