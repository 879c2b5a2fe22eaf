//! The options in the order in which people should read them, with what the schema says of each. The documented default
//! file and `docs/config.md` are written from this, so neither can say what the code does not do.

use crate::{
    Size,
    check::{MAX_PERIOD, MIN_PERIOD},
    schema::{self, Document, HOST_KEYS, SECRET_FORMAT},
};
use serde_json::{Map, Value};

/// `[gateway]` and what stands in it.
pub(crate) struct Section {
    /// `gateway.limits`.
    pub(crate) path: String,
    /// As it stands in a file: `[gateway.limits]`, `[[webhook]]`.
    pub(crate) header: String,
    /// Whether there may be any number of it, or of what it belongs to; by default there is none.
    pub(crate) repeated: bool,
    pub(crate) description: String,
    pub(crate) options: Vec<Entry>,
}

/// One key.
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) description: String,
    /// What kind of value, in a word or two.
    pub(crate) kind: String,
    pub(crate) default: Option<Value>,
    pub(crate) example: Option<Value>,
    /// `1 to 64`, where there are bounds.
    pub(crate) range: Option<String>,
}

impl Entry {
    fn new(key: &str, schema: &Map<String, Value>) -> Self {
        Self {
            key: key.to_owned(),
            description: description(schema),
            kind: kind(schema),
            default: schema.get("default").cloned(),
            example: schema.get("examples").and_then(|e| e.get(0)).cloned(),
            range: range(schema),
        }
    }

    /// `key = value`, with the default or else an example.
    pub(crate) fn line(&self) -> String {
        let value = self.default.as_ref().or(self.example.as_ref());
        format!("{} = {}", self.key, value.map(crate::toml_text::value).unwrap_or_default())
    }
}

/// All sections but the sources.
pub(crate) fn sections() -> Vec<Section> {
    // The order of the fields: JSON objects are sorted by name, TOML is written as declared.
    let written = toml::to_string(&Document::full()).expect("invariant: a config can be written as TOML");
    let mut sections: Vec<Section> = Vec::new();
    // Whether the lines belong to a table that is shown as one value.
    let mut inline = false;
    for line in written.lines() {
        if let Some(header) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            let list = header.starts_with('[');
            let path = header.trim_matches(['[', ']']);
            inline = is_value(find(path));
            match path.rsplit_once('.') {
                Some((parent, key)) if inline => {
                    let section = sections.iter_mut().find(|section| section.path == parent);
                    let section = section.expect("invariant: a table comes before those in it");
                    section.options.push(Entry::new(key, find(path)));
                }
                _ => {
                    let inside =
                        |section: &Section| section.repeated && path.starts_with(&format!("{}.", section.path));
                    let repeated = list || sections.iter().any(inside);
                    let (header, description) = (line.to_owned(), description(find(path)));
                    sections.push(Section {
                        path: path.to_owned(),
                        header,
                        repeated,
                        description,
                        options: Vec::new(),
                    });
                }
            }
        } else if let (Some((key, _)), Some(section), false) = (line.split_once(" = "), sections.last_mut(), inline) {
            let schema = find(&format!("{}.{key}", section.path));
            section.options.push(Entry::new(key, schema));
        }
    }
    sections.retain(|section| section.path != "source");
    sections
}

/// Whether it is a table that is written as one value: `{ env = "NAME" }`, not a section with keys of its own.
fn is_value(schema: &Map<String, Value>) -> bool {
    let table = schema.get("type").and_then(Value::as_str) == Some("object");
    table && (schema.contains_key("format") || !schema.contains_key("properties"))
}

/// The host's keys of a source.
pub(crate) fn source_options() -> Vec<Entry> {
    HOST_KEYS.iter().map(|key| Entry::new(key, find(&format!("source.*.{key}")))).collect()
}

