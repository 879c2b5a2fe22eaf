//! `module_status_changed`: a counter cannot be read, or can be again. Said once for each change.

use super::{Event, time};
use headwater_plugin::{Severity, prelude::*};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// What the source reads, by name, and whether it could.
#[derive(Debug, Default)]
pub(crate) struct Modules(BTreeMap<&'static str, Option<bool>>);

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
    /// How one stands now; an event where that is news. That it can be read from the start is none.
    pub(crate) fn look(&mut self, module: Module<'_>, at: Timestamp) -> Option<Event> {
        let Module { name, figures, fault } = module;
        let known = self.0.entry(name).or_default();
        let old = known.replace(fault.is_none());
        if old.unwrap_or(true) == fault.is_none() {
            return None;
        }
        let word = |healthy| if healthy { "healthy" } else { "degraded" };
        let data = json!({
            "module": format!("metrics.{name}"),
            "old_status": old.map_or("starting", word),
            "new_status": word(fault.is_none()),
            "reason": fault.unwrap_or("it can be read again"),
            "affected_functions": figures,
            "timestamp": time(at),
        });
        let severity = if fault.is_some() { Severity::Warning } else { Severity::Info };
        let evidence = Evidence::Observed;
        Some(Event { channel: "module", kind: "module_status_changed", severity, evidence, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_told_once() {
        let mut modules = Modules::default();
        let mut look = |fault| {
            let module = Module { name: "disks", figures: &["disk_io_ops_per_sec"], fault };
            let event = modules.look(module, Timestamp::UNIX_EPOCH)?;
            let word = |key: &str| event.data[key].as_str().unwrap().to_owned();
            Some((word("old_status"), word("new_status"), word("reason")))
        };
        let told = |old: &str, new: &str, reason: &str| Some((old.to_owned(), new.to_owned(), reason.to_owned()));
        assert_eq!(look(Some("gone")), told("starting", "degraded", "gone"));
        assert_eq!(look(Some("gone")), None);
        assert_eq!(look(None), told("degraded", "healthy", "it can be read again"));
        assert_eq!(look(None), None);
        assert_eq!(look(Some("gone")), told("healthy", "degraded", "gone"));
        let mut well = Modules::default();
        let module = Module { name: "cpu", figures: &[], fault: None };
        assert!(well.look(module, Timestamp::UNIX_EPOCH).is_none());
    }
}
