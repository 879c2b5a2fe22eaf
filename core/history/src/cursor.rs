//! Where a page ended, as text that the asker brings back. It holds the range too: "an hour ago" means another time when
//! the next page is asked for.
//!
//! `events~asc~SINCE~UNTIL~CHANNEL@EPOCH:OFFSET,…` and `points~asc~SINCE~UNTIL~TIME`, times in nanoseconds since 1970 and
//! empty where the range is open. Nothing in it needs escaping in a URL. Askers need not know any of this.

use crate::{HistoryError, Order, Span};
use headwater_event::{ChannelName, Epoch, Position, Timestamp};
use std::{collections::BTreeMap, fmt};

/// The longest text, in bytes: in a URL it has to fit into the head of an HTTP request, of which the gateway takes 16 KiB.
pub(crate) const MAX_TEXT: usize = 12_000;

/// Where the page before ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) order: Order,
    pub(crate) span: Span,
    pub(crate) at: At,
}

/// Where to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// In each channel behind this position; descending, with this position.
    Channels(BTreeMap<ChannelName, Position>),
    /// At this time; descending, below it.
    Time(Timestamp),
}

impl Cursor {
    /// Behind these positions, the oldest first: for who has read up to there by another way, such as a subscription. A
    /// channel without a position is read from the beginning of the span.
    pub fn behind(span: Span, positions: impl IntoIterator<Item = (ChannelName, Position)>) -> Self {
        Self { order: Order::Ascending, span, at: At::Channels(positions.into_iter().collect()) }
    }

    /// Which end comes first on its pages.
    pub fn order(&self) -> Order {
        self.order
    }

    /// Reads what [`fmt::Display`] wrote, and nothing else.
    pub fn parse(text: &str) -> Result<Self, HistoryError> {
        let cursor = if text.len() <= MAX_TEXT { read(text) } else { None };
        // What would be written in another way was not written here.
        cursor.filter(|cursor| cursor.to_string() == text).ok_or_else(|| {
            let what = "`cursor` is none of an earlier answer; give it as it came, or leave it out";
            HistoryError::Wrong(what.into())
        })
    }
}

fn read(text: &str) -> Option<Cursor> {
    let mut parts = text.split('~');
    let (kind, order) = (parts.next()?, Order::parse(parts.next()?)?);
    let mut bound = || match parts.next()? {
        "" => Some(None),
        nanoseconds => nanoseconds.parse().ok().map(|nanoseconds| Some(Timestamp(nanoseconds))),
    };
    let span = Span { since: bound()?, until: bound()? };
    let at = match kind {
        "events" => At::Channels(parts.next()?.split(',').map(place).collect::<Option<_>>()?),
        "points" => At::Time(Timestamp(parts.next()?.parse().ok()?)),
        _ => return None,
    };
    Some(Cursor { order, span, at })
}

fn place(text: &str) -> Option<(ChannelName, Position)> {
    let (channel, position) = text.split_once('@')?;
    let (epoch, offset) = position.split_once(':')?;
    let position = Position { epoch: Epoch::parse(epoch)?, offset: offset.parse().ok()? };
    Some((ChannelName::new(channel).ok()?, position))
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.at {
            At::Channels(_) => "events",
            At::Time(_) => "points",
        };
        write!(f, "{kind}~{}", self.order.as_str())?;
        for bound in [self.span.since, self.span.until] {
            f.write_str("~")?;
            if let Some(Timestamp(nanoseconds)) = bound {
                write!(f, "{nanoseconds}")?;
            }
        }
        f.write_str("~")?;
        match &self.at {
            At::Time(Timestamp(nanoseconds)) => write!(f, "{nanoseconds}"),
            At::Channels(places) => {
                for (index, (channel, position)) in places.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    write!(f, "{comma}{channel}@{position}")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cursors() -> impl Strategy<Value = Cursor> {
        let bound = || proptest::option::of(any::<i64>().prop_map(Timestamp));
        let places = proptest::collection::btree_map("[a-zA-Z0-9_.:/-]{1,9}", (any::<u64>(), any::<u64>()), 1..5);
        let channels = places.prop_map(|places| {
            let place = |(name, (epoch, offset)): (String, _)| {
                (ChannelName::new(&name).unwrap(), Position { epoch: Epoch(epoch), offset })
            };
            At::Channels(places.into_iter().map(place).collect())
        });
        let at = prop_oneof![channels, any::<i64>().prop_map(|time| At::Time(Timestamp(time)))];
        let order = prop_oneof![Just(Order::Ascending), Just(Order::Descending)];
        (order, bound(), bound(), at).prop_map(|(order, since, until, at)| Cursor {
            order,
            span: Span { since, until },
            at,
        })
    }

    proptest! {
        #[test]
        fn a_cursor_reads_what_it_writes(cursor in cursors()) {
            prop_assert_eq!(Cursor::parse(&cursor.to_string()).unwrap(), cursor);
        }

        /// Whoever changes one byte has another cursor or none, and never a panic.
        #[test]
        fn what_was_not_written_so_is_refused(cursor in cursors(), at in any::<prop::sample::Index>(), byte in 0x20_u8..0x7f) {
            let mut text = cursor.to_string().into_bytes();
            let at = at.index(text.len());
            let changed = text[at] != byte;
            text[at] = byte;
            let text = String::from_utf8(text).unwrap();
            if let Ok(read) = Cursor::parse(&text) {
                prop_assert_eq!(read != cursor, changed);
                prop_assert_eq!(read.to_string(), text);
            }
        }
    }

    #[test]
    fn refused_texts() {
        for text in [
            "",
            "events",
            "events~asc~~~",
            "events~up~~~a@00000000000000ab:1",
            "events~asc~~~a@00000000000000ab:01",
            "events~asc~~~a@00000000000000AB:1",
            "events~asc~~~a@00000000000000ab:1,a@00000000000000ab:2",
            "events~asc~~~b@00000000000000ab:1,a@00000000000000ab:2",
            "events~asc~~~no good@00000000000000ab:1",
            "events~asc~+1~~a@00000000000000ab:1",
            "events~asc~~~a@00000000000000ab:1~",
            "points~asc~~~",
            "points~asc~~~99999999999999999999",
        ] {
            assert!(matches!(Cursor::parse(text), Err(HistoryError::Wrong(_))), "{text}");
        }
        assert!(Cursor::parse("events~asc~~~a@00000000000000ab:1").is_ok());
        assert!(Cursor::parse(&format!("events~asc~~~{}", "a".repeat(MAX_TEXT))).is_err());
    }
}
