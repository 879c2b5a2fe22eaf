//! What a subscription asks for, and its JSON.

use crate::places::{Places, WirePosition};
use headwater_event::{Position, Severity};
use serde::Serialize;
use std::collections::BTreeMap;

/// Where a subscription starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With what comes next.
    #[default]
    Latest,
    /// With the oldest event that is held.
    Earliest,
    /// With the first event observed at this time or later: RFC 3339, or how long ago (`5m`).
    Since(String),
    /// After this position, in each channel asked for.
    After(Position),
    /// After these positions, channel by channel.
    Each(Places),
}

/// Which events are wanted, and from where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    /// Names and patterns: `tmux`, `workflow:*`.
    pub channels: Vec<String>,
    /// Globs over the type; none wants all.
    pub types: Vec<String>,
    /// The least severity.
    pub severity: Option<Severity>,
    /// Globs over attributes, all of which must fit.
    pub attributes: BTreeMap<String, String>,
    /// Names of sources; none wants all.
    pub sources: Vec<String>,
    /// A CEL expression over the event, as in `data.used_percent > 90`.
    pub expression: Option<String>,
    /// Where it starts.
    pub start: Start,
    /// Whether what is still held comes before live events.
    pub include_historical: bool,
}

impl Subscription {
    /// Everything that is published on these channels from now on.
    pub fn to<S: Into<String>>(channels: impl IntoIterator<Item = S>) -> Self {
        Self { channels: channels.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// The subscribe message.
    pub(crate) fn message(&self, request_id: &str) -> String {
        let from = match &self.start {
            Start::Latest => None,
            Start::Earliest => Some(From::Word("earliest")),
            Start::Since(time) => Some(From::Since { time }),
            Start::After(position) => Some(From::One((*position).into())),
            Start::Each(places) => Some(From::Each(places.to_wire())),
        };
        let message = Message {
            kind: "subscribe",
            request_id,
            channels: &self.channels,
            filter: Filter {
                types: &self.types,
                severity: self.severity.map(Severity::as_str),
                attributes: &self.attributes,
                sources: &self.sources,
                expression: self.expression.as_deref(),
            },
            from,
            options: Options { include_historical: self.include_historical },
        };
        serde_json::to_string(&message).expect("invariant: strings and numbers serialise into memory")
    }
}

#[derive(Serialize)]
struct Message<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    request_id: &'a str,
    channels: &'a [String],
    #[serde(skip_serializing_if = "Filter::is_empty")]
    filter: Filter<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<From<'a>>,
    #[serde(skip_serializing_if = "Options::is_default")]
    options: Options,
}

#[derive(Serialize)]
struct Filter<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    types: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    sources: &'a [String],
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    expression: Option<&'a str>,
}

impl Filter<'_> {
    fn is_empty(&self) -> bool {
        self.types.is_empty()
            && self.severity.is_none()
            && self.attributes.is_empty()
            && self.sources.is_empty()
            && self.expression.is_none()
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum From<'a> {
    Word(&'static str),
    Since { time: &'a str },
    One(WirePosition),
    Each(BTreeMap<&'a str, WirePosition>),
}

#[derive(Serialize)]
struct Options {
    include_historical: bool,
}

impl Options {
    fn is_default(&self) -> bool {
        !self.include_historical
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_event::Epoch;

    #[test]
    fn asks_for_no_more_than_was_said() {
        let message = Subscription::to(["tmux"]).message("1");
        assert_eq!(message, r#"{"type":"subscribe","request_id":"1","channels":["tmux"]}"#);
    }

    #[test]
    fn every_wish_stands_in_the_message() {
        let position = Position { epoch: Epoch(0xab), offset: 12 };
        let mut places = Places::default();
        places.set("a", position);
        let subscription = Subscription {
            channels: vec!["a".into(), "b*".into()],
            types: vec!["pane.*".into()],
            severity: Some(Severity::Warning),
            attributes: BTreeMap::from([("session".into(), "api*".into())]),
            sources: vec!["tmux".into()],
            expression: Some("data.n > 1".into()),
            start: Start::Each(places),
            include_historical: true,
        };
        assert_eq!(
            subscription.message("7"),
            concat!(
                r#"{"type":"subscribe","request_id":"7","channels":["a","b*"],"#,
                r#""filter":{"types":["pane.*"],"severity":"warning","attributes":{"session":"api*"},"sources":["tmux"],"where":"data.n > 1"},"#,
                r#""from":{"a":{"epoch":"00000000000000ab","offset":12}},"options":{"include_historical":true}}"#
            )
        );
        let one = Subscription { start: Start::After(position), ..Subscription::to(["a"]) };
        assert!(one.message("1").contains(r#""from":{"epoch":"00000000000000ab","offset":12}"#));
    }

    #[test]
    fn the_daemons_decoder_understands_it() {
        use headwater_protocol::{Request, Start as Read, StartAt, dialects};

        let position = Position { epoch: Epoch(0xab), offset: 12 };
        let mut places = Places::default();
        places.set("a", position);
        let nowhere = Start::Each(Places::default());
        let since = Start::Since("2026-01-01T00:00:00Z".into());
        for start in [Start::Latest, Start::Earliest, since, Start::After(position), nowhere, Start::Each(places)] {
            let subscription = Subscription {
                types: vec!["pane.*".into()],
                severity: Some(Severity::Warning),
                attributes: BTreeMap::from([("session".into(), "api*".into())]),
                expression: Some("data.n > 1".into()),
                start: start.clone(),
                ..Subscription::to(["a", "b*"])
            };
            let Ok(Request::Subscribe(read)) = dialects::native().decode(&subscription.message("1"), None) else {
                panic!()
            };
            assert_eq!((read.channels.len(), read.filter.severity), (2, Some(Severity::Warning)));
            assert_eq!((read.filter.types, read.filter.attributes), (subscription.types, subscription.attributes));
            assert_eq!(read.filter.expression.as_deref(), Some("data.n > 1"));
            match start {
                Start::Latest => assert_eq!(read.start, Read::At(StartAt::Latest)),
                Start::Earliest => assert_eq!(read.start, Read::At(StartAt::Earliest)),
                Start::Since(time) => {
                    let Read::At(StartAt::Since(read)) = read.start else { panic!() };
                    assert_eq!(Some(read), headwater_event::Timestamp::parse(&time));
                }
                Start::After(at) => assert_eq!(read.start, Read::At(StartAt::After(at))),
                Start::Each(places) => {
                    let named: Vec<Position> = places.iter().map(|(_, position)| position).collect();
                    let Read::ByChannel(read) = read.start else { panic!() };
                    assert_eq!(read.into_iter().map(|(_, position)| position).collect::<Vec<_>>(), named);
                }
            }
        }
    }
}
