//! `cargo xtask tidy`: house rules that no other tool knows. Each rule is a function from a file to what is wrong with
//! it; its tests show that it can fail.

mod code;
mod names;
mod origins;
mod rooms;
mod sleeps;

use crate::{Stop, house::House, program};
use std::{path::Path, process::Command};

/// A text file of the repository.
pub(crate) struct Source {
    /// From the root, with slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A breach: where, and which rule.
#[derive(Debug, PartialEq)]
pub(crate) struct Finding {
    pub(crate) path: String,
    /// From 1; absent where it is about the whole file.
    pub(crate) line: Option<usize>,
    pub(crate) rule: String,
}

impl Source {
    pub(crate) fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "rs")
    }

    /// A breach in the whole file.
    pub(crate) fn finding(&self, rule: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line: None, rule: rule.into() }
    }

    /// A breach in a line, counted from 0 as iterators count.
    pub(crate) fn finding_at(&self, index: usize, rule: impl Into<String>) -> Finding {
        Finding { line: Some(index + 1), ..self.finding(rule) }
    }
}

const RULES: [fn(&Source) -> Vec<Finding>; 7] = [
    code::opens_with_its_purpose,
    code::is_short,
    code::is_safe,
    names::say_something,
    origins::no_place_of_ours,
    origins::only_the_public_registry,
    sleeps::tests_wait_for_facts,
];

pub(crate) fn run(house: &House) -> Result<(), Stop> {
    eprintln!("\n▸ house rules");
    let sources = sources(&house.root)?;
    let mut findings: Vec<Finding> =
        RULES.iter().flat_map(|rule| sources.iter().flat_map(rule).collect::<Vec<_>>()).collect();
    findings.extend(rooms::are_on_the_map(&sources));
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    for finding in &findings {
        let line = finding.line.map(|line| format!(":{line}")).unwrap_or_default();
        eprintln!("{}{line}: {}", finding.path, finding.rule);
    }
    match findings.len() {
        0 => {
            eprintln!("{} files keep them", sources.len());
            Ok(())
        }
        count => Err(Stop(format!("{count} breaches of the house rules"))),
    }
}

/// The text files that git knows or would take.
fn sources(root: &Path) -> Result<Vec<Source>, Stop> {
    let mut list = Command::new("git");
    list.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let mut sources = Vec::new();
    for path in program::output(&mut list)?.split('\0').filter(|path| !path.is_empty()) {
        // A file that is no text, or was just deleted, has nothing to say.
        if let Ok(text) = std::fs::read_to_string(root.join(path)) {
            sources.push(Source { path: path.to_owned(), text });
        }
    }
    Ok(sources)
}

#[cfg(test)]
fn rust(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}
