//! Holds TOML values against a JSON Schema and keeps the place of everything that does not fit.
//!
//! One walk for the host's own schema and for the schemas that plugins bring along, so that a slip in a plugin's settings
//! is explained as well as one in ours. It understands the part of JSON Schema 2020-12 that describes settings; a keyword
//! that it does not know (`pattern`, `if`, …) accepts everything: the plugin itself has the last word at its start.

mod choice;
mod scalar;
mod table;

pub(crate) use scalar::{MAX_PERIOD, MIN_PERIOD};
pub(crate) use table::Settings;

use crate::{Diagnostic, text::Text};
use serde_json::Value;
use toml::{Spanned, de::DeValue};

/// The most steps of one walk. A schema of nested choices that refer to themselves would walk for ever otherwise, and
/// schemas come from plugins.
const FUEL: usize = 200_000;

/// The most faults that are told of one config. Nobody reads more, and each is worked out with care.
pub(crate) const MAX_FAULTS: usize = 100;

/// The schema that accepts all.
static ANYTHING: Value = Value::Bool(true);

/// Whose keys are looked at: it decides on the codes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Subject<'a> {
    /// Keys that Headwater itself reads.
    Host,
    /// The settings of this plugin.
    Plugin(&'a str),
}

/// The ways in which a value does not fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Misfit {
    Unknown,
    Type,
    Value,
    Missing,
}

/// One walk over one file with one schema.
pub(crate) struct Walk<'a> {
    pub(crate) text: &'a Text,
    /// The schema as a whole: where `#/$defs/…` are found.
    pub(crate) root: &'a Value,
    pub(crate) subject: Subject<'a>,
    /// What did not fit.
    pub(crate) found: Vec<Diagnostic>,
    fuel: usize,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(text: &'a Text, root: &'a Value, subject: Subject<'a>) -> Self {
        Self { text, root, subject, found: Vec::new(), fuel: FUEL }
    }

    /// Holds `value`, which the file calls `name`, against `schema`. The result is the value as JSON; where something
    /// was found to be wrong, it stands for nothing.
    pub(crate) fn value(&mut self, schema: &'a Value, name: &str, value: &Spanned<DeValue<'_>>) -> Value {
        let schema = self.resolve(schema);
        let Some(keys) = schema.as_object().filter(|_| self.step()) else {
            if schema == &Value::Bool(false) {
                self.report(Misfit::Unknown, value.span(), format!("`{name}` cannot be set"));
            }
            return self.anything(name, value);
        };
        for part in keys.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.value(part, name, value);
        }
        if let Some(words) = choice::words(keys) {
            return self.word(&words, name, value);
        }
        if let Some(branches) = keys.get("anyOf").or_else(|| keys.get("oneOf")).and_then(Value::as_array) {
            let plain = self.choice(branches, keys, name, value);
            if !keys.contains_key("properties") && !keys.contains_key("type") {
                return plain;
            }
        }
        if !scalar::fits_type(keys, value.get_ref()) {
            self.wrong_type(keys, name, value);
            return Value::Null;
        }
        match value.get_ref() {
            DeValue::Table(inner) => {
                let entries = Settings { entries: inner.iter().collect(), owner: name, at: value.span(), also: &[] };
                self.table(schema, &entries)
            }
            DeValue::Array(items) => self.list(keys, name, value.span(), items),
            _ => self.scalar(keys, name, value),
        }
    }

    fn list(
        &mut self,
        keys: &'a Keys,
        name: &str,
        span: std::ops::Range<usize>,
        items: &[Spanned<DeValue<'_>>],
    ) -> Value {
        let first = keys.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let rest = keys.get("items").unwrap_or(&ANYTHING);
        let mut plain = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            plain.push(self.value(first.get(index).unwrap_or(rest), &format!("{name}[{index}]"), item));
        }
        let bound = |key: &str| keys.get(key).and_then(Value::as_u64);
        if bound("minItems").is_some_and(|least| (items.len() as u64) < least) {
            let least = bound("minItems").unwrap_or_default();
            self.report_labelled(
                Misfit::Value,
                span,
                format!("`{name}` has too few entries"),
                format!("at least {least}"),
            );
        } else if bound("maxItems").is_some_and(|most| (items.len() as u64) > most) {
            let most = bound("maxItems").unwrap_or_default();
            self.report_labelled(
                Misfit::Value,
                span,
                format!("`{name}` has too many entries"),
                format!("at most {most}"),
            );
        } else if keys.get("uniqueItems") == Some(&Value::Bool(true)) {
            let twice = plain.iter().enumerate().find(|(at, item)| !item.is_null() && plain[..*at].contains(item));
            if let Some((at, _)) = twice {
                self.report(Misfit::Value, items[at].span(), format!("`{name}` holds the same entry twice"));
            }
        }
        Value::Array(plain)
    }

    /// A value that no schema describes, as JSON.
    pub(crate) fn anything(&mut self, name: &str, value: &Spanned<DeValue<'_>>) -> Value {
        match value.get_ref() {
            DeValue::Table(inner) => Value::Object(
                inner
                    .iter()
                    .map(|(key, value)| (key.get_ref().to_string(), self.anything(key.get_ref(), value)))
                    .collect(),
            ),
            DeValue::Array(items) => Value::Array(items.iter().map(|item| self.anything(name, item)).collect()),
            _ => self.plain(name, value),
        }
    }

    /// Follows `$ref`s.
    pub(crate) fn resolve(&self, mut schema: &'a Value) -> &'a Value {
        const LONGEST_CHAIN: usize = 32;
        for _ in 0..LONGEST_CHAIN {
            let target = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#'));
            match target.and_then(|pointer| self.root.pointer(pointer)) {
                Some(next) => schema = next,
                None => break,
            }
        }
        schema
    }

    fn step(&mut self) -> bool {
        self.fuel = self.fuel.saturating_sub(1);
        self.fuel > 0
    }

    /// Keeps a fault, unless there are too many already.
    pub(crate) fn push(&mut self, fault: Diagnostic) {
        if !self.is_full() {
            self.found.push(fault);
        }
    }

    /// Whether enough has been found: the whole file is of another kind.
    pub(crate) fn is_full(&self) -> bool {
        self.found.len() >= MAX_FAULTS
    }

    pub(crate) fn code(&self, misfit: Misfit) -> &'static str {
        match (self.subject, misfit) {
            (Subject::Plugin(_), _) => "E0204",
            (Subject::Host, Misfit::Unknown) => "E0102",
            (Subject::Host, Misfit::Type) => "E0103",
            (Subject::Host, Misfit::Value) => "E0104",
            (Subject::Host, Misfit::Missing) => "E0105",
        }
    }

    pub(crate) fn report(&mut self, misfit: Misfit, span: std::ops::Range<usize>, message: String) {
        self.push(Diagnostic::at(self.code(misfit), self.text, &span, message));
    }

    pub(crate) fn report_labelled(
        &mut self,
        misfit: Misfit,
        span: std::ops::Range<usize>,
        message: String,
        label: String,
    ) {
        self.push(Diagnostic::at(self.code(misfit), self.text, &span, message).suggest(label));
    }
}

/// The keywords of a schema.
pub(crate) type Keys = serde_json::Map<String, Value>;

#[cfg(test)]
mod tests;
