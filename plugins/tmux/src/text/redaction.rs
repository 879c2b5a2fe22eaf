//! What is blotted out of text before anything leaves: tokens, keys, passwords. It works on whole lines as far as they are
//! known, by the patterns of the settings; it makes leaks rare and cannot make them impossible.

use super::signals::plain;
use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use std::borrow::Cow;

/// What stands in place of a secret.
pub(super) const BLOT: &str = "[redacted]";

/// Patterns of a list. Each costs time for all text that leaves.
const MOST: usize = 64;

/// Characters of a pattern.
const LONGEST: usize = 500;

/// What a compiled pattern may weigh, in bytes. Without it, a short pattern such as `\w{1000}` takes a second to compile.
const HEAVIEST: usize = 256 * 1024;

/// What a set of patterns may weigh together.
const HEAVIEST_SET: usize = 2 * 1024 * 1024;

/// Memory for the states that matching makes; beyond it they are made anew.
const STATES: usize = 256 * 1024;

/// What is redacted when the settings say nothing else. The part named `secret` is blotted out, or else all that matches.
///
/// The ends of words are those of ASCII: with others, text that is not ASCII is searched in a much slower way.
pub const SECRETS: [&str; 15] = [
    // OpenAI, Anthropic and others that took their form; then Stripe.
    r"(?-u:\b)sk-[A-Za-z0-9_-]{16,}",
    r"(?-u:\b)[rsp]k_(?:live|test)_[A-Za-z0-9]{16,}",
    // GitHub, GitLab, npm, PyPI, Hugging Face.
    r"(?-u:\b)gh[pousr]_[A-Za-z0-9]{20,}",
    r"(?-u:\b)github_pat_[A-Za-z0-9_]{20,}",
    r"(?-u:\b)glpat-[A-Za-z0-9_-]{16,}",
    r"(?-u:\b)(?:npm|hf)_[A-Za-z0-9]{24,}",
    r"(?-u:\b)pypi-[A-Za-z0-9_-]{16,}",
    // Slack, AWS, Google, SendGrid.
    r"(?-u:\b)x(?:ox[a-z]|app)-[A-Za-z0-9-]{10,}",
    r"(?-u:\b)(?:AKIA|ASIA)[A-Z0-9]{16}(?-u:\b)",
    r"(?-u:\b)AIza[A-Za-z0-9_-]{30,}",
    r"(?-u:\b)SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    // JSON web tokens, HTTP authorisation, passwords in URLs.
    r"(?-u:\b)eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    r"(?i)(?-u:\b)(?:bearer|basic)\s+(?P<secret>[A-Za-z0-9._~+/=-]{16,})",
    r"(?-u:\b)[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@]*:(?P<secret>[^\s/@]+)@",
    // `export DB_PASSWORD=…`, `"api_key": "…"`.
    r#"(?i)(?:api_?-?key|access_?-?key|private_?-?key|secret|token|passw(?:or)?d)["']?\s{0,4}[:=]\s{0,4}["']?(?P<secret>[^\s"',;]{8,})"#,
];

/// Compiled patterns.
#[derive(Debug)]
pub struct Redaction {
    /// All at once: most text has nothing to redact, and is then looked at only once.
    any: RegexSet,
    each: Vec<Regex>,
}

/// Why a list of patterns is refused.
#[derive(Debug, thiserror::Error)]
pub enum RedactionError {
    /// Too many.
    #[error("more than {MOST} patterns to redact by")]
    TooMany,
    /// One is too long.
    #[error("pattern {0} to redact by is longer than {LONGEST} characters")]
    TooLong(usize),
    /// One is wrong, or too large once compiled.
    #[error("pattern {0} to redact by: {1}")]
    Pattern(usize, String),
    /// Together they are too large once compiled.
    #[error("the patterns to redact by are too large together")]
    TooLarge,
}

