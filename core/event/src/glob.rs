//! A glob over short names: `*` for any run of characters, `?` for one. Linear in the name, whatever the pattern.

use std::sync::Arc;

/// A compiled glob, cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Glob(Arc<str>);

impl Glob {
    /// Takes any text; there is no text that is no glob.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Whether the whole of `name` fits.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut p, mut n) = (0, 0);
        // The last `*` seen and where its match began: on a mismatch it takes one byte more. Only the last one ever
        // needs that, so the cost is bounded by pattern × name.
        let mut star: Option<(usize, usize)> = None;
        while n < name.len() {
            if p < pattern.len() && (pattern[p] == b'?' || pattern[p] == name[n]) && pattern[p] != b'*' {
                p += 1;
                n += 1;
            } else if p < pattern.len() && pattern[p] == b'*' {
                star = Some((p, n));
                p += 1;
            } else if let Some((at, began)) = star {
                star = Some((at, began + 1));
                p = at + 1;
                n = began + 1;
            } else {
                return false;
            }
        }
        pattern[p..].iter().all(|b| *b == b'*')
    }

    /// The text it was read from.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name, fits) in [
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "ab", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*.created", "session.created", true),
            ("*a*b", "xaxaxb", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(name), fits, "{pattern} on {name}");
        }
    }

    /// The textbook definition, exponential and obviously right.
    fn slow(p: &[u8], n: &[u8]) -> bool {
        match (p.first(), n.first()) {
            (None, None) => true,
            (Some(b'*'), _) => slow(&p[1..], n) || (!n.is_empty() && slow(p, &n[1..])),
            (Some(b'?'), Some(_)) => slow(&p[1..], &n[1..]),
            (Some(a), Some(b)) if a == b => slow(&p[1..], &n[1..]),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(p in "[ab*?]{0,7}", n in "[ab]{0,9}") {
            prop_assert_eq!(Glob::new(&p).matches(&n), slow(p.as_bytes(), n.as_bytes()));
        }
    }
}
