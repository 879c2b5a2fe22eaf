//! Files and folders are named after the noun they own.

use super::{Finding, Source};

/// Names under which anything at all collects.
const EMPTY: [&str; 9] =
    ["util", "utils", "utilities", "helper", "helpers", "common", "commons", "manager", "managers"];

/// A name that fits everything says nothing.
pub(super) fn say_something(source: &Source) -> Vec<Finding> {
    let parts = source.path.split('/').map(|part| part.split('.').next().unwrap_or_default());
    let empty =
        parts.filter(|part| EMPTY.contains(part) || EMPTY.iter().any(|word| part.ends_with(&format!("_{word}"))));
    empty.map(|part| source.finding(format!("`{part}` says nothing; name it after the noun it owns"))).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::rust, *};

    #[test]
    fn a_name_is_a_noun() {
        for path in ["src/utils.rs", "common/mod.rs", "a/b/session_manager.rs", "web/helpers.js"] {
            assert_eq!(say_something(&rust(path, "")).len(), 1, "{path}");
        }
        for path in ["src/session.rs", "docs/common-mistakes.md", "README.md"] {
            assert_eq!(say_something(&rust(path, "")), [], "{path}");
        }
    }
}
