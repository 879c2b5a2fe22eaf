//! Pre-flight: whether a plugin file may be loaded, told from its bytes alone, in one line.
//!
//! Called by the loader on the bytes that it will load, and by discovery. A truncated file kills the process inside
//! `dlopen`, and a library's constructors run before anything could be asked of it: hence this comes first.

use super::{
    elf::{self, Malformed},
    manifest::Manifest,
};
use headwater_abi::ABI_MAJOR;
use serde::Deserialize;
use std::fs::File;

/// Why a plugin file is not loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The file itself.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The section does not hold what it should.
    #[error("its manifest is not what a manifest should be: {0}; rebuild it with the current headwater-plugin")]
    Manifest(String),
    /// Built for another major version.
    #[error("built for plugin abi {0}; this daemon accepts {ABI_MAJOR}")]
    Abi(u32),
    /// A panic would end the process that it runs in.
    #[error(
        "built with panic = \"{0}\": a panic could not be reported, only a crash; build it with panic = \"unwind\" (the default)"
    )]
    Panic(String),
}

impl Unfit {
    /// Whether the file claims to be a plugin at all. One that does not is passed over in a directory.
    pub fn is_foreign(&self) -> bool {
        matches!(
            self,
            Self::Malformed(Malformed::NotElf | Malformed::NoManifest | Malformed::NotShared(_) | Malformed::Class)
        )
    }
}

/// Judges the bytes of a whole file.
pub fn check(bytes: &[u8]) -> Result<Manifest, Unfit> {
    judge(&elf::manifest_in(bytes)?)
}

/// Judges an open file by its headers, without reading all of it.
pub fn check_file(file: &File) -> Result<Manifest, Unfit> {
    judge(&elf::manifest_of(file)?)
}

fn judge(section: &[u8]) -> Result<Manifest, Unfit> {
    #[derive(Deserialize)]
    struct AbiOnly {
        abi: u32,
    }
    // Linkers may pad a section with zeros.
    let end = section.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let json = &section[..end];
    // The version first: a manifest of another major version may have any shape.
    let AbiOnly { abi } = serde_json::from_slice(json).map_err(|error| Unfit::Manifest(error.to_string()))?;
    if abi != ABI_MAJOR {
        return Err(Unfit::Abi(abi));
    }
    let manifest: Manifest = serde_json::from_slice(json).map_err(|error| Unfit::Manifest(error.to_string()))?;
    if manifest.name.is_empty() {
        return Err(Unfit::Manifest("the name is empty".into()));
    }
    if manifest.panic != "unwind" {
        return Err(Unfit::Panic(manifest.panic));
    }
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::elf::tests::library;

    const GOOD: &str = r#"{"abi":1,"name":"disk","version":"0.1.0","panic":"unwind","emits":["disk"],
        "commands":[{"name":"measure","permission":"control"},"reset"],"to_come":true}"#;

    #[test]
    fn a_good_manifest_is_read_and_unknown_keys_are_ignored() {
        let manifest = check(&library([GOOD.as_bytes(), b"\0\0\0"].concat().as_slice())).unwrap();
        assert_eq!((manifest.name.as_str(), manifest.emits.len()), ("disk", 1));
        assert_eq!(manifest.commands[1].name, "reset");
        assert_eq!(manifest.commands[0].permission.as_deref(), Some("control"));
    }

    #[test]
    fn each_unfit_manifest_has_its_own_line() {
        let text = |manifest: &str| check(&library(manifest.as_bytes())).unwrap_err().to_string();
        assert_eq!(text(r#"{"abi":3,"other":"shape"}"#), "built for plugin abi 3; this daemon accepts 1");
        assert_eq!(
            text(&GOOD.replace("unwind", "abort")),
            "built with panic = \"abort\": a panic could not be reported, only a crash; build it with panic = \"unwind\" (the default)"
        );
        assert!(text("no json").starts_with("its manifest is not what a manifest should be: expected"));
        assert!(text("").starts_with("its manifest is not what a manifest should be: EOF"));
        assert!(text(r#"{"abi":1,"version":"1","panic":"unwind"}"#).contains("missing field `name`"));
        assert!(text(&GOOD.replace("disk", "")).contains("the name is empty"));
    }

    #[test]
    fn what_does_not_claim_to_be_a_plugin_is_foreign() {
        assert!(check(b"#!/bin/sh\n").unwrap_err().is_foreign());
        assert!(!check(&library(b"{}")).unwrap_err().is_foreign());
        let whole = library(GOOD.as_bytes());
        assert!(!check(&whole[..whole.len() / 2]).unwrap_err().is_foreign());
    }
}
