//! The clock of a replay: when an event of the past is due again. It reads no events and waits for nothing; the gateway's
//! sessions ask it and wait themselves.

use headwater_event::Timestamp;
use std::time::{Duration, Instant};

/// Later than anybody waits for.
const NEVER: Duration = Duration::from_hours(100 * 365 * 24);

/// A speed that no clock can have.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`speed` is 0 (as fast as it goes) or {slowest} to {fastest}; {speed} is neither", slowest = Speed::SLOWEST, fastest = Speed::FASTEST)]
pub struct SpeedError {
    /// What was asked for.
    pub speed: f64,
}

/// How many seconds of the past come in a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed(f64);

impl Speed {
    /// As it was.
    pub const AS_IT_WAS: Self = Self(1.0);
    /// As fast as it goes.
    pub const UNBOUNDED: Self = Self(0.0);
    /// Slower than this is standing still, for which there is a pause.
    pub const SLOWEST: f64 = 0.001;
    /// Faster than this is as fast as it goes.
    pub const FASTEST: f64 = 10_000.0;

    /// Checks a speed: 1 is as it was, 0 as fast as it goes.
    pub fn new(speed: f64) -> Result<Self, SpeedError> {
        if speed == 0.0 || (Self::SLOWEST..=Self::FASTEST).contains(&speed) {
            Ok(Self(speed))
        } else {
            Err(SpeedError { speed })
        }
    }
}

/// Maps times of the past to moments of now. A pause between two events lasts as long as it lasted then, divided by the
/// speed, however long that is; at speed 0 there are no pauses.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplayClock {
    /// This time of the past …
    at: Timestamp,
    /// … is, or was, this moment of now; `None` while it stands still at `at`.
    since: Option<Instant>,
    speed: Speed,
}

impl ReplayClock {
    /// A clock that begins now, at a time of the past.
    pub fn new(now: Instant, at: Timestamp, speed: Speed) -> Self {
        Self { at, since: Some(now), speed }
    }

    /// When an event of this time is due; `None` while the clock stands still. A moment that has passed means at once:
    /// so does an event that is older than where the clock began, since clocks of sources do not order events.
    pub fn due(&self, event: Timestamp) -> Option<Instant> {
        let since = self.since?;
        let ahead = event.0.saturating_sub(self.at.0);
        if ahead <= 0 || self.speed == Speed::UNBOUNDED {
            return Some(since);
        }
        let wait = Duration::try_from_secs_f64(ahead as f64 / 1e9 / self.speed.0).unwrap_or(NEVER).min(NEVER);
        Some(since + wait)
    }

    /// Which time of the past it is. At speed 0 that is the time where it began or was last sought: events alone say how
    /// far it has come.
    pub fn position(&self, now: Instant) -> Timestamp {
        let Some(since) = self.since else { return self.at };
        let passed = now.saturating_duration_since(since).as_secs_f64() * self.speed.0;
        // A float too large for the integer becomes its largest value.
        Timestamp(self.at.0.saturating_add((passed * 1e9) as i64))
    }

    /// Whether it stands still.
    pub fn is_paused(&self) -> bool {
        self.since.is_none()
    }

    /// Stands still. A second pause changes nothing.
    pub fn pause(&mut self, now: Instant) {
        self.at = self.position(now);
        self.since = None;
    }

