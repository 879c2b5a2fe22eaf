//! Conversations in documents: fenced blocks in which `>` is sent and `<` must come back.

use serde_json::Value;

/// One line of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The client says this.
    Send(String),
    /// This comes back, with at least these fields.
    Expect(Value),
    /// The daemon closes with this code.
    Close(u16),
}

/// All conversations of a Markdown page, each with the line it begins at.
///
/// # Panics
/// When a line is neither sent nor expected, or no JSON: the page is wrong then.
pub fn conversations(page: &str) -> Vec<(usize, Vec<Step>)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, Vec<Step>)> = None;
    for (number, line) in (1..).zip(page.lines()) {
        match (&mut open, line.trim_end()) {
            (None, "```conversation") => open = Some((number, Vec::new())),
            (Some(_), "```") => found.extend(open.take()),
            (Some((_, steps)), line) => steps.push(step(number, line)),
            (None, _) => {}
        }
    }
    found
}

fn step(number: usize, line: &str) -> Step {
    if let Some(text) = line.strip_prefix("> ") {
        return Step::Send(text.to_owned());
    }
    let expected = line.strip_prefix("< ").unwrap_or_else(|| panic!("line {number} is neither `>` nor `<`: {line}"));
    if let Some(code) = expected.strip_prefix("close ") {
        return Step::Close(code.parse().unwrap_or_else(|_| panic!("line {number}: no close code: {code}")));
    }
    Step::Expect(serde_json::from_str(expected).unwrap_or_else(|error| panic!("line {number}: {error}: {expected}")))
}

/// Whether `actual` has everything that `expected` has. `"…"` stands for any value.
pub fn fits(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::String(any), actual) if any == "…" => !actual.is_null(),
        (Value::Object(expected), Value::Object(actual)) => {
            expected.iter().all(|(key, value)| actual.get(key).is_some_and(|actual| fits(value, actual)))
        }
        (Value::Array(expected), Value::Array(actual)) => {
            expected.len() == actual.len()
                && expected.iter().zip(actual).all(|(expected, actual)| fits(expected, actual))
        }
        (expected, actual) => expected == actual,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_page_is_read_block_by_block() {
        let page = "text\n```conversation\n> {}\n< {\"a\":1}\n< close 1000\n```\n```json\n{}\n```\n";
        let expected = vec![Step::Send("{}".into()), Step::Expect(json!({"a": 1})), Step::Close(1000)];
        assert_eq!(conversations(page), [(2, expected)]);
    }

    #[test]
    fn what_is_expected_must_be_there_and_more_may_be() {
        assert!(fits(&json!({"a": "…"}), &json!({"a": 7, "b": 1})));
        assert!(!fits(&json!({"a": "…"}), &json!({"b": 1})));
        assert!(!fits(&json!({"a": 1}), &json!({"a": 2})));
        assert!(!fits(&json!([1]), &json!([1, 2])));
    }
}
