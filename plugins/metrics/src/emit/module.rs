//! `module_status_changed`: a counter cannot be read, or can be again. Said once for each change, and kept as the snapshot of
//! the module, so that the next life of the source knows what was said last.

use super::{Event, time};
use headwater_plugin::{Severity, prelude::*};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Where it is said.
pub(crate) const MODULE: &str = "module";

/// The type.
pub(crate) const STATUS: &str = "module_status_changed";

/// What the source reads, by name, and whether it could.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    known: BTreeMap<&'static str, bool>,
    /// Those of which something was said in this life.
    said: BTreeSet<String>,
    /// Those that an earlier life has left degraded, and of which nothing was said since.
    left: BTreeSet<String>,
}

/// How one of them stands now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Module<'a> {
    pub(crate) name: &'static str,
    /// The figures that need it.
    pub(crate) figures: &'a [&'static str],
    /// Why it cannot be read.
    pub(crate) fault: Option<&'a str>,
}

impl Modules {
    /// An earlier life of the source said of these that they are degraded.
    pub(crate) fn restore(&mut self, degraded: BTreeSet<String>) {
        self.left = degraded.into_iter().filter(|module| !self.said.contains(module)).collect();
    }

    /// How one stands now; an event where that is news. That it can be read from the start is none.
    pub(crate) fn look(&mut self, module: Module<'_>, at: Timestamp) -> Option<Event> {
        let Module { name, figures, fault } = module;
        let healthy = fault.is_none();
        let before = self.known.insert(name, healthy);
        if before == Some(healthy) && self.left.is_empty() {
            return None;
        }
        let module = format!("metrics.{name}");
        // What was said last counts, whoever said it.
        let old = if self.left.remove(&module) && before != Some(false) { Some(false) } else { before };
        if old.unwrap_or(true) == healthy {
            return None;
        }
        let word = |healthy| if healthy { "healthy" } else { "degraded" };
        let data = json!({
            "module": module,
            "old_status": old.map_or("starting", word),
            "new_status": word(healthy),
            "reason": fault.unwrap_or("it can be read again"),
            "affected_functions": figures,
            "timestamp": time(at),
        });
        let severity = if healthy { Severity::Info } else { Severity::Warning };
        self.said.insert(module.clone());
        Some(Event { channel: MODULE, kind: STATUS, severity, evidence: Evidence::Observed, key: Some(module), data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Old status, new status, reason; nothing where nothing is told.
    fn look(modules: &mut Modules, fault: Option<&str>) -> [String; 3] {
        let module = Module { name: "disks", figures: &["disk_io_ops_per_sec"], fault };
        let Some(event) = modules.look(module, Timestamp::UNIX_EPOCH) else { return NOTHING.map(Into::into) };
        assert_eq!(event.key.as_deref(), Some("metrics.disks"));
        ["old_status", "new_status", "reason"].map(|key| event.data[key].as_str().unwrap().to_owned())
    }

    const NOTHING: [&str; 3] = [""; 3];
    const MENDED: [&str; 3] = ["degraded", "healthy", "it can be read again"];

    #[test]
    fn each_change_is_told_once() {
        let mut modules = Modules::default();
        assert_eq!(look(&mut modules, Some("gone")), ["starting", "degraded", "gone"]);
        assert_eq!(look(&mut modules, Some("gone")), NOTHING);
        assert_eq!(look(&mut modules, None), MENDED);
        assert_eq!(look(&mut modules, None), NOTHING);
        assert_eq!(look(&mut modules, Some("gone")), ["healthy", "degraded", "gone"]);
        assert_eq!(look(&mut Modules::default(), None), NOTHING);
    }

    /// Harm prevented: what was mended while the source was away stays degraded for all who read its events.
    #[test]
    fn what_was_mended_between_two_lives_is_told() {
        let left = || BTreeSet::from(["metrics.disks".to_owned(), "metrics.of_old".to_owned()]);
        let mut modules = Modules::default();
        modules.restore(left());
        assert_eq!(look(&mut modules, None), MENDED);
        assert_eq!(look(&mut modules, None), NOTHING, "once");

        let mut late = Modules::default();
        assert_eq!(look(&mut late, None), NOTHING);
        late.restore(left());
        assert_eq!(look(&mut late, None), MENDED, "though it had been looked at before that was known");
        assert_eq!(look(&mut late, None), NOTHING);

        let mut still = Modules::default();
        still.restore(left());
        assert_eq!(look(&mut still, Some("gone")), NOTHING, "that has been said");
        assert_eq!(look(&mut still, None), MENDED);

        let mut said = Modules::default();
        assert_eq!(look(&mut said, Some("gone")), ["starting", "degraded", "gone"]);
        assert_eq!(look(&mut said, None), MENDED);
        said.restore(left());
        assert_eq!(look(&mut said, None), NOTHING, "what this life has said counts more");
    }
}
