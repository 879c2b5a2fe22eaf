//! JSON objects in which what is not known is absent.

use crate::matching::{Capability, Requirement};
use headwater_plugin::Evidence;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// An object that is being written.
#[derive(Debug, Default)]
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A field that is known.
    pub(crate) fn with(mut self, key: &str, value: impl Serialize) -> Self {
        self.0.insert(key.to_owned(), json!(value));
        self
    }

    /// A field that may not be known.
    pub(crate) fn maybe(self, key: &str, value: Option<impl Serialize>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// A time.
    pub(crate) fn at(self, key: &str, at: Timestamp) -> Self {
        self.with(key, time(at))
    }

    /// What a client said beside; what is known here counts more.
    pub(crate) fn beside(mut self, more: &Map<String, Value>) -> Self {
        for (key, value) in more {
            if !self.0.contains_key(key) {
                self.0.insert(key.clone(), value.clone());
            }
        }
        self
    }

    pub(crate) fn done(self) -> Value {
        Value::Object(self.0)
    }
}

/// RFC 3339, in UTC, with microseconds.
pub(crate) fn time(at: Timestamp) -> String {
    format!("{at:.6}")
}

/// The word for how something is known.
pub(crate) fn evidence(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Inferred => "inferred",
        Evidence::Polled => "polled",
        Evidence::Observed => "observed",
    }
}

/// What an agent can do.
pub(crate) fn capabilities(all: &[Capability]) -> Value {
    let one = |has: &Capability| {
        let fields = Fields::new().with("name", &has.name).maybe("proficiency", has.proficiency);
        fields.maybe("learning_rate", has.learning_rate).done()
    };
    all.iter().map(one).collect()
}

/// What a task needs.
pub(crate) fn requirements(all: &[Requirement]) -> Value {
    let one = |needed: &Requirement| {
        Fields::new().with("name", &needed.name).maybe("min_proficiency", needed.min_proficiency).done()
    };
    all.iter().map(one).collect()
}
