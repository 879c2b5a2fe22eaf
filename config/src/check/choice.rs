//! Enumerations and alternatives: one of these words, one of these shapes.

use super::{Keys, Misfit, Walk, scalar};
use crate::{Diagnostic, nearest::nearest, text::quote};
use serde_json::Value;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// The values of an enumeration: `enum`, `const`, or a choice between constants (as documented enums are written).
pub(super) fn words(keys: &Keys) -> Option<Vec<&Value>> {
    if let Some(values) = keys.get("enum").and_then(Value::as_array) {
        return Some(values.iter().collect());
    }
    if let Some(value) = keys.get("const") {
        return Some(vec![value]);
    }
    let branches = keys.get("oneOf").or_else(|| keys.get("anyOf")).and_then(Value::as_array)?;
    let mut all = Vec::new();
    for branch in branches {
        all.extend(words(branch.as_object()?)?);
    }
    Some(all)
}

impl<'a> Walk<'a> {
    /// A value that must be one of a few.
    pub(super) fn word(&mut self, allowed: &[&Value], name: &str, value: &Spanned<DeValue<'_>>) -> Value {
        let given = self.anything(name, value);
        if allowed.contains(&&given) {
            return given;
        }
        let list: Vec<String> = allowed.iter().filter(|v| !v.is_null()).map(|v| crate::toml_text::value(v)).collect();
        let text = given.as_str();
        let (misfit, message) = match text {
            None if allowed.iter().all(|v| v.is_string()) => {
                (Misfit::Type, format!("`{name}` must be a string, not {}", scalar::kind(value.get_ref())))
            }
            _ => (Misfit::Value, format!("`{name}` cannot be {}", quote(&crate::toml_text::value(&given)))),
        };
        let meant = text.and_then(|text| nearest(text, allowed.iter().filter_map(|v| v.as_str())));
        let fault = Diagnostic::at(self.code(misfit), self.text, &value.span(), message);
        let fault = match meant {
            Some(meant) => fault.suggest(format!("did you mean \"{meant}\"?")),
            None => fault.label("not one of the choices"),
        };
        self.push(fault.advise(match list.as_slice() {
            [only] => format!("it can only be {only}"),
            _ => format!("one of {}", list.join(", ")),
        }));
        Value::Null
    }

    /// A value that must have one of several shapes: that of the first that fits, or the faults of the likeliest.
    pub(super) fn choice(
        &mut self,
        branches: &'a [Value],
        outer: &'a Keys,
        name: &str,
        value: &Spanned<DeValue<'_>>,
    ) -> Value {
        let before = std::mem::take(&mut self.found);
        let mut best: Option<(Vec<Diagnostic>, Value, bool)> = None;
        for branch in branches {
            let schema = self.resolve(branch);
            let keys = schema.as_object();
            let plain = self.value(branch, name, value);
            let found = std::mem::take(&mut self.found);
            if found.is_empty() {
                self.found = before;
                return plain;
            }
            let likely =
                keys.is_some_and(|keys| scalar::fits_type(keys, value.get_ref()) && fits_tag(keys, value.get_ref()));
            if best.as_ref().is_none_or(|(fewest, _, was)| (likely, fewest.len()) > (*was, found.len())) {
                best = Some((found, plain, likely));
            }
        }
        self.found = before;
        let Some((found, plain, likely)) = best else { return self.anything(name, value) };
        if likely {
            self.found.extend(found);
            return plain;
        }
        // No shape is of this type at all: say what would be.
        let mut kinds: Vec<String> = Vec::new();
        for keys in branches.iter().filter_map(|branch| self.resolve(branch).as_object()) {
            let kind = scalar::wanted(keys);
            if keys.get("type").and_then(Value::as_str) != Some("null") && !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        if kinds.is_empty() || outer.contains_key("properties") {
            self.found.extend(found);
        } else {
            let message = format!("`{name}` must be {}, not {}", kinds.join(" or "), scalar::kind(value.get_ref()));
            self.report(Misfit::Type, value.span(), message);
        }
        plain
    }
}

/// Whether the constants that tell this branch from the others (`kind = "http"`) are those of the value.
fn fits_tag(keys: &Keys, value: &DeValue<'_>) -> bool {
    let DeValue::Table(table) = value else { return true };
    let tags = keys.get("properties").and_then(Value::as_object).into_iter().flatten();
    let mut tags = tags.filter_map(|(key, schema)| Some((key, schema.get("const")?.as_str()?)));
    tags.all(|(key, tag)| string(table, key) == Some(tag))
}

fn string<'t>(table: &'t DeTable<'_>, key: &str) -> Option<&'t str> {
    crate::syntax::entry(table, key)?.1.get_ref().as_str()
}
