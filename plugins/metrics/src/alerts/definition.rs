//! An alert as it is defined, checked.

use super::Rule;
use crate::{
    config::{AlertConfig, AlertSeverity, ToldAs},
    metric::Metric,
};
use headwater_plugin::Period;

/// An alert.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Definition {
    pub(crate) name: String,
    pub(crate) metric: Metric,
    pub(crate) rule: Rule,
    pub(crate) severity: AlertSeverity,
    pub(crate) told_as: ToldAs,
    /// A glob of the groups that it is about.
    pub(crate) group: Option<String>,
}

/// What is wrong with an alert of the config.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AlertError {
    /// No bound, or two.
    #[error("alert `{0}`: it takes one of `above` and `below`")]
    Bounds(String),
    /// It would fire and be resolved by the same value.
    #[error("alert `{name}`: `clear` is on the wrong side of `{bound}`")]
    Clear {
        /// Whose.
        name: String,
        /// Which bound.
        bound: &'static str,
    },
    /// Not a number.
    #[error("alert `{0}`: its bounds are no numbers")]
    NoNumber(String),
    /// The machine has no such figure, or groups have none.
    #[error("alert `{name}`: `{metric}` is a figure of {of}")]
    Metric {
        /// Whose.
        name: String,
        /// Which figure.
        metric: &'static str,
        /// Who has it.
        of: &'static str,
    },
    /// `resource_alert` tells shares of the machine.
    #[error("alert `{0}`: a `resource_alert` tells of a share of the machine; this is told as another event")]
    NoShare(String),
    /// Two of one name.
    #[error("there are two alerts `{0}`")]
    Twice(String),
    /// No name, or one that could be an alert of a group.
    #[error("the name of an alert has no `/` and is not empty: `{0}`")]
    Name(String),
}

impl Definition {
    /// An alert as the config has it.
    pub(crate) fn new(config: &AlertConfig) -> Result<Self, AlertError> {
        let name = config.name.clone();
        if name.is_empty() || name.contains('/') {
            return Err(AlertError::Name(name));
        }
        let (above, threshold) = match (config.above, config.below) {
            (Some(above), None) => (true, above),
            (None, Some(below)) => (false, below),
            _ => return Err(AlertError::Bounds(name)),
        };
        let clear = config.clear.unwrap_or(threshold);
        if !threshold.is_finite() || !clear.is_finite() {
            return Err(AlertError::NoNumber(name));
        }
        if if above { clear > threshold } else { clear < threshold } {
            return Err(AlertError::Clear { name, bound: if above { "above" } else { "below" } });
        }
        let metric = config.metric;
        let of = match &config.group {
            Some(_) if !metric.is_of_groups() => Some("the machine"),
            None if metric == Metric::Processes => Some("groups; say which by `group`"),
            _ => None,
        };
        if let Some(of) = of {
            return Err(AlertError::Metric { name, metric: metric.name(), of });
        }
        let is_share = metric.resource().is_some() && config.group.is_none();
        let told_as = match (config.told_as, is_share) {
            (Some(ToldAs::ResourceAlert), false) => return Err(AlertError::NoShare(name)),
            (Some(told_as), _) => told_as,
            (None, _) if config.group.is_some() => ToldAs::PerformanceAlert,
            (None, _) => metric.told_as(),
        };
        let hold = config.hold.duration();
        let clear_for = config.clear_for.map_or(hold, Period::duration);
        let rule = Rule { above, threshold, hold, clear, clear_for };
        Ok(Self { name, metric, rule, severity: config.severity, told_as, group: config.group.clone() })
    }

    /// Whether it is about this alert's name, of this group where it has one.
    pub(crate) fn fits(&self, name: &str, group: Option<&str>) -> bool {
        match (&self.group, group) {
            (None, None) => self.name == name,
            (Some(glob), Some(group)) => fits(glob, group),
            _ => false,
        }
    }
}

/// Whether a name fits a pattern with `*` and `?`. The place of the last star is kept, so that no pattern takes longer than
/// the product of both lengths.
fn fits(glob: &str, name: &str) -> bool {
    let (glob, name): (Vec<char>, Vec<char>) = (glob.chars().collect(), name.chars().collect());
    let (mut g, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match glob.get(g) {
            Some('*') => {
                star = Some((g, n));
                g += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                g += 1;
                n += 1;
            }
            _ => {
                let Some((place, from)) = star else { return false };
                star = Some((place, from + 1));
                g = place + 1;
                n = from + 1;
            }
        }
    }
    glob[g..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_plugin::serde_json::{Value, from_value, json};

    fn definition(mut config: Value) -> Result<Definition, String> {
        config["name"] = "a".into();
        Definition::new(&from_value(config).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_can_never_be_right_is_refused() {
        for (config, word) in [
            (json!({ "metric": "cpu_usage_percent" }), "one of `above` and `below`"),
            (json!({ "metric": "cpu_usage_percent", "above": 1.0, "below": 2.0 }), "one of `above` and `below`"),
            (json!({ "metric": "cpu_usage_percent", "above": 1.0, "clear": 2.0 }), "wrong side of `above`"),
            (json!({ "metric": "cpu_usage_percent", "below": 2.0, "clear": 1.0 }), "wrong side of `below`"),
            (json!({ "metric": "error_rate", "above": 1.0, "group": "*" }), "a figure of the machine"),
            (json!({ "metric": "processes", "above": 1.0 }), "a figure of groups"),
            (json!({ "metric": "memory_usage_mb", "above": 1.0, "told_as": "resource_alert" }), "share of the machine"),
        ] {
            let error = definition(config).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn what_is_not_said_has_its_value() {
        let alert = definition(json!({ "metric": "cpu_usage_percent", "above": 90.0, "for": "5s" })).unwrap();
        let second = std::time::Duration::from_secs(1);
        let rule = Rule { above: true, threshold: 90.0, clear: 90.0, hold: 5 * second, clear_for: 5 * second };
        assert_eq!((alert.rule, alert.told_as), (rule, ToldAs::ResourceAlert));
        let group = definition(json!({ "metric": "cpu_usage_percent", "above": 90.0, "group": "pane *" })).unwrap();
        assert_eq!(group.told_as, ToldAs::PerformanceAlert, "a share of one core is no share of the machine");
    }

    #[test]
    fn stars_stand_for_anything() {
        assert!(fits("pane *", "pane web:0 %5") && fits("*", "") && fits("a*c*e", "abcde") && fits("a?c", "aéc"));
        assert!(!fits("pane *", "agent web") && !fits("", "a") && !fits("a?", "a") && !fits("a*b", "abc"));
        assert!(!fits(&"*a".repeat(30), &"a".repeat(2_000).replace("aa", "ab").replace('b', "c")));
    }
}
