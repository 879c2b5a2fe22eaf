//! The documented kinds of the fields that clients' reports bring and that are passed on: whoever reads the events relies on
//! them. Fields that the documentation does not know may be anything.

use jiff::Timestamp;
use serde_json::{Map, Value};

/// What a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    /// A number that is not negative.
    Amount,
    /// A whole number that is not negative.
    Count,
    /// A number from 0 to 1.
    Share,
    /// A number from 0 to 100.
    Percent,
    Object,
    /// A list of texts.
    Texts,
    /// A time by RFC 3339, in UTC.
    Time,
}

/// The fields by the type of their event, beside those that must be there and are checked as such. A dot leads into an object, and a
/// star stands for each of its members.
const FIELDS: &[(&str, &str, Kind)] = {
    use Kind::{Amount, Count, Number, Object, Percent, Share, Text, Texts, Time};
    &[
        ("agent_performance_updated", "metrics.tasks_completed", Count),
        ("agent_performance_updated", "metrics.success_rate", Share),
        ("agent_performance_updated", "metrics.average_response_time_ms", Amount),
        ("agent_performance_updated", "metrics.capability_improvements", Count),
        ("task_assigned", "estimated_completion", Time),
        ("task_progress", "current_step", Text),
        ("task_progress", "estimated_completion", Time),
        ("task_completed", "execution_time_ms", Amount),
        ("task_completed", "result", Object),
        ("task_completed", "result.records_processed", Count),
        ("task_completed", "result.success_rate", Share),
        ("task_completed", "result.output_file", Text),
        ("task_failed", "error", Object),
        ("task_failed", "error.code", Text),
        ("task_failed", "error.message", Text),
        ("task_failed", "error.details", Object),
        ("task_failed", "error.details.error_line", Count),
        ("task_failed", "error.details.data_sample", Text),
        ("task_failed", "next_retry_at", Time),
        ("system_alert", "details", Object),
        ("system_alert", "details.error", Text),
        ("system_alert", "details.affected_components", Texts),
        ("resource_alert", "usage_percent", Percent),
        ("resource_alert", "threshold_percent", Percent),
        ("resource_alert", "recommendations", Texts),
        ("module_status_changed", "reason", Text),
        ("module_status_changed", "affected_functions", Texts),
        ("inter_module_message", "payload", Object),
        ("inter_module_message", "payload.task_id", Text),
        ("inter_module_message", "payload.execution_time_ms", Amount),
        ("coordination_event", "details", Object),
        ("coordination_event", "details.optimization_type", Text),
        ("coordination_event", "details.agents_rebalanced", Count),
        ("coordination_event", "details.efficiency_improvement", Number),
        ("learning_cycle_started", "estimated_duration_minutes", Amount),
        ("learning_cycle_completed", "duration_ms", Amount),
        ("learning_cycle_completed", "improvements.*", Object),
        ("learning_cycle_completed", "improvements.*.old_value", Number),
        ("learning_cycle_completed", "improvements.*.new_value", Number),
        ("learning_cycle_completed", "improvements.*.improvement", Number),
        ("error_occurred", "error.code", Text),
        ("error_occurred", "error.message", Text),
        ("error_occurred", "error.details", Object),
        ("error_occurred", "error.details.task_id", Text),
        ("error_occurred", "error.details.timeout_seconds", Amount),
        ("error_occurred", "error.details.execution_time_seconds", Amount),
    ]
};

impl Kind {
    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Number => value.is_number(),
            Self::Amount => value.as_f64().is_some_and(|number| number >= 0.0),
            Self::Count => value.is_u64(),
            Self::Share => value.as_f64().is_some_and(|number| (0.0..=1.0).contains(&number)),
            Self::Percent => value.as_f64().is_some_and(|number| (0.0..=100.0).contains(&number)),
            Self::Object => value.is_object(),
            Self::Texts => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
            Self::Time => value.as_str().is_some_and(|text| text.ends_with('Z') && text.parse::<Timestamp>().is_ok()),
        }
    }

    fn wanted(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Number => "a number",
            Self::Amount => "a number from 0 on",
            Self::Count => "a whole number from 0 on",
            Self::Share => "a number from 0 to 1",
            Self::Percent => "a number from 0 to 100",
            Self::Object => "an object",
            Self::Texts => "a list of texts",
            Self::Time => "a time, as in 2026-01-31T12:00:00Z",
        }
    }
}

/// Takes out what is of another kind than documented, `null` included: what is not known is absent. The answer tells of the
/// first of it that says something.
pub(super) fn tidy(kind: &str, data: &mut Map<String, Value>) -> Option<String> {
    let mut wrong = None;
    for (_, path, wanted) in FIELDS.iter().filter(|(of, ..)| *of == kind) {
        if !take_out(data, path, *wanted) {
            wrong.get_or_insert_with(|| format!("`{path}` is {}", wanted.wanted()));
        }
    }
    wrong
}

/// Takes out what stands there and is of another kind. `false`: something was, and it was not `null`.
fn take_out(data: &mut Map<String, Value>, path: &str, wanted: Kind) -> bool {
    let mut right = true;
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    data.retain(|key, value| {
        if first != "*" && key != first {
            return true;
        }
        let Some(rest) = rest else {
            let fits = wanted.fits(value);
            right &= fits || value.is_null();
            return fits;
        };
        right &= value.as_object_mut().is_none_or(|object| take_out(object, rest, wanted));
        true
    });
    right
}
