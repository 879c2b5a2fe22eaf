//! Rules about Rust files: they say what they are for, they are short, they are safe.

use super::{Finding, Source};

/// About as much as one reason to exist needs, and as one reader holds in mind.
const LONGEST: usize = 400;

/// Files that may be longer, each with its reason.
const LONGER: [(&str, &str); 0] = [];

/// The word, which would otherwise be found in this file.
const UNSAFE: &str = "unsafe";

/// Where it may stand, each with its reason. A folder ends with a slash.
const UNSAFE_PLACES: [(&str, &str); 7] = [
    ("plugin-api/abi/", "the surface that crosses the boundary"),
    ("plugin-api/src/export", "the code that the export macro puts into a plugin"),
    ("plugin-api/macros/", "what the export macro writes"),
    ("core/host/src/plugin/loader.rs", "loading a library and calling it"),
    ("core/host/src/child", "between fork and exec"),
    ("core/host/tests/examples/", "a plugin that misbehaves on purpose"),
    ("tests/plugins/", "plugins that misbehave on purpose"),
];

/// Every file opens with what it owns, who calls it and what it does not do.
pub(super) fn opens_with_its_purpose(source: &Source) -> Vec<Finding> {
    if source.is_rust() && !source.text.starts_with("//!") {
        return vec![source.finding("open the file with `//!`: what it owns, who calls it, what it does not do")];
    }
    Vec::new()
}

/// A long file has more than one reason to exist.
pub(super) fn is_short(source: &Source) -> Vec<Finding> {
    let lines = source.text.lines().count();
    if source.is_rust() && lines > LONGEST && !LONGER.iter().any(|(path, _)| *path == source.path) {
        return vec![source.finding(format!("{lines} lines; split it by reason (at most {LONGEST})"))];
    }
    Vec::new()
}

/// `unsafe` stands in few places, so that these can be read with the care they need.
pub(super) fn is_safe(source: &Source) -> Vec<Finding> {
    if !source.is_rust() || UNSAFE_PLACES.iter().any(|(place, _)| source.path.starts_with(place)) {
        return Vec::new();
    }
    let unsafe_code = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        ["{", "fn ", "impl ", "extern ", "trait "].iter().any(|what| code.contains(&format!("{UNSAFE} {what}")))
            || ["allow(", "expect("].iter().any(|attribute| code.contains(&format!("{attribute}{UNSAFE}_code")))
    };
    let lines = source.text.lines().enumerate().filter(|(_, line)| unsafe_code(line));
    lines
        .map(|(index, _)| source.finding_at(index, "`unsafe` outside the places named in xtask/src/tidy/code.rs"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{super::rust, *};

    #[test]
    fn a_file_says_what_it_is_for() {
        assert_eq!(opens_with_its_purpose(&rust("a.rs", "//! Purpose.\n")), []);
        assert_eq!(opens_with_its_purpose(&rust("a.rs", "use std::io;\n")).len(), 1);
        assert_eq!(opens_with_its_purpose(&rust("a.py", "import os\n")), []);
    }

    #[test]
    fn a_file_ends_somewhere() {
        assert_eq!(is_short(&rust("a.rs", &"x\n".repeat(LONGEST))), []);
        assert_eq!(is_short(&rust("a.rs", &"x\n".repeat(LONGEST + 1))).len(), 1);
    }

    #[test]
    fn unsafe_has_its_places() {
        for text in ["@ { x() }", "@ fn f() {}", "#![allow(@_code)]", "let x = @ { y };"] {
            let text = text.replace('@', UNSAFE);
            assert_eq!(is_safe(&rust("core/router/src/log.rs", &text)).len(), 1, "{text}");
            assert_eq!(is_safe(&rust("plugin-api/abi/src/lib.rs", &text)), [], "{text}");
        }
        assert_eq!(is_safe(&rust("a.rs", "// unsafe { is a word }\n//! `unsafe` stands elsewhere")), []);
    }
}
