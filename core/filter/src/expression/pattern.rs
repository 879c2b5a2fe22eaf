//! The regular expression of `matches`. It is compiled once, and how long it may take is counted by its size.

use super::{
    budget::{Budget, Undefined},
    value::Value,
};
use regex::bytes::{Regex, RegexBuilder};

/// What a compiled pattern may weigh, in KiB.
const WEIGHTS: [usize; 5] = [1, 2, 4, 8, 16];

/// A compiled pattern. It looks at bytes: classes such as `\w` and flags such as `(?i)` are ASCII's.
#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    /// Steps for a byte of text: in the worst case all of the pattern is tried at each.
    weight: usize,
}

impl Pattern {
    /// Compiles a pattern; the error is a fragment of a sentence.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let mut refused = String::new();
        for weight in WEIGHTS {
            let built = RegexBuilder::new(text)
                .unicode(false)
                .size_limit(weight * 1_024)
                .dfa_size_limit(64 * 1_024)
                .nest_limit(50)
                .build();
            match built {
                Ok(regex) => return Ok(Self { regex, weight }),
                Err(regex::Error::CompiledTooBig(_)) => refused = "it is too large".into(),
                Err(error) => {
                    // It draws the pattern with a caret below; the last line says what is wrong.
                    let text = error.to_string();
                    let last = text.lines().last().unwrap_or_default();
                    return Err(last.trim_start_matches("error: ").to_owned());
                }
            }
        }
        Err(refused)
    }

    pub(super) fn found(&self, text: &Value<'_>, budget: &Budget) -> Result<bool, Undefined> {
        let Value::Text(text) = text else { return Err(Undefined) };
        budget.read(text.len().saturating_mul(self.weight * 16))?;
        Ok(self.regex.is_match(text.as_bytes()))
    }
}
