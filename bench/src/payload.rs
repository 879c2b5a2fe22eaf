//! What is published: events of one size that carry the moment when they were sent, as one JSON text for every server. And
//! the clock that both ends read.

use std::{
    fmt::Write,
    sync::LazyLock,
    time::{Duration, Instant},
};

/// The channel of all benchmarks.
pub const CHANNEL: &str = "bench";
/// The events' type; a frame that begins with it is an event.
pub const KIND: &str = "tick";
/// The size of an event's data when nothing else is asked for.
pub const SIZE: usize = 200;
/// The smallest: room for the moment it was sent.
pub const SMALLEST: usize = 64;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Nanoseconds since some moment in this process.
pub fn now() -> u64 {
    START.elapsed().as_nanos() as u64
}

/// A publish message with `count` events of this size, from this number on.
pub fn publish_message(first: u64, count: usize, size: usize) -> String {
    let now = now();
    let mut text = String::with_capacity(count * (size + 64) + 64);
    text.push_str("{\"type\":\"publish\",\"events\":[");
    for number in first..first + count as u64 {
        if number > first {
            text.push(',');
        }
        let _ = write!(text, "{{\"channel\":\"{CHANNEL}\",\"event\":\"{KIND}\",\"data\":");
        put_data(&mut text, number, now, size);
        text.push('}');
    }
    text.push_str("]}");
    text
}

/// One event's data: exactly `size` bytes of JSON, of which there are at least [`SMALLEST`].
pub fn put_data(text: &mut String, number: u64, sent: u64, size: usize) {
    let begin = text.len();
    let _ = write!(text, "{{\"sent\":\"{sent:020}\",\"n\":{number},\"fill\":\"");
    let fill = size.saturating_sub(2 + text.len() - begin);
    text.extend(std::iter::repeat_n('x', fill));
    text.push_str("\"}");
}

/// How long ago the event in this frame was sent.
pub fn age(frame: &[u8]) -> Option<Duration> {
    const KEY: &[u8] = b"\"sent\":\"";
    let at = frame.windows(KEY.len()).position(|window| window == KEY)? + KEY.len();
    let digits = std::str::from_utf8(frame.get(at..at + 20)?).ok()?;
    Some(Duration::from_nanos(now().saturating_sub(digits.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_has_its_size_and_tells_its_age() {
        for (number, size) in [(0, SIZE), (7, SIZE), (u64::MAX, SIZE), (999_999_999, SMALLEST)] {
            let mut text = String::from("{\"type\":\"tick\",\"data\":");
            let begin = text.len();
            put_data(&mut text, number, now(), size);
            assert_eq!(text.len() - begin, size);
            assert!(serde_json::from_str::<serde_json::Value>(&text[begin..]).is_ok());
            assert!(age(text.as_bytes()).is_some_and(|age| age < Duration::from_mins(1)));
        }
        assert_eq!(age(b"{}"), None);
    }
}
