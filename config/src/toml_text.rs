//! A JSON value as TOML writes it: in messages, in diffs, in the documented default.

use serde_json::Value;

/// The value on one line: `"1s"`, `[1, 2]`, `{ a = true }`.
pub(crate) fn value(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => string(text),
        Value::Array(items) => format!("[{}]", items.iter().map(self::value).collect::<Vec<_>>().join(", ")),
        Value::Object(entries) if entries.is_empty() => "{}".to_owned(),
        Value::Object(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(k, v)| format!("{} = {}", key(k), self::value(v))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

/// A key, in quotes when it needs them.
pub(crate) fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if bare { name.to_owned() } else { string(name) }
}

fn string(text: &str) -> String {
    // JSON's escapes are a part of TOML's, and JSON escapes all that TOML must.
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn toml_reads_what_is_written() {
        let written = json!({"a b": ["x\n\"\u{7f}", 1, 2.5, true], "c": {"d": {}}});
        let text = format!("v = {}", value(&written));
        let read: Value = toml::from_str(&text).unwrap();
        assert_eq!(read["v"], written);
    }
}
