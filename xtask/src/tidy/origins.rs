//! The repository works on every machine: no path of one machine, no registry but the public one.

use super::{Finding, Source};

/// Paths that exist on one machine only. Put together here, so that this file does not break its own rule.
const MACHINE: [&str; 5] = [
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/main"),
    concat!("/wo", "rk/shared"),
    concat!("/tm", "p/hw/"),
    concat!("/Us", "ers/"),
];

/// What names another registry than the public ones.
const REGISTRIES: [&str; 4] =
    [concat!("sparse", "+http"), concat!("index-", "url"), concat!("arti", "factory"), concat!("replace", "-with")];

/// The only origin of a locked package.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// No path of the machine that something was written on.
pub(super) fn no_place_of_ours(source: &Source) -> Vec<Finding> {
    lines_with(source, &MACHINE, "a path of one machine")
}

/// Whoever clones gets everything from the public registries.
pub(super) fn only_the_public_registry(source: &Source) -> Vec<Finding> {
    let mut findings = lines_with(source, &REGISTRIES, "another registry than the public one");
    if source.path.ends_with("Cargo.lock") {
        let foreign = |line: &str| line.strip_prefix("source = \"").is_some_and(|rest| !rest.starts_with(CRATES_IO));
        let lines = source.text.lines().enumerate().filter(|(_, line)| foreign(line));
        findings.extend(lines.map(|(index, _)| source.finding_at(index, "a package that is not from crates.io")));
    }
    findings
}

fn lines_with(source: &Source, words: &[&str], rule: &str) -> Vec<Finding> {
    let found = |line: &str| words.iter().find(|word| line.contains(**word)).copied();
    let lines = source.text.lines().enumerate();
    lines.filter_map(|(index, line)| Some(source.finding_at(index, format!("{rule}: `{}`", found(line)?)))).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::rust, *};

    #[test]
    fn a_path_of_one_machine_is_found() {
        let text = format!("fine: ~/.config\nbad: {}x\n", MACHINE[0]);
        let findings = no_place_of_ours(&rust("docs/a.md", &text));
        assert_eq!((findings.len(), findings[0].line), (1, Some(2)));
    }

    #[test]
    fn a_foreign_package_is_found() {
        let lock = format!("source = \"{CRATES_IO}\"\nsource = \"git+https://example.org/x\"\n");
        assert_eq!(only_the_public_registry(&rust("Cargo.lock", &lock)).len(), 1);
        assert_eq!(only_the_public_registry(&rust("fuzz/Cargo.lock", &lock)).len(), 1);
        assert_eq!(only_the_public_registry(&rust("a.md", &lock)), []);
        assert_eq!(only_the_public_registry(&rust("a.toml", &format!("[x]\n{}\n", REGISTRIES[3]))).len(), 1);
    }
}
