//! What is published: texts of one size with a number in them, and the clock by which their age is known. The same size
//! for every server is what a client receives, envelope and all; how much of it is data differs by server.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// The size of a message as a client receives it, when nothing else is asked for.
pub const SIZE: usize = 200;

/// The last digits of an event's number, which every text ends with.
const DIGITS: usize = 4;
/// How many numbers those digits tell apart: ages are recorded with fewer events than this on their way.
const NUMBERS: usize = 10_000;

/// The shortest text: quotes and digits.
pub const SMALLEST: usize = DIGITS + 2;
/// From here on a text has the form of a measurement instead of a bare string.
const OBJECT: usize = 96;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// When each number was last sent.
static SENT: [AtomicU64; NUMBERS] = [const { AtomicU64::new(0) }; NUMBERS];

/// Nanoseconds since some moment in this process.
pub fn now() -> u64 {
    START.elapsed().as_nanos() as u64
}

/// Notes that this event is sent now.
pub fn mark(number: u64) {
    SENT[(number % NUMBERS as u64) as usize].store(now(), Relaxed);
}

/// How long ago the event with this text was sent: the text ends with its number and closing quotes and braces.
pub fn age(text: &[u8]) -> Option<Duration> {
    let end = text.iter().rposition(u8::is_ascii_digit)? + 1;
    let digits = text.get(end.checked_sub(DIGITS)?..end)?;
    let number: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(Duration::from_nanos(now().saturating_sub(SENT[number].load(Relaxed))))
}

/// One event's data: exactly `size` bytes of JSON, of which there are at least [`SMALLEST`].
pub fn put_data(out: &mut Vec<u8>, number: u64, size: usize) {
    const HEAD: &[u8] = b"{\"cpu_usage\":42.5,\"memory_usage\":63.25,\"healthy\":true,\"host\":\"bench\",\"note\":\"";
    let number = number % NUMBERS as u64;
    let (head, tail) = if size >= OBJECT { (HEAD, "\"}") } else { (&b"\""[..], "\"") };
    let fill = size.saturating_sub(head.len() + DIGITS + tail.len());
    out.extend_from_slice(head);
    out.resize(out.len() + fill, b'x');
    out.extend_from_slice(format!("{number:04}{tail}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_has_its_size_and_tells_its_age() {
        for (number, size) in [(0, SIZE), (7, SMALLEST), (u64::MAX, OBJECT), (999_999, OBJECT - 1), (12_345, SIZE)] {
            let mut text = b"{\"data\":".to_vec();
            let begin = text.len();
            put_data(&mut text, number, size);
            assert_eq!(text.len() - begin, size);
            assert!(serde_json::from_slice::<serde_json::Value>(&text[begin..]).is_ok());
            text.push(b'}');
            mark(number);
            assert!(age(&text).is_some_and(|age| age < Duration::from_mins(1)));
        }
        assert_eq!(age(b"{}"), None);
        assert_eq!(age(b"{\"n\":\"12\"}"), None);
    }
}
