//! Tests wait for facts. A test that sleeps is slow on a quick machine and fails on a slow one.

use super::{Finding, Source};

/// A sleep that is the subject of a test, or the pause of a poll with a deadline, says so in a comment before it.
const REASON: &str = "// Sleeps because";
/// The places that poll for facts with a deadline, so that no other needs to.
const POLLS: [&str; 1] = ["tests/src/wait.rs"];
/// The call, put together so that this file does not break its own rule.
const SLEEP: &str = concat!("sleep", "(");
/// How many lines above a sleep its reason may stand.
const ABOVE: usize = 4;

/// No sleep without its reason in test code.
pub(super) fn tests_wait_for_facts(source: &Source) -> Vec<Finding> {
    if !source.is_rust() || POLLS.contains(&source.path.as_str()) {
        return Vec::new();
    }
    let lines: Vec<&str> = source.text.lines().collect();
    let first = if is_test(&source.path) {
        0
    } else {
        lines.iter().position(|line| line.trim_start().starts_with("#[cfg(test)]")).unwrap_or(lines.len())
    };
    let sleeps = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        // A method of that name, or its definition, is something else.
        code.match_indices(SLEEP).any(|(at, _)| !code[..at].ends_with('.') && !code[..at].ends_with("fn "))
    };
    let explained = |index: usize| lines[index.saturating_sub(ABOVE)..=index].iter().any(|line| line.contains(REASON));
    (first..lines.len())
        .filter(|&index| sleeps(lines[index]) && !explained(index))
        .map(|index| source.finding_at(index, format!("a bare sleep in a test; wait for a fact, or say `{REASON} …`")))
        .collect()
}

/// Programs that tests run, such as a plugin that hangs, are no tests.
fn is_test(path: &str) -> bool {
    let program = path.starts_with("tests/plugins/") || path.contains("/examples/");
    (path.starts_with("tests/") || path.contains("/tests/")) && !program
}

#[cfg(test)]
mod tests {
    use super::{super::rust, *};

    #[test]
    fn a_bare_sleep_is_found_where_tests_are() {
        let sleep = format!("//! x\nfn f() {{ thread::{SLEEP}SECOND); }}\n");
        for path in ["tests/journeys/a.rs", "core/tests/a.rs"] {
            assert_eq!(tests_wait_for_facts(&rust(path, &sleep)).len(), 1, "{path}");
        }
        for path in ["core/src/a.rs", "tests/plugins/hang/src/lib.rs", "core/tests/examples/hang.rs"] {
            assert_eq!(tests_wait_for_facts(&rust(path, &sleep)), [], "{path}");
        }
        let inside = format!("{sleep}#[cfg(test)]\nmod tests {{\n    tokio::time::{SLEEP}x).await;\n}}\n");
        assert_eq!(tests_wait_for_facts(&rust("core/src/a.rs", &inside))[0].line, Some(5));
        let method = format!("//! x\nfn {SLEEP}&self) {{ self.{SLEEP}) }}\n");
        assert_eq!(tests_wait_for_facts(&rust("tests/a.rs", &method)), []);
        let explained = format!("//! x\n{REASON} the source must hang.\n{SLEEP}x);\n");
        assert_eq!(tests_wait_for_facts(&rust("tests/a.rs", &explained)), []);
    }
}
