//! Where things are: the root of the repository, the target directory, the plugins.

use crate::{Stop, program};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The places that tasks work in.
pub(crate) struct House {
    /// The repository.
    pub(crate) root: PathBuf,
    /// Where cargo builds, `CARGO_TARGET_DIR` and cargo's config considered.
    pub(crate) target: PathBuf,
}

impl House {
    pub(crate) fn find() -> Result<Self, Stop> {
        // Of this run, not of the build: two clones may share a target directory, and so this program.
        let here =
            std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        let root = here.parent().ok_or_else(|| Stop("xtask stands in no repository".into()))?.to_owned();
        let mut metadata = cargo_in(&root);
        metadata.args(["metadata", "--no-deps", "--format-version", "1"]);
        let metadata = program::output(&mut metadata)?;
        let target = field(&metadata, "target_directory")
            .ok_or_else(|| Stop("`cargo metadata` names no target directory".into()))?;
        Ok(Self { root, target: target.into() })
    }

    /// The cargo that runs this, started in the root.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = cargo_in(&self.root);
        command.args(arguments);
        command
    }

    /// The names of the plugin packages: each folder of `plugins/` with a manifest.
    pub(crate) fn plugins(&self) -> Result<Vec<String>, Stop> {
        let folder = self.root.join("plugins");
        let entries = std::fs::read_dir(&folder).map_err(|error| Stop(format!("plugins/ cannot be read: {error}")))?;
        let mut names = Vec::new();
        for entry in entries.flatten() {
            if let Ok(manifest) = std::fs::read_to_string(entry.path().join("Cargo.toml")) {
                let name = package_name(&manifest)
                    .ok_or_else(|| Stop(format!("{}/Cargo.toml has no package name", entry.path().display())))?;
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Builds the daemon and every plugin in release, and what else is named. In one go: built by itself, each would have
    /// other features of what they share, and all of that would be built again.
    pub(crate) fn build_release(&self, more: &[&str]) -> Result<(), Stop> {
        let mut build = self.cargo(&["build", "--release", "--package", "headwater"]);
        build.args(more);
        for plugin in self.plugins()? {
            build.args(["--package", &plugin]);
        }
        program::run(&mut build)
    }
}

fn cargo_in(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

/// The value of a text field somewhere in JSON that a program wrote, for fields whose values need no escape.
fn field(json: &str, name: &str) -> Option<String> {
    let start = json.find(&format!("\"{name}\":\""))? + name.len() + 4;
    let length = json[start..].find('"')?;
    Some(json[start..start + length].to_owned())
}

/// The name in a manifest's `[package]`.
fn package_name(manifest: &str) -> Option<String> {
    let package = manifest.split("[package]").nth(1)?.split("\n[").next()?;
    let line = package.lines().find(|line| line.split('=').next().is_some_and(|key| key.trim() == "name"))?;
    Some(line.split('"').nth(1)?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_cargo_writes() {
        let json = r#"{"packages":[],"target_directory":"/a/b","version":1}"#;
        assert_eq!(field(json, "target_directory").as_deref(), Some("/a/b"));
        assert_eq!(field(json, "nothing"), None);
        let manifest = "[package]\nname = \"headwater-plugin-x\"\n\n[lib]\nname = \"other\"\n";
        assert_eq!(package_name(manifest).as_deref(), Some("headwater-plugin-x"));
    }
}
