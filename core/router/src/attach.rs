//! Where a subscription begins: what it asks for, and what the log answers.

use headwater_event::{Epoch, Position};

/// Where a subscription wants to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// With the next event.
    Latest,
    /// With the first one that the log holds.
    Earliest,
    /// With the one after this position: a resume. Offset 0 stands before the first event.
    After(Position),
}

/// What the log says to a [`From`]. `next` is always the offset of the first event to deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// The cursor stands here and nothing is missing.
    At(u64),
    /// Refused: the position lies ahead of the log. It comes from another daemon, or is invented.
    Ahead {
        /// The last offset there is.
        head: u64,
    },
    /// The channel's numbering has begun anew since; what the client's position meant is unknown. Tell it the gap, then
    /// go on at `next`, the first event of the new numbering that the log holds.
    EpochChanged {
        /// The epoch of now.
        epoch: Epoch,
        /// The first offset that the log holds.
        next: u64,
    },
    /// The log no longer holds the wanted event. A store may: ask [`crate::Router::page`] from `next_wanted` on; when that has
    /// expired too, it is a gap.
    Expired {
        /// The offset that was asked for.
        next_wanted: u64,
        /// The first offset that the log holds.
        first: u64,
    },
}

impl From {
    pub(crate) fn attach(self, epoch: Epoch, tail: u64, head: u64) -> Attach {
        match self {
            Self::Latest => Attach::At(head + 1),
            Self::Earliest => Attach::At(tail),
            Self::After(position) if position.epoch != epoch => Attach::EpochChanged { epoch, next: tail },
            Self::After(Position { offset, .. }) if offset > head => Attach::Ahead { head },
            Self::After(Position { offset, .. }) if offset + 1 < tail => {
                Attach::Expired { next_wanted: offset + 1, first: tail }
            }
            Self::After(Position { offset, .. }) => Attach::At(offset + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        let (epoch, other) = (Epoch(1), Epoch(2));
        let after = |epoch, offset| From::After(Position { epoch, offset });
        // from, tail, head, answer
        for (from, tail, head, answer) in [
            (From::Latest, 1, 0, Attach::At(1)),
            (From::Latest, 5, 9, Attach::At(10)),
            (From::Earliest, 5, 9, Attach::At(5)),
            (From::Earliest, 10, 9, Attach::At(10)),
            (after(epoch, 0), 1, 0, Attach::At(1)),
            (after(epoch, 1), 1, 0, Attach::Ahead { head: 0 }),
            (after(epoch, 9), 5, 9, Attach::At(10)),
            (after(epoch, 10), 5, 9, Attach::Ahead { head: 9 }),
            (after(epoch, u64::MAX), 5, 9, Attach::Ahead { head: 9 }),
            (after(epoch, 4), 5, 9, Attach::At(5)),
            (after(epoch, 3), 5, 9, Attach::Expired { next_wanted: 4, first: 5 }),
            (after(epoch, 0), 5, 9, Attach::Expired { next_wanted: 1, first: 5 }),
            (after(epoch, 9), 10, 9, Attach::At(10)),
            (after(epoch, 8), 10, 9, Attach::Expired { next_wanted: 9, first: 10 }),
            (after(other, 9), 5, 9, Attach::EpochChanged { epoch, next: 5 }),
            (after(other, u64::MAX), 5, 9, Attach::EpochChanged { epoch, next: 5 }),
        ] {
            assert_eq!(from.attach(epoch, tail, head), answer, "{from:?} on {tail}..={head}");
        }
    }
}
