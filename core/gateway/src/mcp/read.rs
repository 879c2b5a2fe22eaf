//! `read_events`: a page of what has happened.

use super::{
    arguments::{self, within, wrong},
    event::{LEAST_BYTES, MOST_BYTES, Missing, Shown, USUAL_BYTES, shown},
    fault::Fault,
    tools::{Call, Outcome, answer},
    which::Which,
};
use crate::history::refusal;
use headwater_event::{ChannelName, Gap, GapReason, Position};
use headwater_history::{Budget, Cursor, HistoryError, Query, Span};
use headwater_protocol::{ErrorCode, cursor, moment};
use headwater_router::{Attach, From as Origin, Router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The events of a page, usually and at most.
const USUAL: u64 = 50;
const MOST: u64 = 1_000;

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Arguments {
    #[serde(flatten)]
    which: Which,
    /// Only what was observed at this time or later: RFC 3339 as in `2026-01-31T12:00:00Z`, or how long ago as in `5m`
    /// (units ms, s, m, h, d). With a cursor it is where that stands.
    since: Option<String>,
    /// Only what was observed before this time; the same forms. With a `cursor` it is that of the cursor; a `live_cursor` has
    /// none.
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
    /// For `wait_for_event` and `read_events`: what comes after this answer. With `newest_first` only on the first page; never
    /// where the range ends, for what lies between its end and now would be told by nobody.
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
    let begin = asked.cursor.map(|text| Begin::read(&text)).transpose()?;
    let order = match (&begin, asked.order) {
        (Some(Begin::Page(cursor)), _) => cursor.order(),
        (Some(Begin::Behind(_)), _) | (None, Some(Order::OldestFirst)) => headwater_history::Order::Ascending,
        (None, _) => headwater_history::Order::Descending,
    };
    let mut query =
        Query { channels, span, filter: asked.which.filter()?, order, limit: Some(limit as usize), cursor: None };
    let answered = call.client.app.question(move |router, withdrawal| {
        let (mut places, mut lost) = (BTreeMap::new(), Vec::new());
        match begin {
            None => {}
            Some(Begin::Page(cursor)) => query.cursor = Some(cursor),
            Some(Begin::Behind(cursor)) => {
                places = here(router, &cursor, &mut lost)?;
                // It begins where the cursor stands. "5 minutes ago" is another time now than when the cursor was made: what
                // is not read yet may be older.
                let span = Span { since: None, until: query.span.until };
                query.cursor = Some(Cursor::behind(span, places.clone()));
            }
        }
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
        lost.append(&mut page.gaps);
        page.gaps = lost;
        let ahead = match query.order {
            _ if query.span().until.is_some() => Vec::new(),
            headwater_history::Order::Ascending => {
                // A channel that is not there now may come back, and its place is then told as lost.
                places.extend(page.positions.iter().cloned());
                places.into_iter().collect()
            }
            headwater_history::Order::Descending => heads,
        };
        Ok((events, page, ahead))
    });
    let (events, page, ahead) = answered.await?.map_err(|error: HistoryError| Fault::from(refusal(&error)))?;
    Ok(answer(&Answer {
        count: events.len() as u64,
        events,
        more: page.cursor.is_some(),
        // The history's own, which holds the range as it was when the first page was asked for.
        cursor: page.cursor.map(|cursor| cursor.to_string()),
        live_cursor: live(&ahead).ok().filter(|cursor| !cursor.is_empty()),
        gaps: page.gaps.iter().map(Missing::from).collect(),
    }))
}

/// Where an answer begins that goes on from another.
enum Begin {
    /// With the next page of the same question.
    Page(Cursor),
    /// Behind what somebody has been told, however it came.
    Behind(cursor::Cursor),
}

impl Begin {
    fn read(text: &str) -> Result<Self, Fault> {
        if text.contains('~') {
            return Cursor::parse(text).map(Self::Page).map_err(|error| Fault::from(refusal(&error)));
        }
        Ok(Self::Behind(cursor::Cursor::parse("cursor", text)?))
    }
}

/// Where the places of a cursor are in the numbering of now. What has no place in it any more is lost.
fn here(
    router: &Router,
    cursor: &cursor::Cursor,
    lost: &mut Vec<Gap>,
) -> Result<BTreeMap<ChannelName, Position>, HistoryError> {
    let mut places = cursor.places();
    for (channel, position) in &mut places {
        let Some(log) = router.log(channel.as_str()) else { continue };
        if let Attach::Gap { next, gap } = router.attach(&log, &Origin::After(*position))?
            && gap.reason == GapReason::EpochChange
        {
            *position = Position { epoch: log.epoch(), offset: next.saturating_sub(1) };
            lost.push(gap);
        }
    }
    Ok(places)
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
        let why = "`cursor` is one for the next page of read_events; to wait, give the `live_cursor` of read_events, or the \
                   `cursor` of an earlier wait_for_event";
        return Err(Fault::new(ErrorCode::Validation, why));
    }
    Ok(cursor::Cursor::parse("cursor", text)?)
}
