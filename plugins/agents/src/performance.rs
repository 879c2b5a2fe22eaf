//! What an agent's own tasks and turns say about its performance. Nothing else does: a figure that nothing was measured
//! for is absent.

use std::time::Duration;

/// The tasks and turns of one agent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Performance {
    /// Tasks that it has completed.
    pub(crate) completed: u64,
    /// Tasks that have failed for good.
    pub(crate) failed: u64,
    /// Tasks that were cancelled under it.
    pub(crate) cancelled: u64,
    /// Turns whose beginning and end are both known, and that were completed.
    pub(crate) turns: u64,
    /// How long these took together.
    pub(crate) turn_ms: u64,
    /// Capabilities that learning cycles, as clients report them, have improved; absent while none was reported.
    pub(crate) improvements: Option<u64>,
}

impl Performance {
    /// A turn has come from its prompt to its end.
    pub(crate) fn turn(&mut self, took: Duration) {
        self.turns += 1;
        self.turn_ms = self.turn_ms.saturating_add(took.as_millis() as u64);
    }

    /// `completed / (completed + failed)`; nothing while there is neither. What was cancelled says nothing about it.
    pub(crate) fn success_rate(&self) -> Option<f64> {
        let ended = self.completed + self.failed;
        (ended > 0).then(|| self.completed as f64 / ended as f64)
    }

    /// How long a turn takes on average, in milliseconds.
    pub(crate) fn average_response_time_ms(&self) -> Option<f64> {
        (self.turns > 0).then(|| self.turn_ms as f64 / self.turns as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_without_a_measurement_is_absent() {
        let mut performance = Performance { cancelled: 3, ..Performance::default() };
        assert_eq!((performance.success_rate(), performance.average_response_time_ms()), (None, None));
        performance.failed = 1;
        assert_eq!(performance.success_rate(), Some(0.0));
        performance.completed = 3;
        performance.turn(Duration::from_millis(100));
        performance.turn(Duration::from_millis(200));
        assert_eq!((performance.success_rate(), performance.average_response_time_ms()), (Some(0.75), Some(150.0)));
    }
}
