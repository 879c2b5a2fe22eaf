//! Which sessions are read, by patterns of their names.

/// Patterns with `*` and `?`.
#[derive(Clone, Debug)]
pub(crate) struct Selection(Vec<String>);

impl Selection {
    pub(crate) fn new(patterns: Vec<String>) -> Self {
        Self(patterns)
    }

    /// Whether one of the patterns fits.
    pub(crate) fn takes(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| fits(pattern, name))
    }

    /// Whether every name fits.
    pub(crate) fn takes_all(&self) -> bool {
        self.0.iter().any(|pattern| pattern == "*")
    }
}

/// Goes back to the last `*` only, so that no pattern takes longer than the product of the lengths.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, from)) => {
                    (p, n) = (at + 1, from + 1);
                    star = Some((at, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_selected_by_patterns() {
        let fit = |pattern, name| assert!(fits(pattern, name), "{pattern} {name}");
        let unfit = |pattern, name| assert!(!fits(pattern, name), "{pattern} {name}");
        fit("*", "");
        fit("prod", "prod");
        unfit("prod", "prod-db");
        fit("prod*", "prod-db");
        fit("*-db", "prod-db-db");
        fit("a?c*", "abcd");
        unfit("a?c", "ac");
        unfit("", "a");
        unfit(&("*a".repeat(30) + "b"), &"a".repeat(200));
        let selection = Selection::new(vec!["api*".into(), "web".into()]);
        assert!(selection.takes("api-1") && selection.takes("web") && !selection.takes("db") && !selection.takes_all());
    }
}
