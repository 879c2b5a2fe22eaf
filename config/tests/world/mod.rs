//! A config in a directory of its own, and a catalog of a few plugins.

#![allow(dead_code)] // Each test binary uses its part.

use headwater_config::{Catalog, ExpressionFault, Lookup, Paths};
use serde_json::json;
use std::path::{Path, PathBuf};

/// A directory with config files.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) paths: Paths,
}

impl World {
    /// Writes the files; `headwater.toml` is the main one.
    pub(crate) fn new(files: &[(&str, &[u8])]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let world = Self { paths: Paths::new(dir.path().join("headwater.toml")), dir };
        for (name, content) in files {
            world.write(name, content);
        }
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// A text with this world's directory taken out, so that it is the same on every machine.
    pub(crate) fn portable(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.dir.path().display()), "")
    }
}

/// Knows `metrics`, `tmux`, `disk` (which needs a path), `hooks` (alternatives), `broken` and `old`.
pub(crate) struct Plugins;

impl Catalog for Plugins {
    fn settings_schema(&self, plugin: &str) -> Lookup {
        match plugin {
            "metrics" => Lookup::Schema(json!({
                "type": "object",
                "properties": {
                    "interval": {"description": "How often.", "type": "string", "format": "duration", "examples": ["1s"]},
                    "disks": {"type": "array", "items": {"type": "string"}},
                    "unit": {"enum": ["percent", "ratio"]},
                    "top": {"type": "integer", "format": "uint8"},
                    "smoothing": {"type": "number", "minimum": 0, "maximum": 1},
                },
                "additionalProperties": false,
            })),
            "disk" => Lookup::Schema(json!({
                "type": "object",
                "properties": {"path": {"description": "What is measured.", "type": "string", "examples": ["/"]}},
                "required": ["path"],
                "additionalProperties": false,
            })),
            "tmux" => Lookup::NoSchema,
            "broken" => Lookup::Unusable("libbroken.so ends after 12 bytes".to_owned()),
            "old" => Lookup::Incompatible("libold.so was built for plugin abi 3; this daemon accepts 1".to_owned()),
            _ => Lookup::Unknown {
                searched: vec!["plugins".into(), "/usr/lib/headwater/plugins".into()],
                suggestion: (plugin == "tmx").then(|| "tmux".to_owned()),
            },
        }
    }

    fn check_channel(&self, pattern: &str) -> Result<(), String> {
        if pattern.contains(' ') { Err("a blank cannot stand in it".to_owned()) } else { Ok(()) }
    }

    /// Refuses a single `=`, and what ends too early.
    fn check_expression(&self, expression: &str) -> Result<(), ExpressionFault> {
        if let Some(at) = expression.find(" = ") {
            let column = expression[..at].chars().count() + 2;
            let (message, help) = ("`=` compares nothing".to_owned(), Some("use `==`".to_owned()));
            return Err(ExpressionFault { column, message, help });
        }
        if expression.ends_with("==") {
            let column = expression.chars().count() + 1;
            return Err(ExpressionFault { column, message: "something is missing".to_owned(), help: None });
        }
        Ok(())
    }
}

/// The directory of this crate.
pub(crate) fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