impl Redaction {
    /// Compiles patterns. In errors they are counted from 1.
    pub fn new<P: AsRef<str>>(patterns: &[P]) -> Result<Self, RedactionError> {
        if patterns.len() > MOST {
            return Err(RedactionError::TooMany);
        }
        let mut each = Vec::new();
        for (index, pattern) in patterns.iter().map(AsRef::as_ref).enumerate() {
            if pattern.len() > LONGEST {
                return Err(RedactionError::TooLong(index + 1));
            }
            let built = RegexBuilder::new(pattern).size_limit(HEAVIEST).dfa_size_limit(STATES).nest_limit(50).build();
            each.push(built.map_err(|error| RedactionError::Pattern(index + 1, reason(&error)))?);
        }
        let any = RegexSetBuilder::new(patterns).size_limit(HEAVIEST_SET).dfa_size_limit(STATES).nest_limit(50).build();
        Ok(Self { any: any.map_err(|_| RedactionError::TooLarge)?, each })
    }

    /// A title as tmux keeps it, in the form in which [`Seen::Title`](super::Seen::Title) has it.
    pub fn title(&self, title: &str) -> String {
        self.clean(&plain(title.as_bytes())).into_owned()
    }

    /// The text without its secrets.
    pub fn clean<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut clean = Cow::Borrowed(text);
        for index in self.any.matches(text) {
            let replaced = self.each[index].replace_all(&clean, |found: &regex::Captures<'_>| {
                let whole = found.get_match();
                let secret = found.name("secret").unwrap_or(whole);
                let before = &whole.as_str()[..secret.start() - whole.start()];
                let after = &whole.as_str()[secret.end() - whole.start()..];
                format!("{before}{BLOT}{after}")
            });
            if let Cow::Owned(replaced) = replaced {
                clean = Cow::Owned(replaced);
            }
        }
        clean
    }
}

/// The last line of what the compiler says; above it, it draws the pattern.
fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
        error => {
            let text = error.to_string();
            text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_secrets_are_blotted_out() {
        let redaction = Redaction::new(&SECRETS).unwrap();
        // Put together here, so that nobody's scanner takes these for real ones.
        let body = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6";
        for (text, clean) in [
            (format!("key sk-ant-{body} ok"), "key [redacted] ok"),
            (format!("sk_live_{body}"), "[redacted]"),
            (format!("ghp_{body}, then"), "[redacted], then"),
            (format!("github_pat_{body}"), "[redacted]"),
            (format!("glpat-{body}"), "[redacted]"),
            (format!("npm_{body}"), "[redacted]"),
            (format!("pypi-{body}"), "[redacted]"),
            (format!("xoxb-{body}"), "[redacted]"),
            ("AKIAABCDEFGHIJKLMNOP".to_owned(), "[redacted]"),
            (format!("AIza{body}"), "[redacted]"),
            (format!("SG.{body}.{body}"), "[redacted]"),
            (format!("eyJ{body}.{body}.{body}"), "[redacted]"),
            (format!("Authorization: Bearer {body}"), "Authorization: Bearer [redacted]"),
            ("https://me:hunter2@example.org/x".to_owned(), "https://me:[redacted]@example.org/x"),
            (format!("export DB_PASSWORD={body}"), "export DB_PASSWORD=[redacted]"),
            (format!(r#"{{"api_key": "{body}"}}"#), r#"{"api_key": "[redacted]"}"#),
        ] {
            assert_eq!(redaction.clean(&text), clean);
        }
    }

    #[test]
    fn other_text_stays() {
        let redaction = Redaction::new(&SECRETS).unwrap();
        for text in ["cargo test --all", "https://example.org:8080/a@b", "the token is short", "task-list sk-1", "a: b"]
        {
            assert!(matches!(redaction.clean(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn patterns_that_cost_too_much_are_refused() {
        let refused = |pattern: &str| Redaction::new(&["a", pattern]).unwrap_err().to_string();
        assert_eq!(refused(r"\w{1000}{1000}"), "pattern 2 to redact by: it is too large");
        assert_eq!(refused("(a"), "pattern 2 to redact by: unclosed group");
        assert_eq!(refused(&"a".repeat(501)), "pattern 2 to redact by is longer than 500 characters");
        assert!(matches!(Redaction::new(&["a"; 65]), Err(RedactionError::TooMany)));
    }

    #[test]
    fn an_empty_match_ends() {
        assert_eq!(Redaction::new(&["x*"]).unwrap().clean("ab"), "[redacted]a[redacted]b[redacted]");
    }
}
