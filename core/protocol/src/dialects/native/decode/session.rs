//! From the messages about a connection itself to requests: `heartbeat`, `auth`, `disconnect`.

use super::{
    field::{self, Field},
    from_str,
};
use crate::{Request, RequestError, RequestId};
use serde::Deserialize;
use uuid::Uuid;

/// The longest token; it is compared, never kept.
const MAX_TOKEN: usize = 4096;

pub(super) fn heartbeat(text: &str) -> Result<Request, RequestError> {
    #[derive(Deserialize)]
    struct Heartbeat {
        #[serde(default)]
        timestamp: Option<String>,
    }
    from_str(text).map(|Heartbeat { timestamp }| Request::Heartbeat { timestamp })
}

pub(super) fn authenticate(text: &str, request_id: Option<RequestId>) -> Result<Request, RequestError> {
    #[derive(Deserialize)]
    struct Auth<'a> {
        #[serde(borrow, default)]
        token: Field<'a>,
        #[serde(borrow, default)]
        reconnect_token: Field<'a>,
        #[serde(borrow, default)]
        last_message_id: Field<'a>,
    }
    let Auth { token, reconnect_token, last_message_id } = from_str(text)?;
    let token = field::text("`token`", token, MAX_TOKEN)?;
    let reconnect_token = field::text("`reconnect_token`", reconnect_token, MAX_TOKEN)?;
    if token.is_none() && reconnect_token.is_none() {
        return Err(RequestError::validation("`token` is missing, and so is `reconnect_token`"));
    }
    let last: Option<String> = field::read("`last_message_id`", last_message_id, NO_ID)?;
    let last_message_id = last.map(|id| Uuid::parse_str(&id)).transpose();
    let last_message_id =
        last_message_id.map_err(|_| RequestError::validation(format!("`last_message_id` is {NO_ID}")))?;
    Ok(Request::Authenticate { token, reconnect_token, last_message_id, request_id })
}

/// What `last_message_id` is, for whoever wrote something else.
const NO_ID: &str = "the `message_id` of an event";

pub(super) fn disconnect(text: &str) -> Result<Request, RequestError> {
    #[derive(Deserialize)]
    struct Disconnect {
        #[serde(default)]
        reason: Option<String>,
        #[serde(default)]
        save_session: Option<bool>,
    }
    let Disconnect { reason, save_session } = from_str(text)?;
    Ok(Request::Disconnect { reason, save_session: save_session.unwrap_or(false) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_two_tokens_says_who_it_is() {
        let id = "019aa0c1-6f7e-7c3a-9d2e-2b9f1d3c4a5b";
        let text = format!(r#"{{"reconnect_token":"t","last_message_id":"{id}"}}"#);
        let Request::Authenticate { token: None, reconnect_token, last_message_id, .. } =
            authenticate(&text, None).unwrap()
        else {
            panic!()
        };
        assert_eq!(reconnect_token.as_deref(), Some("t"));
        assert_eq!(last_message_id.unwrap().to_string(), id);
        for (wrong, word) in [
            ("{}", "`token` is missing"),
            (r#"{"token":7}"#, "`token` is text"),
            (r#"{"token":""}"#, "`token` is text"),
            (r#"{"reconnect_token":["t"]}"#, "`reconnect_token` is text"),
            (r#"{"token":"t","last_message_id":"msg_1"}"#, "`last_message_id` is the `message_id`"),
            (r#"{"token":"t","last_message_id":1}"#, "`last_message_id` is the `message_id`"),
        ] {
            let error = authenticate(wrong, None).unwrap_err();
            assert!(error.message.contains(word), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_session_is_saved_only_when_asked() {
        for (text, saved) in [("{}", false), (r#"{"save_session":true}"#, true), (r#"{"save_session":null}"#, false)] {
            let Request::Disconnect { save_session, .. } = disconnect(text).unwrap() else { panic!() };
            assert_eq!(save_session, saved, "{text}");
        }
        assert!(disconnect(r#"{"save_session":"yes"}"#).is_err());
    }
}