    /// Goes on from where it stood. Changes nothing in a clock that runs.
    pub fn resume(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// Goes to another time of the past. A clock that stands still stands still there.
    pub fn seek(&mut self, now: Instant, to: Timestamp) {
        self.at = to;
        self.since = self.since.map(|_| now);
    }

    /// Goes on at another speed from where it is. A clock that stands still goes on standing.
    pub fn set_speed(&mut self, now: Instant, speed: Speed) {
        self.at = self.position(now);
        self.since = self.since.map(|_| now);
        self.speed = speed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;
    const START: Timestamp = Timestamp(1_700_000_000 * SECOND);

    fn after(seconds: f64) -> Timestamp {
        Timestamp(START.0 + (seconds * 1e9) as i64)
    }

    fn wait(clock: &ReplayClock, now: Instant, event: Timestamp) -> Option<Duration> {
        clock.due(event).map(|due| due.saturating_duration_since(now))
    }

    #[test]
    fn pauses_between_events_last_as_long_as_they_did() {
        let now = Instant::now();
        // An event, the seconds from the start of the range, and how long it waits at speeds 1, 2, 0.5 and 0.
        for (event, once, twice, half) in [
            (0.0, 0.0, 0.0, 0.0),
            (1.5, 1.5, 0.75, 3.0),
            (86_400.0 * 30.0, 86_400.0 * 30.0, 86_400.0 * 15.0, 86_400.0 * 60.0),
            (-5.0, 0.0, 0.0, 0.0),
        ] {
            for (speed, expected) in [(1.0, once), (2.0, twice), (0.5, half), (0.0, 0.0)] {
                let clock = ReplayClock::new(now, START, Speed::new(speed).unwrap());
                let expected = Duration::from_secs_f64(expected);
                assert_eq!(wait(&clock, now, after(event)), Some(expected), "{event} s at speed {speed}");
            }
        }
    }

    #[test]
    fn a_pause_takes_no_time_of_the_past() {
        let begin = Instant::now();
        let mut clock = ReplayClock::new(begin, START, Speed::AS_IT_WAS);
        let later = |seconds| begin + Duration::from_secs(seconds);
        clock.pause(later(4));
        clock.pause(later(5));
        assert_eq!((clock.due(after(10.0)), clock.position(later(100)), clock.is_paused()), (None, after(4.0), true));
        clock.resume(later(100));
        clock.resume(later(101));
        assert_eq!(wait(&clock, later(100), after(10.0)), Some(Duration::from_secs(6)));
        assert_eq!((clock.position(later(103)), clock.is_paused()), (after(7.0), false));
    }

    #[test]
    fn a_seek_counts_from_the_time_it_went_to_and_leaves_a_pause_a_pause() {
        let begin = Instant::now();
        let later = |seconds| begin + Duration::from_secs(seconds);
        let mut clock = ReplayClock::new(begin, START, Speed::AS_IT_WAS);
        clock.seek(later(9), after(1000.0));
        assert_eq!(wait(&clock, later(9), after(1003.0)), Some(Duration::from_secs(3)));
        clock.seek(later(9), after(-60.0));
        assert_eq!(wait(&clock, later(9), after(0.0)), Some(Duration::from_mins(1)));
        clock.pause(later(10));
        clock.seek(later(11), after(5.0));
        assert_eq!((clock.due(after(6.0)), clock.position(later(20))), (None, after(5.0)));
    }

    #[test]
    fn another_speed_counts_from_where_it_is() {
        let begin = Instant::now();
        let later = |seconds| begin + Duration::from_secs(seconds);
        let mut clock = ReplayClock::new(begin, START, Speed::AS_IT_WAS);
        // After 10 s at speed 1 and 5 s at speed 4, 30 s of the past have come.
        clock.set_speed(later(10), Speed::new(4.0).unwrap());
        assert_eq!(clock.position(later(15)), after(30.0));
        assert_eq!(wait(&clock, later(15), after(50.0)), Some(Duration::from_secs(5)));
        clock.set_speed(later(15), Speed::UNBOUNDED);
        assert_eq!(wait(&clock, later(15), after(1e6)), Some(Duration::ZERO));
        clock.pause(later(16));
        clock.set_speed(later(17), Speed::AS_IT_WAS);
        assert_eq!((clock.due(after(60.0)), clock.position(later(18))), (None, after(30.0)));
    }

    #[test]
    fn no_time_and_no_speed_overflows() {
        let now = Instant::now();
        let slow = Speed::new(Speed::SLOWEST).unwrap();
        let clock = ReplayClock::new(now, Timestamp(i64::MIN), slow);
        assert_eq!(clock.due(Timestamp(i64::MAX)), Some(now + NEVER));
        let fast = ReplayClock::new(now, Timestamp(i64::MAX - 1), Speed::new(Speed::FASTEST).unwrap());
        assert_eq!(fast.position(now + NEVER), Timestamp(i64::MAX));
        for wrong in [-1.0, f64::NAN, f64::INFINITY, 1e-9, 1e5] {
            assert!(Speed::new(wrong).unwrap_err().to_string().contains("speed"), "{wrong}");
        }
    }
}
