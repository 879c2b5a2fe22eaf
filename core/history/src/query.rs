//! A question about the past: which channels, which time, which events, which end first. `page.rs` answers it with events,
//! `aggregate.rs` with points.

use crate::{
    Cursor, HistoryError,
    cursor::At,
    stream::{Stream, Wanted},
};
use headwater_event::{ChannelPattern, Position, Timestamp};
use headwater_filter::Filter;
use headwater_router::{Attach, ChannelLog, From, Router};
use std::{ops::Range, sync::Arc};

/// The most channels with something to read in one question: each has a place in the cursor and a read of its own.
pub const MAX_CHANNELS: usize = 256;
/// The most events of a page, or points.
pub const MAX_LIMIT: usize = 10_000;
/// The events of a page unless the asker says otherwise.
pub const DEFAULT_LIMIT: usize = 1_000;
/// The most bytes of a page: of the events' payloads, or of the points. A single event may be larger.
pub const MAX_BYTES: usize = 1024 * 1024;

/// Which end of a range comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// The oldest first.
    #[default]
    Ascending,
    /// The newest first.
    Descending,
}

impl Order {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ascending => "asc",
            Self::Descending => "desc",
        }
    }

    /// Reads the word on the wire.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Ascending, Self::Descending].into_iter().find(|order| order.as_str() == word)
    }
}

/// A range of time: from `since`, which belongs to it, to `until`, which does not. Open where it is `None`; towards the
/// future that means all there is when it is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first time that belongs to it.
    pub since: Option<Timestamp>,
    /// The first time that no longer does.
    pub until: Option<Timestamp>,
}

impl Span {
    /// Whether a time belongs to it.
    pub fn contains(self, time: Timestamp) -> bool {
        self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time < until)
    }

    /// The smallest range of offsets that holds every event of this span.
    pub(crate) fn offsets(self, router: &Router, log: &ChannelLog) -> Result<Range<u64>, HistoryError> {
        if self == Self::default() {
            let end = log.head() + 1;
            return Ok(match router.attach(log, &From::Earliest)? {
                Attach::At(first) => first..end.max(first),
                Attach::Gap { .. } | Attach::Ahead { .. } => end..end,
            });
        }
        let last = match self.until {
            // Nothing is before all time.
            Some(Timestamp(i64::MIN)) => return Ok(0..0),
            until => until.map(|until| Timestamp(until.0 - 1)),
        };
        Ok(router.within(log, self.since, last)?)
    }
}

/// A question. The next page of its answer is asked for with the same question and the page's cursor.
#[derive(Clone, Debug)]
pub struct Query {
    /// Which channels.
    pub channels: ChannelPattern,
    /// When the events were observed.
    pub span: Span,
    /// Which events.
    pub filter: Filter,
    /// Which end comes first. One channel's events come in the order of their offsets. Those of several are merged by
    /// time, then by the channel's name; each channel still keeps the order of its offsets, where its clock went back too.
    pub order: Order,
    /// The most events (or points) of a page, 1 to [`MAX_LIMIT`]; without one [`DEFAULT_LIMIT`] events.
    pub limit: Option<usize>,
    /// From the page before. Its range goes before `span`.
    pub cursor: Option<Cursor>,
}

impl Query {
    /// Everything of some channels.
    pub fn new(channels: ChannelPattern) -> Self {
        Self {
            channels,
            span: Span::default(),
            filter: Filter::default(),
            order: Order::default(),
            limit: None,
            cursor: None,
        }
    }

    /// The range that is asked for: as it was when the first page was.
    pub fn span(&self) -> Span {
        self.cursor.as_ref().map_or(self.span, |cursor| cursor.span)
    }

    /// Refuses what makes no sense.
    pub(crate) fn check(&self) -> Result<(), HistoryError> {
        let wrong = |what: &str| Err(HistoryError::Wrong(what.to_owned()));
        if self.limit.is_some_and(|limit| !(1..=MAX_LIMIT).contains(&limit)) {
            return Err(HistoryError::Wrong(format!("`limit` is 1 to {MAX_LIMIT}; ask for more with the cursor")));
        }
        let Span { since, until } = self.span();
        if let (Some(since), Some(until)) = (since, until)
            && since > until
        {
            return Err(HistoryError::Wrong(format!(
                "the range ends at {until}, before it begins at {since}; exchange its start and its end"
            )));
        }
        match &self.cursor {
            Some(cursor) if cursor.order != self.order => {
                wrong("`cursor` is of a question in the other order; ask again in that order, or without the cursor")
            }
            Some(Cursor { at: At::Channels(places), .. })
                if places.keys().any(|channel| !self.channels.matches(channel.as_str())) =>
            {
                wrong("`cursor` is of a question about other channels; ask again without it")
            }
            _ => Ok(()),
        }
    }

