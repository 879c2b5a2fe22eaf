//! One write per connection and turn, and what a short write leaves behind: at most the rest of one frame, and cursors.

use super::{
    channel::{Channels, Membership},
    connection::{Connection, Mode},
    turn::{Batch, Frame, caught_up},
};
use crate::metrics::Metrics;
use std::io::ErrorKind;

/// Writes a connection's part of the batch. `true`: the socket is full, and the connection reads the logs from now on.
pub(super) fn write(
    connection: &Connection,
    batch: &Batch,
    channels: &Channels,
    scratch: &mut Vec<u8>,
    metrics: &Metrics,
) -> bool {
    let mut output = connection.output.borrow_mut();
    if output.dead || output.closing.is_some() || matches!(output.mode, Mode::Draining(_)) {
        return false;
    }
    let reading = connection.reading.borrow();
    let mut merged = Vec::new();
    let mut memberships = reading.memberships.values();
    let group = |m: &Membership| &channels.get(m.channel).groups[m.group as usize];
    let (ranges, count): (&[(u32, u32)], u32) = if let (Some(only), None) = (memberships.next(), memberships.next()) {
        (&group(only).ranges, group(only).frames)
    } else {
        let mut count = 0;
        for group in reading.memberships.values().map(group) {
            merged.extend_from_slice(&group.ranges);
            count += group.frames;
        }
        merge(&mut merged);
        (&merged, count)
    };
    let data = match ranges {
        [] => return false,
        [(from, to)] => &batch.bytes[*from as usize..*to as usize],
        several => {
            scratch.clear();
            for (from, to) in several {
                scratch.extend_from_slice(&batch.bytes[*from as usize..*to as usize]);
            }
            scratch.as_slice()
        }
    };
    let written = match connection.stream.try_write(data) {
        Ok(written) => written,
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        Err(_) => {
            output.dead = true;
            return false;
        }
    };
    if written == data.len() {
        metrics.delivered(u64::from(count), written as u64);
        return false;
    }
    let mut cursors = caught_up(connection, channels);
    let mut at = 0;
    let mut whole = 0;
    for (frame, length) in frames(batch, ranges) {
        let end = at + length;
        if end <= written {
            whole += 1;
        } else if at < written {
            output.partial = data[written..end].to_vec();
            whole += 1;
        } else if let Some(cursor) = cursors.places.get_mut(&frame.channel) {
            // Frames of a channel come in order: only its first unsent one may set the cursor.
            cursor.next = cursor.next.min(frame.offset);
        }
        at = end;
    }
    metrics.delivered(whole, written as u64);
    output.mode = Mode::Draining(cursors);
    true
}

/// The frames in these ranges, each with its length.
fn frames<'a>(batch: &'a Batch, ranges: &'a [(u32, u32)]) -> impl Iterator<Item = (Frame, usize)> + 'a {
    ranges.iter().flat_map(|(from, to)| {
        let first = batch.frames.partition_point(|frame| frame.end <= *from);
        let mut start = *from;
        batch.frames[first..].iter().take_while(|frame| frame.end <= *to).map(move |frame| {
            let length = (frame.end - start) as usize;
            start = frame.end;
            (*frame, length)
        })
    })
}

/// Sorts ranges and merges neighbours.
fn merge(ranges: &mut Vec<(u32, u32)>) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, last| {
        let touching = next.0 == last.1;
        if touching {
            last.1 = next.1;
        }
        touching
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_sorted_and_neighbours_become_one() {
        let mut ranges = vec![(10, 20), (30, 40), (0, 10), (20, 25)];
        merge(&mut ranges);
        assert_eq!(ranges, [(0, 25), (30, 40)]);
    }

    #[test]
    fn the_frames_of_ranges_are_found_with_their_lengths() {
        let frame = |end, offset| Frame { end, channel: 0, offset };
        let batch = Batch { bytes: vec![0; 60], frames: vec![frame(10, 1), frame(30, 2), frame(35, 3), frame(60, 4)] };
        let found: Vec<_> = frames(&batch, &[(10, 30), (35, 60)]).map(|(f, length)| (f.offset, length)).collect();
        assert_eq!(found, [(2, 20), (4, 25)]);
    }
}
