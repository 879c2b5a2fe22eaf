//! What becomes of a reader that falls behind: it is told, and then its policy rules. Decides where a cursor goes on and
//! says why; it reads nothing that may block.

use super::{
    connection::Terms,
    cursor::{Cursor, Stage},
    shard::Shard,
    share::{AT_ONCE, Reader},
};
use headwater_event::{Event, Gap, GapReason, Timestamp};
use headwater_protocol::{LagPolicy, Reply};
use headwater_router::{Read, ReadLimit};
use std::sync::Arc;

/// Where a cursor below the log goes on.
pub(super) enum Below {
    /// Elsewhere: it has been moved.
    Moved,
    /// In the store.
    Stored,
    /// Nowhere.
    Disconnect,
}

/// The log has let go of a cursor's place, and begins at `tail`.
pub(super) fn below(shard: &Shard, reader: &Reader<'_>, cursor: &mut Cursor, tail: u64) -> Below {
    let tail = tail.min(reader.until);
    match cursor.stage {
        Stage::Past | Stage::Stored | Stage::Skipping { .. } if shard.router.has_history() => return Below::Stored,
        // Told as a part of what is skipped. No further: at its end it is told.
        Stage::Skipping { until, .. } => cursor.next = tail.min(until),
        // It was told that all of this does not come, but for what is left of it.
        Stage::Newest { until } | Stage::Sampling { until, .. } if tail <= until => cursor.next = tail,
        Stage::Newest { until } | Stage::Sampling { until, .. } => {
            cursor.next = until;
            cursor.stage = Stage::Behind;
        }
        Stage::Past | Stage::Stored | Stage::Behind => return fallen(shard, reader, cursor, tail),
    }
    Below::Moved
}

/// It has fallen off the log: its policy rules.
fn fallen(shard: &Shard, reader: &Reader<'_>, cursor: &mut Cursor, tail: u64) -> Below {
    say(reader, cursor);
    let all = reader.gap(cursor.next, reader.until, GapReason::SlowConsumer);
    let until = reader.until;
    match &reader.terms.options.lag_policy {
        None | Some(LagPolicy::Store) if shard.router.has_history() => {
            cursor.stage = Stage::Stored;
            return Below::Stored;
        }
        Some(LagPolicy::Disconnect) => return Below::Disconnect,
        None | Some(LagPolicy::Store | LagPolicy::Gap) => {
            let gap = Gap { to: tail - 1, ..all };
            missing(shard, reader, cursor, gap);
        }
        Some(LagPolicy::Latest { .. }) => {
            missing(shard, reader, cursor, all);
            (cursor.next, cursor.stage) = (tail, Stage::Newest { until });
        }
        Some(LagPolicy::Sample { .. }) => {
            missing(shard, reader, cursor, all);
            (cursor.next, cursor.stage) = (tail, Stage::Sampling { until, due: AT_ONCE });
        }
    }
    Below::Moved
}

/// Tells a gap and moves the cursor behind it.
pub(super) fn missing(shard: &Shard, reader: &Reader<'_>, cursor: &mut Cursor, gap: Gap) {
    cursor.next = gap.to + 1;
    // What is skipped is told in one piece, when its end has come.
    if let Stage::Skipping { until, .. } = cursor.stage {
        cursor.next = cursor.next.min(until);
        return;
    }
    shard.metrics.gap(gap.reason, (gap.to + 1).saturating_sub(gap.from.offset));
    reader.connection.reply(&Reply::Gap(gap));
}

/// Says `lag` once, when the older half of the log is all that lies between a reader and a gap.
pub(super) fn warn(reader: &Reader<'_>, cursor: &mut Cursor) {
    let log = reader.channel.log.info();
    let held = log.head.saturating_sub(log.first) + 1;
    let behind = (log.head + 1).saturating_sub(cursor.next);
    // The oldest may go at any moment once the log is full; before that there is room to grow.
    if cursor.stage == Stage::Behind && log.first > 1 && behind * 2 >= held {
        say(reader, cursor);
    }
}

