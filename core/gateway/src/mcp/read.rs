//! `read_events`: a page of what has happened.

use super::{
    arguments::{self, within, wrong},
    event::{LEAST_BYTES, MOST_BYTES, Missing, Shown, USUAL_BYTES, shown},
    fault::Fault,
    tools::{Call, Outcome, answer},
    which::Which,
};
use crate::history::refusal;
use headwater_event::{ChannelName, Position};
use headwater_history::{Budget, Cursor, HistoryError, Page, Query, Span};
use headwater_protocol::{ErrorCode, cursor, moment};
use headwater_router::Router;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The events of a page, usually and at most.
const USUAL: u64 = 50;
const MOST: u64 = 1_000;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Arguments {
    #[serde(flatten)]
    which: Which,
    /// Only what was observed at this time or later: RFC 3339 as in `2026-01-31T12:00:00Z`, or how long ago as in `5m`
    /// (units ms, s, m, h, d).
    since: Option<String>,
    /// Only what was observed before this time; the same forms.
    until: Option<String>,
    /// Which end comes first. With a `cursor` it is that of the cursor.
    order: Option<Order>,
    /// Where to go on: `cursor` or `live_cursor` of an earlier answer, with the other arguments as they were.
    cursor: Option<String>,
    /// The most events of this answer, 1 to 1000. Default 50.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u64>,
    /// The most text of events in this answer, in bytes, 1024 to 1048576. Default 32768, about 8000 tokens.
    #[schemars(range(min = 1024, max = 1_048_576))]
    max_bytes: Option<u64>,
}

/// Which end comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Order {
    NewestFirst,
    OldestFirst,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Answer {
    events: Vec<Shown>,
    count: u64,
    /// Whether there may be more in this direction. An answer without events can have more: much was looked at then, and
    /// little was wanted.
    more: bool,
    /// Where there is more: goes on with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    /// For `wait_for_event` and `read_events`: what comes after this answer. With `newest_first` only on the first page.
    #[serde(skip_serializing_if = "Option::is_none")]
    live_cursor: Option<String>,
    /// Events of this range that are lost.
    gaps: Vec<Missing>,
}

pub(super) async fn run(call: Call) -> Outcome {
    let asked: Arguments = arguments::read(&call.arguments)?;
    let limit = within("limit", asked.limit, USUAL, 1..=MOST)?;
    let most = within("max_bytes", asked.max_bytes, USUAL_BYTES, LEAST_BYTES..=MOST_BYTES)?;
    let time = |name: &str, text: Option<String>| text.map(|text| moment(name, &text)).transpose();
    let span = Span { since: time("since", asked.since)?, until: time("until", asked.until)? };
    let channels = asked.which.pattern()?;
    let cursor = asked.cursor.map(|text| place(&text, span)).transpose()?;
    let order = match (&cursor, asked.order) {
        (Some(cursor), _) => cursor.order(),
        (None, Some(Order::OldestFirst)) => headwater_history::Order::Ascending,
        (None, _) => headwater_history::Order::Descending,
    };
    let query = Query { channels, span, filter: asked.which.filter()?, order, limit: Some(limit as usize), cursor };
    let answered = call.client.app.question(move |router, withdrawal| {
        let first = query.cursor.is_none() && query.order == headwater_history::Order::Descending;
        // Before the page: what comes in between comes behind this answer, and only there.
        let heads = if first { heads(router, &query) } else { Vec::new() };
        let mut page = query.page(router, Budget::PAGE, withdrawal)?;
        if first {
            page.events.retain(|event| {
                let head = heads.iter().find(|(channel, _)| *channel == event.channel);
                head.is_some_and(|(_, head)| event.position.epoch != head.epoch || event.position.offset <= head.offset)
            });
        }
        let events = shown(&page.events, most);
        page.cut(events.len(), &query, router);
        Ok((events, heads, page, query.order))
    });
    let (events, heads, page, order) = answered.await?.map_err(|error: HistoryError| Fault::from(refusal(&error)))?;
    let Page { cursor: next, gaps, positions, .. } = page;
    let (cursor, live_cursor) = match order {
        headwater_history::Order::Ascending => {
            // Of very many channels only the history's own is short enough.
            let live = live(&positions).ok();
            (next.map(|next| live.clone().unwrap_or_else(|| next.to_string())), live)
        }
        headwater_history::Order::Descending => (next.map(|next| next.to_string()), live(&heads).ok()),
    };
    Ok(answer(&Answer {
        count: events.len() as u64,
        events,
        more: cursor.is_some(),
        cursor,
        live_cursor: live_cursor.filter(|cursor| !cursor.is_empty()),
        gaps: gaps.iter().map(Missing::from).collect(),
    }))
}

/// A cursor of this tool's own, or of one that reads what comes.
fn place(text: &str, span: Span) -> Result<Cursor, Fault> {
    if text.contains('~') {
        return Cursor::parse(text).map_err(|error| Fault::from(refusal(&error)));
    }
    let positions = cursor::Cursor::parse("cursor", text)?;
    let place = |channel: &ChannelName| positions.get(channel).map(|position| (channel.clone(), position));
    Ok(Cursor::behind(span, positions.channels().filter_map(place)))
}

/// Where each of the channels stands.
fn heads(router: &Router, query: &Query) -> Vec<(ChannelName, Position)> {
    let logs = router.logs(&query.channels).into_iter();
    logs.map(|log| {
        let info = log.info();
        (info.channel, Position { epoch: info.epoch, offset: info.head })
    })
    .collect()
}

/// The cursor of these positions, if somebody can bring it back.
pub(super) fn live(positions: &[(ChannelName, Position)]) -> Result<String, Fault> {
    let text = cursor::write(positions);
    if text.len() > cursor::MAX_CURSOR {
        let count = positions.len();
        let why = format!("`channel` means {count} channels, too many for a cursor; ask for fewer");
        return Err(wrong(why));
    }
    Ok(text)
}

/// A cursor that tells where to go on with what comes.
pub(super) fn behind(text: &str) -> Result<cursor::Cursor, Fault> {
    if text.contains('~') {
        let why = "`cursor` is one that reads on towards the past; to wait, give the `live_cursor` of read_events, or the \
                   `cursor` of an earlier wait_for_event";
        return Err(Fault::new(ErrorCode::Validation, why));
    }
    Ok(cursor::Cursor::parse("cursor", text)?)
}
