//! `headwater plugin new NAME`: a directory with a plugin that builds and runs, made from `plugins/template`.

use crate::{exit, say::say};
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

const SOURCE: &str = include_str!("../../../../plugins/template/src/lib.rs");
const TESTS: &str = include_str!("../../../../plugins/template/src/tests.rs");

/// The crates of this build's checkout, while it is there.
const PLUGIN_API: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugin-api");

/// Names that cargo or the compiler does not take for a library.
const KEPT: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// Types of the SDK's prelude and of the template: the source's own type must not hide them.
const PRELUDE: &[&str] = &[
    "Command",
    "Config",
    "Context",
    "Delivery",
    "Duration",
    "Emitter",
    "Evidence",
    "Failure",
    "Option",
    "Period",
    "Progress",
    "Result",
    "Severity",
    "Some",
    "Source",
    "String",
    "Subscription",
    "Turn",
    "Value",
    "Vec",
];

pub(crate) fn run(name: &str, plugin_api: Option<PathBuf>) -> ExitCode {
    if let Err(reason) = check(name) {
        return exit::fail(exit::FAILURE, reason);
    }
    let directory = PathBuf::from(name);
    if directory.exists() {
        return exit::fail(exit::FAILURE, format!("`{name}` exists already; choose another name, or remove it"));
    }
    match write(&directory, name, plugin_api) {
        Ok(()) => {
            say(format_args!("made {name}/   now: cd {name} && headwater plugin dev"));
            ExitCode::SUCCESS
        }
        Err(error) => exit::fail(exit::FAILURE, format!("cannot make {name}/: {error}")),
    }
}

/// What cargo takes as a package name, and the config as a source's.
fn check(name: &str) -> Result<(), String> {
    let well_formed = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c));
    match name {
        _ if KEPT.contains(&name) => Err(format!("`{name}` is a name that Rust keeps for itself; choose another one")),
        _ if well_formed && name.len() <= 64 => Ok(()),
        _ => Err(format!("`{name}` is no plugin name: a lower-case letter, then letters, digits, `-` and `_`")),
    }
}

fn write(directory: &Path, name: &str, plugin_api: Option<PathBuf>) -> io::Result<()> {
    fs::create_dir_all(directory.join("src"))?;
    fs::write(directory.join("Cargo.toml"), manifest(name, &dependencies(plugin_api)?))?;
    fs::write(directory.join("src/lib.rs"), named(SOURCE, name))?;
    fs::write(directory.join("src/tests.rs"), named(TESTS, name))?;
    fs::write(directory.join(".gitignore"), "/target\n")
}

/// The template's own name gives way to the new one: `Template` is the type, `template` stands in the tests.
fn named(text: &str, name: &str) -> String {
    let words = name.split(['-', '_']).filter(|word| !word.is_empty());
    let mut kind: String = words.map(|word| word[..1].to_uppercase() + &word[1..]).collect();
    if PRELUDE.contains(&&*kind) {
        kind.push_str("Source");
    }
    text.replace("Template", &kind).replace("template", name)
}

/// The SDK and the testkit: from a checkout while there is one, from the registry otherwise.
fn dependencies(plugin_api: Option<PathBuf>) -> io::Result<(String, String)> {
    let here = plugin_api.or_else(|| Some(PathBuf::from(PLUGIN_API)).filter(|path| path.join("Cargo.toml").exists()));
    let Some(here) = here else {
        let version = format!("\"{}\"", env!("CARGO_PKG_VERSION"));
        return Ok((version.clone(), version));
    };
    let here = fs::canonicalize(here)?;
    let path = |path: &Path| format!("{{ path = {:?} }}", path.display().to_string());
    Ok((path(&here), path(&here.join("testkit"))))
}

fn manifest(name: &str, (sdk, testkit): &(String, String)) -> String {
    format!(
        r#"[package]
name = "{name}"
description = "What {name} watches, in one sentence"
version = "0.1.0"
edition = "2024"

[lib]
crate-type = ["cdylib"]

[dependencies]
headwater-plugin = {sdk}

[dev-dependencies]
headwater-testkit = {testkit}

# A workspace of its own, wherever this directory is.
[workspace]
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_cargo_and_the_config_take() {
        assert!(check("disk").is_ok() && check("disk-usage_2").is_ok());
        for bad in ["", "Disk", "2disk", "a b", "../x", "a.b", "test", "self", "type"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_type_of_a_source_hides_no_name_that_it_needs() {
        assert!(named("struct Template;", "config").contains("struct ConfigSource;"));
        assert!(named("struct Template;", "disk_free").contains("struct DiskFree;"));
    }

    #[test]
    fn a_new_plugin_is_the_template_under_its_own_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk-free");
        write(&path, "disk-free", None).unwrap();
        let manifest = fs::read_to_string(path.join("Cargo.toml")).unwrap();
        assert!(manifest.contains("name = \"disk-free\"") && manifest.contains("headwater-plugin = { path"));
        let source = fs::read_to_string(path.join("src/lib.rs")).unwrap();
        assert!(source.contains("export_source!(DiskFree") && !source.contains("Template"), "{source}");
    }
}
