//! Tables: which keys there may be, which there must be, and what an unknown one was probably meant to be.

use super::{Keys, Misfit, Subject, Walk};
use crate::{Diagnostic, nearest::nearest, text::quote};
use serde_json::{Map, Value};
use std::{borrow::Cow, ops::Range};
use toml::{Spanned, de::DeValue};

/// The entries of a table, or those of them that one schema describes.
pub(crate) struct Settings<'t, 'i> {
    pub(crate) entries: Vec<(&'t Spanned<Cow<'i, str>>, &'t Spanned<DeValue<'i>>)>,
    /// What the file calls the table.
    pub(crate) owner: &'t str,
    /// Where a missing key is missing.
    pub(crate) at: Range<usize>,
    /// Keys that may stand in the same table, and that somebody else looks at. They are offered as "did you mean".
    pub(crate) also: &'static [&'static str],
}

impl<'a> Walk<'a> {
    /// Holds a table against its schema.
    pub(crate) fn table(&mut self, schema: &'a Value, settings: &Settings<'_, '_>) -> Value {
        let mut known = Map::new();
        let mut open = true;
        self.gather(schema, &mut known, &mut open, 0);
        let keys = schema.as_object();
        let rest = keys.and_then(|keys| keys.get("additionalProperties")).filter(|rest| rest.is_object());
        let mut plain = Map::new();
        for (key, value) in &settings.entries {
            let name: &str = key.get_ref();
            let described = keys.and_then(|keys| keys.get("properties")).and_then(|p| p.get(name));
            let json = match (described, rest) {
                (Some(inner), _) => self.value(inner, &quote(name), value),
                // Known to a branch of a choice, which looks at it itself.
                (None, _) if known.contains_key(name) => self.anything(name, value),
                (None, Some(rest)) => self.value(rest, &quote(name), value),
                (None, None) if open => self.anything(name, value),
                (None, None) => {
                    self.unknown(name, key.span(), &known, settings.also);
                    Value::Null
                }
            };
            // What is wrong is left out: the rest can still be read and looked at.
            if !json.is_null() {
                plain.insert(name.to_owned(), json);
            }
        }
        let required = keys.and_then(|keys| keys.get("required")).and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !settings.entries.iter().any(|(key, _)| *key.get_ref() == name) {
                self.missing(name, known.get(name), settings);
            }
        }
        Value::Object(plain)
    }

    /// The keys that a schema and its parts know, and whether others may stand beside them.
    fn gather(&self, schema: &'a Value, known: &mut Map<String, Value>, open: &mut bool, depth: usize) {
        const DEEPEST: usize = 8;
        let Some(keys) = self.resolve(schema).as_object().filter(|_| depth < DEEPEST) else { return };
        for (name, inner) in keys.get("properties").and_then(Value::as_object).into_iter().flatten() {
            known.entry(name).or_insert_with(|| inner.clone());
        }
        let closed = |key: &str| keys.get(key) == Some(&Value::Bool(false));
        if (closed("additionalProperties") || closed("unevaluatedProperties"))
            && !keys.contains_key("patternProperties")
        {
            *open = false;
        }
        for part in ["allOf", "anyOf", "oneOf"] {
            for inner in keys.get(part).and_then(Value::as_array).into_iter().flatten() {
                self.gather(inner, known, &mut true, depth + 1);
            }
        }
    }

    fn unknown(&mut self, name: &str, span: Range<usize>, known: &Map<String, Value>, also: &[&str]) {
        if self.is_full() {
            return;
        }
        let whose = match self.subject {
            Subject::Host => String::new(),
            Subject::Plugin(plugin) => format!(" in the settings of plugin `{}`", quote(plugin)),
        };
        let message = format!("unknown key `{}`{whose}", quote(name));
        let mut fault = Diagnostic::at(self.code(Misfit::Unknown), self.text, &span, message);
        let keys = known.keys().map(String::as_str);
        if let Some(meant) = nearest(name, keys.clone().chain(also.iter().copied())) {
            fault = fault.suggest(format!("did you mean `{meant}`?"));
        } else if let Some(section) = self.elsewhere(name) {
            fault = fault.suggest(format!("it belongs under [{section}]"));
        } else {
            let keys: Vec<&str> = keys.collect();
            fault = fault.label("no such key here").advise(match keys.as_slice() {
                [] => "it has no settings; remove the key".to_owned(),
                keys => format!("known here: {}", keys.join(", ")),
            });
        }
        self.push(fault);
    }

    /// The section of Headwater's own schema that has a key of this name.
    fn elsewhere(&self, name: &str) -> Option<String> {
        if self.subject != Subject::Host {
            return None;
        }
        let sections = self.root.get("properties")?.as_object()?;
        sections.iter().find_map(|(section, schema)| {
            let inner = self.resolve(schema).get("properties")?.as_object()?;
            if inner.contains_key(name) {
                return Some(section.clone());
            }
            let deeper = inner
                .iter()
                .find(|(_, schema)| self.resolve(schema).get("properties").and_then(|p| p.get(name)).is_some());
            deeper.map(|(key, _)| format!("{section}.{key}"))
        })
    }

    fn missing(&mut self, name: &str, schema: Option<&Value>, settings: &Settings<'_, '_>) {
        let whose = match self.subject {
            Subject::Host => format!("`{}`", settings.owner),
            Subject::Plugin(plugin) => format!("the settings of plugin `{}`", quote(plugin)),
        };
        let message = format!("missing key `{name}` in {whose}");
        let schema = schema.and_then(Value::as_object);
        let mut fault = Diagnostic::at(self.code(Misfit::Missing), self.text, &settings.at, message)
            .suggest(format!("add `{name} = {}`", schema.map_or_else(|| "…".to_owned(), example)));
        if let Some(text) = schema.and_then(|s| s.get("description")).and_then(Value::as_str) {
            fault = fault.advise(format!("`{name}`: {}", text.lines().next().unwrap_or_default()));
        }
        self.push(fault);
    }
}

/// A value that fits, as TOML: the schema's own example, or one made up from the type.
pub(crate) fn example(keys: &Keys) -> String {
    let own = keys
        .get("examples")
        .and_then(|e| e.get(0))
        .or_else(|| keys.get("default"))
        .or_else(|| keys.get("enum")?.get(0));
    match own {
        Some(value) if !value.is_null() => crate::toml_text::value(value),
        _ => super::scalar::placeholder(keys).to_owned(),
    }
}