fn say(reader: &Reader<'_>, cursor: &mut Cursor) {
    if std::mem::replace(&mut cursor.warned, true) {
        return;
    }
    let log = reader.channel.log.info();
    let held = log.head.saturating_sub(log.first) + 1;
    let behind = (log.head + 1).saturating_sub(cursor.next);
    let bytes = log.bytes.saturating_mul(behind) / held;
    reader.connection.reply(&Reply::Lag { channel: log.channel, behind, bytes });
}

/// When the next sample may be sent, after one of this time.
pub(super) fn next_sample(terms: &Terms, time: Timestamp) -> Timestamp {
    let interval = match terms.options.lag_policy {
        Some(LagPolicy::Sample { interval }) => i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX),
        _ => 0,
    };
    Timestamp(time.0.saturating_add(interval))
}

/// A subscription that is further behind than it may be begins to skip.
pub(super) fn limit(reader: &Reader<'_>, cursor: &mut Cursor) {
    let Some(limit) = reader.terms.options.buffer_size else { return };
    if !matches!(cursor.stage, Stage::Behind | Stage::Stored) {
        return;
    }
    if let Some(until) = first_within(reader, cursor.next, limit as u64) {
        say(reader, cursor);
        cursor.stage = Stage::Skipping { from: cursor.next, until };
    }
}

/// Where the last `limit` events begin that the reader wants, if there are more from `next` on. Events below the log
/// count as wanted: looking at them would cost a read of the store.
fn first_within(reader: &Reader<'_>, next: u64, limit: u64) -> Option<u64> {
    if reader.until - next <= limit {
        return None;
    }
    if reader.wants_all() {
        return Some(reader.until - limit);
    }
    let mut wanted = Vec::new();
    let (mut at, mut events) = (next, Vec::<Arc<Event>>::new());
    while at < reader.until {
        match reader.channel.log.read(at, CHUNK, &mut events) {
            Read::Behind { tail } => at = tail,
            Read::Ok { next } if next == at => break,
            Read::Ok { next } => at = next,
        }
        let these = events.drain(..).filter(|event| event.position.offset < reader.until && reader.wants(event));
        wanted.extend(these.map(|event| event.position.offset));
    }
    let tail = reader.channel.log.tail().clamp(next, reader.until);
    let (held, below) = (wanted.len() as u64, tail - next);
    match limit.checked_sub(held) {
        None => wanted.get((held - limit) as usize).copied(),
        Some(left) => (left < below).then(|| tail - left),
    }
}

/// How many events of a log are looked at without giving its lock back.
const CHUNK: ReadLimit = ReadLimit { events: 1_000, bytes: usize::MAX };

/// Tells what was left out before `next`.
pub(super) fn skipped(shard: &Shard, reader: &Reader<'_>, cursor: &mut Cursor, next: u64) {
    let Stage::Skipping { from, until } = cursor.stage else { return };
    let gap = reader.gap(from, next, GapReason::SlowConsumer);
    shard.metrics.gap(gap.reason, next - from);
    reader.connection.reply(&Reply::Gap(gap));
    cursor.stage = Stage::Skipping { from: next, until };
}

/// Ends what a cursor has come to the end of. `true`: a notice was said.
pub(super) fn passed(shard: &Shard, reader: &Reader<'_>, cursor: &mut Cursor) -> bool {
    match cursor.stage {
        // Without types that go first there is nothing to look for.
        Stage::Skipping { until, .. } if cursor.next < until && reader.terms.options.priority_events.is_empty() => {
            cursor.next = until;
        }
        _ => {}
    }
    match cursor.stage {
        Stage::Skipping { from, until } if cursor.next >= until => {
            let told = from < cursor.next;
            if told {
                skipped(shard, reader, cursor, cursor.next);
            }
            cursor.stage = Stage::Behind;
            told
        }
        Stage::Newest { until } | Stage::Sampling { until, .. } if cursor.next >= until => {
            cursor.stage = Stage::Behind;
            false
        }
        _ => false,
    }
}
