//! From a `publish` message to its events, in one pass; and, when it is wrong, to the item that is.

use super::{Message, from_str};
use crate::{
    RequestError,
    publish::{Items, MAX_ITEMS, RawItem, decode_item, in_item, share_key},
};
use headwater_event::{Draft, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The events of a message, checked. One by itself shares its names with the one before.
pub(super) fn items(message: Message<'_>, before: Option<&Draft>) -> Result<Vec<Draft>, RequestError> {
    let Message { channel, event, data, severity, attributes, timestamp, key, idempotency_key, events, .. } = message;
    if channel.is_some() {
        let item =
            RawItem { channel, kind: None, event: None, data, severity, attributes, timestamp, key, idempotency_key };
        return item.check_as(event, before, Timestamp::now()).map(|item| vec![item]);
    }
    let Items(mut items) =
        events.ok_or_else(|| RequestError::validation("`channel` is missing, and so is `events`"))?;
    if items.is_empty() || items.len() > MAX_ITEMS {
        return Err(RequestError::validation(format!("`events` has 1 to {MAX_ITEMS} entries")));
    }
    if let Some(key) = idempotency_key {
        share_key(&mut items, key)?;
    }
    Ok(items)
}

/// What is wrong with a `publish` that could not be read in one pass.
pub(super) fn wrong_item(text: &str) -> RequestError {
    #[derive(Deserialize)]
    struct Several<'a> {
        #[serde(borrow, default)]
        events: Vec<&'a RawValue>,
    }
    let several: Result<Several<'_>, _> = from_str(text);
    let items = several.map(|several| several.events).unwrap_or_default();
    let wrong = |(index, raw): (usize, &&RawValue)| {
        decode_item(raw.get().as_bytes()).err().map(|error| in_item("`events`", index, &error))
    };
    items.iter().enumerate().find_map(wrong).unwrap_or_else(|| match from_str::<Message<'_>>(text) {
        Err(error) => error,
        Ok(_) => RequestError::validation("the message cannot be read"),
    })
}
