//! What is said about a connection itself: that it lives, who it is, what it did wrong, how to come back.

use super::{begin, end, names, positions, quoted};
use crate::{ErrorCode, Lost, Reply, text};
use headwater_event::Timestamp;

/// What a client that lost its connection is advised: the seeds' figures.
const RETRY: &[u8] = br#"{"auto_reconnect":true,"retry_interval_ms":5000,"max_retries":10}"#;

/// Appends one of the replies about a connection.
pub(super) fn reply(reply: &Reply<'_>, out: &mut Vec<u8>) {
    match reply {
        Reply::Heartbeat { timestamp, connection_id, positions: at } => {
            begin(out, "heartbeat_response");
            let now = Timestamp::now();
            text::key(out, "timestamp");
            match timestamp {
                Some(timestamp) => text::string(out, timestamp),
                None => quoted(out, now),
            }
            text::pair(out, "connection_id", connection_id);
            text::key(out, "server_time");
            quoted(out, now);
            positions(out, at);
            out.push(b'}');
        }
        Reply::Authenticated { session_id, permissions, resumed, request_id } => {
            begin(out, "auth_response");
            text::pair(out, "status", "success");
            text::pair(out, "message", "Authentication is not enabled; everything is allowed");
            names(out, "permissions", permissions);
            text::pair(out, "session_id", session_id);
            if let Some(resumed) = resumed {
                out.extend_from_slice(b",\"resumed\":{\"subscriptions\":");
                text::list(out, &resumed.subscriptions, |out, name| text::string(out, name));
                positions(out, &resumed.positions);
                out.push(b'}');
            }
            end(out, request_id.as_ref());
        }
        Reply::NotAuthenticated { message, request_id } => {
            begin(out, "auth_response");
            text::pair(out, "status", "error");
            text::pair(out, "error_code", ErrorCode::AuthenticationFailed.as_str());
            text::pair(out, "message", message);
            end(out, request_id.as_ref());
        }
        Reply::Error { code, message, positions: at, session, request_id } => {
            begin(out, "error");
            text::pair(out, "error_code", code.as_str());
            text::pair(out, "message", message);
            if !at.is_empty() || session.is_some() {
                out.extend_from_slice(b",\"details\":{\"reason\":");
                text::string(out, message);
                positions(out, at);
                if let Some(Lost { reconnect_token, last_message_id }) = session {
                    text::pair(out, "reconnect_token", reconnect_token);
                    if let Some(id) = last_message_id {
                        text::key(out, "last_message_id");
                        quoted(out, id);
                    }
                }
                out.push(b'}');
            }
            if session.is_some() {
                text::key(out, "retry_info");
                out.extend_from_slice(RETRY);
            }
            end(out, request_id.as_ref());
        }
        _ => unreachable!("called with the replies about a connection only"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Resumed;
    use headwater_event::{ChannelName, Epoch, Position};
    use serde_json::{Value, json};

    fn said(what: &Reply<'_>) -> Value {
        let mut out = Vec::new();
        reply(what, &mut out);
        serde_json::from_slice(&out).expect("what is written is JSON")
    }

    fn places() -> Vec<(ChannelName, Position)> {
        vec![(ChannelName::new("a").unwrap(), Position { epoch: Epoch(1), offset: 2 })]
    }

    #[test]
    fn a_lost_connection_says_how_to_come_back() {
        let id = uuid::Uuid::from_u128(7);
        let lost = |session| Reply::Error {
            code: ErrorCode::ConnectionLost,
            message: "slow".into(),
            positions: places(),
            session,
            request_id: None,
        };
        let full = said(&lost(Some(Lost { reconnect_token: "t".into(), last_message_id: Some(id) })));
        assert_eq!(
            full["details"],
            json!({"reason": "slow", "positions": {"a": {"epoch": "0000000000000001", "offset": 2}},
                "reconnect_token": "t", "last_message_id": "00000000-0000-0000-0000-000000000007"})
        );
        assert_eq!(full["retry_info"], json!({"auto_reconnect": true, "retry_interval_ms": 5000, "max_retries": 10}));
        let plain = said(&lost(None));
        assert_eq!((plain.get("retry_info"), plain["details"].get("reconnect_token")), (None, None));
        // A refusal of a request has no details at all.
        let refusal = Reply::Error {
            code: ErrorCode::Validation,
            message: "m".into(),
            positions: Vec::new(),
            session: None,
            request_id: None,
        };
        assert_eq!(said(&refusal).get("details"), None);
    }

    #[test]
    fn a_token_of_nobody_is_answered_as_such() {
        let request_id = serde_json::from_str("7").unwrap();
        let said = said(&Reply::NotAuthenticated { message: "m".into(), request_id: Some(request_id) });
        assert_eq!((&said["type"], &said["status"]), (&json!("auth_response"), &json!("error")));
        assert_eq!((&said["error_code"], &said["request_id"]), (&json!("AUTHENTICATION_FAILED"), &json!(7)));
    }

    #[test]
    fn a_resumed_session_says_what_goes_on() {
        let resumed = Resumed { subscriptions: vec!["a*".into()], positions: places() };
        let request_id = serde_json::from_str("7").unwrap();
        let said = said(&Reply::Authenticated {
            session_id: "s",
            permissions: &["monitor"],
            resumed: Some(resumed),
            request_id: Some(request_id),
        });
        assert_eq!(
            said["resumed"],
            json!({"subscriptions": ["a*"], "positions": {"a": {"epoch": "0000000000000001", "offset": 2}}})
        );
        assert_eq!((&said["request_id"], &said["status"]), (&json!(7), &json!("success")));
    }
}