/// The schema of a key: `gateway.limits.max_patterns`; `*` stands for any name.
fn find(path: &str) -> &'static Map<String, Value> {
    let root = schema::document();
    let follow = |schema: &'static Value| {
        // A list of tables has the keys of one.
        let schema = schema.get("items").filter(|items| items.get("$ref").is_some()).unwrap_or(schema);
        match schema.get("$ref").and_then(Value::as_str) {
            Some(target) => root.pointer(target.trim_start_matches('#')).unwrap_or(schema),
            None => schema,
        }
    };
    let mut at = root;
    for name in path.split('.') {
        let inner = follow(at);
        at = if name == "*" {
            inner.get("additionalProperties")
        } else {
            inner.get("properties").and_then(|p| p.get(name))
        }
        .unwrap_or(&Value::Null);
    }
    // A reference with words of its own keeps them.
    let at = if at.get("description").is_some() { at } else { follow(at) };
    at.as_object().expect("invariant: every key of the config is in its schema")
}

/// The doc comment on one line.
fn description(schema: &Map<String, Value>) -> String {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn kind(schema: &Map<String, Value>) -> String {
    let list = |values: &[Value]| values.iter().map(crate::toml_text::value).collect::<Vec<_>>().join(" or ");
    match (schema.get("format").and_then(Value::as_str), schema.get("type").and_then(Value::as_str)) {
        (Some("period"), _) => "duration".to_owned(),
        (Some("size"), _) => "size".to_owned(),
        (Some("socket-address"), _) => "address".to_owned(),
        (Some("sha256"), _) => "hex digits".to_owned(),
        (Some("webhook-url"), _) => "web address".to_owned(),
        (Some(SECRET_FORMAT), _) => "reference".to_owned(),
        (_, Some("array")) => "list of strings".to_owned(),
        (_, Some("integer")) => "number".to_owned(),
        (_, Some("boolean")) => "true or false".to_owned(),
        (_, Some("object")) => "table of strings".to_owned(),
        _ => schema.get("enum").and_then(Value::as_array).map_or("string".to_owned(), |values| list(values)),
    }
}

fn range(schema: &Map<String, Value>) -> Option<String> {
    let size = schema.get("format").and_then(Value::as_str) == Some("size");
    let bound = |key: &str, period: &str| match (schema.get(key), schema.get(period)) {
        (Some(number), _) if size => number.as_u64().map(|bytes| Size(bytes).to_string()),
        (Some(number), _) => number.as_u64().map(thousands),
        (None, Some(period)) => period.as_str().map(str::to_owned),
        (None, None) => None,
    };
    match (bound("minimum", MIN_PERIOD), bound("maximum", MAX_PERIOD)) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}")),
        (Some(least), None) if least != "0B" => Some(format!("at least {least}")),
        (None, Some(most)) => Some(format!("at most {most}")),
        _ => None,
    }
}

/// `1,000,000`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counted from the schema by another way: an option that the outline loses would be documented nowhere.
    #[test]
    fn no_option_is_left_out() {
        let mut keys = Vec::new();
        for (name, definition) in schema::document()["$defs"].as_object().unwrap() {
            let own = definition["properties"].as_object().unwrap();
            let section = |s: &Value| s.get("$ref").is_some() || s.pointer("/items/$ref").is_some();
            keys.extend(own.iter().filter(|(_, s)| !section(s)).map(|(key, _)| format!("{name}.{key}")));
        }
        let listed: usize = sections().iter().map(|section| section.options.len()).sum();
        assert_eq!(listed + source_options().len(), keys.len(), "{keys:?}");
    }

    #[test]
    fn every_option_is_explained_and_has_a_value_to_show() {
        let sections = sections();
        assert!(sections.iter().all(|section| section.description.len() > 10));
        for entry in sections.iter().flat_map(|section| &section.options).chain(&source_options()) {
            assert!(entry.description.len() > 10, "{} has no doc comment", entry.key);
            assert!(
                entry.default.is_some() || entry.example.is_some(),
                "{} has neither default nor example",
                entry.key
            );
        }
    }
}