    /// The channels that are asked for, each at its place and read in this order.
    pub(crate) fn streams<'a>(
        &self,
        router: &'a Router,
        wanted: &'a Wanted,
        order: Order,
    ) -> Result<Vec<Stream<'a>>, HistoryError> {
        let mut streams = Vec::new();
        let mut reading = 0;
        for log in router.logs(&self.channels) {
            let Some(stream) = self.stream(router, wanted, log, order)? else { continue };
            reading += usize::from(stream.is_placed());
            streams.push(stream);
        }
        if reading > MAX_CHANNELS {
            return Err(HistoryError::TooLarge(format!(
                "`{}` means {reading} channels with events in this range; one question takes at most {MAX_CHANNELS}: \
                 ask for fewer channels or a shorter range",
                self.channels
            )));
        }
        Ok(streams)
    }

    fn stream<'a>(
        &self,
        router: &'a Router,
        wanted: &'a Wanted,
        log: Arc<ChannelLog>,
        order: Order,
    ) -> Result<Option<Stream<'a>>, HistoryError> {
        let places = match &self.cursor {
            Some(Cursor { at: At::Channels(places), .. }) => Some(places),
            _ => None,
        };
        let place = places.and_then(|places| places.get(log.name())).copied();
        if place.is_none() && places.is_some() && order == Order::Descending {
            // What is new since the first page is newer than what has been told, and does not belong behind it.
            return Ok(None);
        }
        let mut range = wanted.span.offsets(router, &log)?;
        let mut gaps = Vec::new();
        if let Some(place) = place {
            let next = resumed(router, &log, place, &mut gaps)?;
            match order {
                Order::Ascending => range.start = range.start.max(next),
                Order::Descending => range.end = range.end.min(next),
            }
        }
        Ok(Some(Stream::new(router, wanted, log, order, range, gaps, place.is_some())))
    }
}

/// The offset behind a position of a cursor, in the numbering of now.
fn resumed(
    router: &Router,
    log: &ChannelLog,
    place: Position,
    gaps: &mut Vec<headwater_event::Gap>,
) -> Result<u64, HistoryError> {
    use headwater_event::GapReason::EpochChange;
    match router.attach(log, &From::After(place))? {
        Attach::At(next) => Ok(next),
        Attach::Gap { next, gap } if gap.reason != EpochChange => {
            gaps.push(gap);
            Ok(next)
        }
        Attach::Gap { .. } | Attach::Ahead { .. } => Err(HistoryError::Wrong(format!(
            "`cursor` names a place that channel `{}` does not have in its numbering of now; ask again without it",
            log.name()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_holds_its_start_and_not_its_end() {
        let span = Span { since: Some(Timestamp(5)), until: Some(Timestamp(7)) };
        let held: Vec<i64> = (3..9).filter(|time| span.contains(Timestamp(*time))).collect();
        assert_eq!(held, [5, 6]);
        assert!(Span::default().contains(Timestamp(i64::MIN)) && Span::default().contains(Timestamp(i64::MAX)));
    }

    #[test]
    fn a_question_without_sense_is_refused_with_the_fix() {
        let question = || Query::new(ChannelPattern::parse("a*").unwrap());
        let span = |since, until| Span { since: Some(Timestamp(since)), until: Some(Timestamp(until)) };
        let cursor = |text: &str| Some(Cursor::parse(text).unwrap());
        let other = cursor("events~asc~~~b@00000000000000ab:1");
        for (query, words) in [
            (Query { limit: Some(0), ..question() }, "1 to 10000"),
            (Query { limit: Some(MAX_LIMIT + 1), ..question() }, "cursor"),
            (Query { span: span(2, 1), ..question() }, "before it begins"),
            (Query { cursor: cursor("events~desc~~~a@00000000000000ab:1"), ..question() }, "other order"),
            (Query { cursor: other, ..question() }, "other channels"),
        ] {
            let error = query.check().unwrap_err();
            assert!(matches!(&error, HistoryError::Wrong(text) if text.contains(words)), "{error}");
        }
        assert_eq!(Query { span: span(1, 1), limit: Some(MAX_LIMIT), ..question() }.check(), Ok(()));
        // The range of the first page goes before the one of now.
        let paged = Query { span: span(9, 1), cursor: cursor("events~asc~3~~a@00000000000000ab:1"), ..question() };
        assert_eq!((paged.check(), paged.span().since), (Ok(()), Some(Timestamp(3))));
    }
}
