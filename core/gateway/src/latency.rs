//! How long answers took: a histogram that any thread adds to without a lock. HTTP and commands add to it; `/metrics` and
//! `stats` read it. What a span of time brought is the difference of two looks.

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::MetricType,
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Each power of two is cut into so many buckets: a bucket is then at most a sixteenth wide, and its middle at most 3.2 %
/// from any value in it.
const PARTS: u64 = 16;
const PARTS_BITS: u32 = PARTS.trailing_zeros();

/// Values have so many bits of microseconds, which is over an hour; a longer one counts as that.
const BITS: u32 = 32;

const BUCKETS: usize = (PARTS as usize) * (BITS - PARTS_BITS + 1) as usize;

/// Bounds of the buckets of `/metrics`, in microseconds: every second power of two, from 64 µs to a minute.
const BOUNDS: [u64; 11] =
    [1 << 6, 1 << 8, 1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 26];

/// The running histogram. Cloned, it is the same one.
#[derive(Clone)]
pub(crate) struct Latency(Arc<Counts>);

struct Counts {
    buckets: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
    errors: AtomicU64,
}

/// What it held at one moment, or what a span of time brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Took {
    buckets: Vec<u64>,
    sum_us: u64,
    /// Answers that tell of a fault of the daemon or of a source.
    pub(crate) errors: u64,
}

impl Latency {
    /// An empty one.
    pub(crate) fn new() -> Self {
        let buckets = [const { AtomicU64::new(0) }; BUCKETS];
        Self(Arc::new(Counts { buckets, sum_us: AtomicU64::new(0), errors: AtomicU64::new(0) }))
    }

    /// One more answer.
    pub(crate) fn add(&self, took: Duration, error: bool) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).min((1 << BITS) - 1);
        self.0.buckets[bucket(us)].fetch_add(1, Relaxed);
        self.0.sum_us.fetch_add(us, Relaxed);
        self.0.errors.fetch_add(u64::from(error), Relaxed);
    }

    /// All that it holds.
    pub(crate) fn look(&self) -> Took {
        Took {
            buckets: self.0.buckets.iter().map(|count| count.load(Relaxed)).collect(),
            sum_us: self.0.sum_us.load(Relaxed),
            errors: self.0.errors.load(Relaxed),
        }
    }
}

impl Took {
    /// What came between an earlier look and this one.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let pairs = self.buckets.iter().zip(&before.buckets);
        Self {
            buckets: pairs.map(|(now, before)| now.saturating_sub(*before)).collect(),
            sum_us: self.sum_us.saturating_sub(before.sum_us),
            errors: self.errors.saturating_sub(before.errors),
        }
    }

    /// How many answers.
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// What they took together.
    pub(crate) fn sum_us(&self) -> u64 {
        self.sum_us
    }

    /// The middle of each bucket that holds any, in microseconds, and how many it holds; from the quickest on.
    pub(crate) fn held(&self) -> impl Iterator<Item = (u64, u64)> {
        self.buckets.iter().enumerate().filter(|(_, count)| **count > 0).map(|(index, count)| (middle(index), *count))
    }

    /// What this part of the answers (0 to 1) took at most, to the middle of a bucket; `None` without any.
    pub(crate) fn within_us(&self, part: f64) -> Option<u64> {
        let wanted = ((part * self.count() as f64).ceil() as u64).max(1);
        let mut seen = 0;
        self.held().find_map(|(us, count)| {
            seen += count;
            (seen >= wanted).then_some(us)
        })
    }
}

fn bucket(us: u64) -> usize {
    if us < PARTS {
        return us as usize;
    }
    let shift = us.ilog2() - PARTS_BITS;
    (u64::from(shift + 1) * PARTS + (us >> shift) - PARTS) as usize
}

fn middle(bucket: usize) -> u64 {
    let (row, part) = (bucket as u64 / PARTS, bucket as u64 % PARTS);
    if row == 0 {
        return part;
    }
    let shift = row - 1;
    ((PARTS + part) << shift) + ((1 << shift) >> 1)
}

impl EncodeMetric for Latency {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let took = self.look();
        let mut rest = took.held().peekable();
        let mut under = |bound: u64| {
            let mut count = 0;
            while let Some((_, held)) = rest.next_if(|(us, _)| *us < bound) {
                count += held;
            }
            count
        };
        let mut buckets: Vec<(f64, u64)> =
            BOUNDS.iter().map(|bound| (*bound as f64 / 1_000_000.0, under(*bound))).collect();
        buckets.push((f64::INFINITY, under(u64::MAX)));
        encoder.encode_histogram::<NoLabelSet>(took.sum_us as f64 / 1_000_000.0, took.count(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

impl fmt::Debug for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latency").field("count", &self.look().count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_lies_within_a_thirtieth_of_the_middle_of_its_bucket() {
        for us in (0..2_000).chain((0..32).map(|bit| 1 << bit)).chain([4_294_967_295, 77_777_777]) {
            assert!(bucket(us) < BUCKETS, "{us}");
            assert!(middle(bucket(us)).abs_diff(us) * 30 <= us, "{us} is counted as {}", middle(bucket(us)));
            assert!(bucket(us.saturating_sub(1)) <= bucket(us), "buckets rise with their values: {us}");
        }
        assert_eq!(bucket((1 << BITS) - 1), BUCKETS - 1);
    }

    #[test]
    fn a_span_of_time_is_the_difference_of_two_looks() {
        let latency = Latency::new();
        latency.add(Duration::from_secs(5), true);
        let before = latency.look();
        assert_eq!(latency.look().since(&before).within_us(0.99), None);
        for ms in 1..=100 {
            latency.add(Duration::from_millis(ms), ms > 98);
        }
        let span = latency.look().since(&before);
        assert_eq!((span.count(), span.errors, span.sum_us()), (100, 2, 5_050_000));
        for (part, expected) in [(0.5, 50_000.0), (0.95, 95_000.0), (0.99, 99_000.0), (1.0, 100_000.0)] {
            let within = span.within_us(part).unwrap() as f64;
            assert!((within / expected - 1.0).abs() < 0.033, "{part}: {within}");
        }
        latency.add(Duration::MAX, false);
        assert_eq!(latency.look().count(), 102, "however long it took");
    }

    #[test]
    fn metrics_shows_it_in_wide_buckets() {
        let latency = Latency::new();
        for us in [3, 70, 70, 2_000_000_000] {
            latency.add(Duration::from_micros(us), false);
        }
        let mut registry = prometheus_client::registry::Registry::default();
        registry.register("took", "How long", latency);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in ["took_count 4", "took_bucket{le=\"0.000064\"} 1", "took_bucket{le=\"0.000256\"} 3"] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
        assert!(text.contains("took_bucket{le=\"+Inf\"} 4"), "{text}");
    }
}
