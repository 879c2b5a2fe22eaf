//! That an alert fires, or does so no more: what is to be told.

use super::Definition;
use jiff::Timestamp;
use std::{sync::Arc, time::Duration};

/// One word about one alert.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Notice {
    /// That of its definition, or `name/group`.
    pub(crate) name: String,
    pub(crate) definition: Arc<Definition>,
    pub(crate) standing: Standing,
    /// The same for both words about one firing, and no other's.
    pub(crate) id: String,
    /// Since when the figure has been past its bound.
    pub(crate) since: Timestamp,
    /// For how long, by the clock that does not jump.
    pub(crate) lasted: Duration,
    /// The figure now, where it is known.
    pub(crate) value: Option<f64>,
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Firing,
    /// `cleared`, `no_data`, `gone` (the group), `removed` (the alert) or `replaced` (by another firing of it, which began
    /// before it was known that this one stands).
    Resolved {
        reason: &'static str,
    },
}

impl Notice {
    pub(super) fn new(
        name: &str,
        definition: &Arc<Definition>,
        standing: Standing,
        id: &str,
        since: Timestamp,
    ) -> Self {
        Self {
            name: name.to_owned(),
            definition: definition.clone(),
            standing,
            id: id.to_owned(),
            since,
            lasted: Duration::ZERO,
            value: None,
        }
    }

    /// The group that it is about.
    pub(crate) fn group(&self) -> Option<&str> {
        self.definition.group.as_ref()?;
        self.name.strip_prefix(&self.definition.name)?.strip_prefix('/')
    }
}
