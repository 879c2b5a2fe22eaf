//! What the daemon answered, and how soon: the group `application_performance`, from `daemon.stats`.
//!
//! An answer is that of an HTTP request, until its beginning, or of a command, until its last one. An error is one that
//! tells of a fault of the daemon or of a source (500 and above), not of who asked.

use crate::metric::{rounded, share};
use headwater_plugin::payload;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// The group of the event. Without an answer there are no durations and no rate of errors.
#[payload]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ApplicationPerformance {
    /// Answers a second.
    pub requests_per_second: f64,
    /// What they took on average.
    pub avg_response_time_ms: Option<f64>,
    /// What 95 of 100 took at most, within 3 %.
    pub p95_response_time_ms: Option<f64>,
    /// What 99 of 100 took at most, within 3 %.
    pub p99_response_time_ms: Option<f64>,
    /// The part of them, 0 to 1, that were errors.
    pub error_rate: Option<f64>,
}

/// `requests` and `commands` of `daemon.stats`. What a later daemon adds is passed over.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Answers {
    count: u64,
    errors: u64,
    sum_ms: f64,
    /// Milliseconds, and how many took about so long.
    buckets: Vec<(f64, u64)>,
}

/// How long the last figures stand for what is now, where no new ones have come.
const FRESH: Duration = Duration::from_millis(2_500);

/// What has been heard since the last event.
#[derive(Debug, Default)]
pub(crate) struct Application {
    heard: Answers,
    buckets: BTreeMap<u64, u64>,
    covered_ms: u64,
    last: Option<(Instant, ApplicationPerformance)>,
}

impl Application {
    /// Answers of so many milliseconds.
    pub(crate) fn hear(&mut self, window_ms: u64, answers: &[&Answers]) {
        self.covered_ms += window_ms;
        for answers in answers {
            self.heard.count += answers.count;
            self.heard.errors += answers.errors;
            self.heard.sum_ms += answers.sum_ms;
            for (ms, count) in &answers.buckets {
                *self.buckets.entry((ms * 1_000.0) as u64).or_default() += count;
            }
        }
    }

    /// What has been heard since the last time. Where that is nothing, the last figures stand for a while: they come once a
    /// second and the events perhaps more often.
    pub(crate) fn take(&mut self, now: Instant) -> Option<ApplicationPerformance> {
        if self.covered_ms > 0 {
            self.last = Some((now, self.sum()));
            (self.heard, self.covered_ms) = (Answers::default(), 0);
            self.buckets.clear();
        }
        self.last.filter(|(at, _)| now.duration_since(*at) < FRESH).map(|(_, performance)| performance)
    }

    fn sum(&self) -> ApplicationPerformance {
        let Answers { count, errors, sum_ms, .. } = self.heard;
        let per = |sum: f64| (count > 0).then(|| sum / count as f64);
        ApplicationPerformance {
            requests_per_second: rounded(count as f64 * 1_000.0 / self.covered_ms as f64),
            avg_response_time_ms: per(sum_ms).map(thousandths),
            p95_response_time_ms: self.within(0.95),
            p99_response_time_ms: self.within(0.99),
            error_rate: per(errors as f64).map(share),
        }
    }

    fn within(&self, part: f64) -> Option<f64> {
        let all: u64 = self.buckets.values().sum();
        let wanted = ((part * all as f64).ceil() as u64).max(1);
        let mut seen = 0;
        self.buckets.iter().find_map(|(us, count)| {
            seen += count;
            (seen >= wanted).then(|| thousandths(*us as f64 / 1_000.0))
        })
    }
}

/// Microseconds are what the daemon counts.
fn thousandths(ms: f64) -> f64 {
    (ms * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(buckets: &[(f64, u64)], errors: u64) -> Answers {
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum_ms = buckets.iter().map(|(ms, count)| ms * *count as f64).sum();
        Answers { count, errors, sum_ms, buckets: buckets.to_vec() }
    }

    #[test]
    fn seconds_are_put_together_by_their_answers_and_not_by_their_averages() {
        let (mut application, now) = (Application::default(), Instant::now());
        application.hear(1_000, &[&answers(&[(1.0, 98)], 0), &answers(&[(50.0, 1)], 1)]);
        application.hear(1_500, &[&answers(&[(200.0, 1)], 0)]);
        let expected = ApplicationPerformance {
            requests_per_second: 40.0,
            avg_response_time_ms: Some(3.48),
            p95_response_time_ms: Some(1.0),
            p99_response_time_ms: Some(50.0),
            error_rate: Some(0.01),
        };
        assert_eq!(application.take(now), Some(expected));
    }

    #[test]
    fn nothing_is_said_of_what_did_not_happen_or_was_not_heard() {
        let (mut application, now) = (Application::default(), Instant::now());
        assert_eq!(application.take(now), None);
        application.hear(1_000, &[&Answers::default()]);
        let quiet = ApplicationPerformance::default();
        assert_eq!(application.take(now), Some(quiet), "none a second, and no durations");
        assert_eq!(application.take(now + Duration::from_secs(1)), Some(quiet), "the next figures are on their way");
        assert_eq!(application.take(now + Duration::from_secs(3)), None, "nobody tells any more");
    }
}
