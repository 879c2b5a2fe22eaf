//! The calls of single routes, one method each.

use crate::{
    Client, Error, Event, Published, Reloaded,
    answers::{Channels, Events, Sources},
};
use bytes::Bytes;
use serde_json::value::RawValue;

impl Client {
    /// Publishes events, one JSON object a line, all or none.
    pub async fn publish_ndjson(&self, lines: impl Into<Bytes>) -> Result<Published, Error> {
        let answer = self.post("/v1/events", Some("application/x-ndjson"), lines.into()).await?;
        crate::client::read(&answer)
    }

    /// Has the daemon read its config again. With `dry_run` it only says what would change. A config with errors is
    /// [`Error::Refused`] with a `diagnostics` field.
    pub async fn reload(&self, dry_run: bool) -> Result<Reloaded, Error> {
        self.post_json(reload_route(dry_run), Bytes::new()).await
    }

    /// As [`Client::reload`]; the answer as it comes, for those who pass it on.
    pub async fn reload_raw(&self, dry_run: bool) -> Result<Box<RawValue>, Error> {
        self.post_json(reload_route(dry_run), Bytes::new()).await
    }

    /// Every channel, as raw JSON objects that read as [`crate::ChannelSummary`].
    pub async fn channels(&self) -> Result<Vec<Box<RawValue>>, Error> {
        Ok(self.get_json::<Channels>("/v1/channels").await?.channels)
    }

    /// Every source, as raw JSON objects that read as [`crate::SourceSummary`].
    pub async fn sources(&self) -> Result<Vec<Box<RawValue>>, Error> {
        Ok(self.get_json::<Sources>("/v1/sources").await?.sources)
    }

    /// Stops a source and starts it again.
    pub async fn restart_source(&self, name: &str) -> Result<(), Error> {
        self.post(&format!("/v1/sources/{}/restart", escaped(name)), None, Bytes::new()).await.map(drop)
    }

    /// The retained events of a channel, or of all that fit a pattern.
    pub async fn snapshot(&self, pattern: &str) -> Result<Vec<Event>, Error> {
        let answer: Events = self.get_json(&format!("/v1/snapshot?channel={}", escaped(pattern))).await?;
        answer.events.into_iter().map(Event::from_raw).collect()
    }
}

fn reload_route(dry_run: bool) -> &'static str {
    if dry_run { "/v1/reload?dry_run=true" } else { "/v1/reload" }
}

/// Percent-encodes what has a meaning in a URL.
pub(crate) fn escaped(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~:*".contains(&byte) {
            out.push(byte.into());
        } else {
            write!(out, "%{byte:02X}").expect("invariant: writing into a String does not fail");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_place_in_a_url() {
        assert_eq!(escaped("workflow:*"), "workflow:*");
        assert_eq!(escaped("../a?b=c&d#e é"), "..%2Fa%3Fb%3Dc%26d%23e%20%C3%A9");
    }
}
