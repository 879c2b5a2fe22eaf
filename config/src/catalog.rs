//! The questions this crate asks about what other crates know: plugins, channel names, filter expressions. The daemon and
//! the CLI answer them.

use serde_json::Value;
use std::path::{Path, PathBuf};

/// Knows the plugins of this machine, without running them.
pub trait Catalog {
    /// The JSON Schema of the settings of `plugin`: a name (`metrics`), or the absolute path of a plugin file when the
    /// config gives a path.
    fn settings_schema(&self, plugin: &str) -> Lookup;

    /// The same, with the extra directories that `[plugins] directories` of the file being read names (absolute).
    /// A catalog that searches directories should search these too; the default does not.
    fn settings_schema_in(&self, plugin: &str, directories: &[PathBuf]) -> Lookup {
        let _ = directories;
        self.settings_schema(plugin)
    }

    /// Whether a text of `channels` is a channel name or pattern; `Err` says why not, as a fragment.
    fn check_channel(&self, pattern: &str) -> Result<(), String> {
        let _ = pattern;
        Ok(())
    }

    /// Whether a text is an expression that a filter takes as its `where`.
    fn check_expression(&self, expression: &str) -> Result<(), ExpressionFault> {
        let _ = expression;
        Ok(())
    }
}

/// What is wrong with a filter expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionFault {
    /// Where, in characters from 1.
    pub column: usize,
    /// What is wrong, as a fragment.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
}

/// What a [`Catalog`] knows of one plugin.
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup {
    /// Found, and its settings obey this JSON Schema (2020-12, an object).
    Schema(Value),
    /// Found, and it says nothing of its settings: they are passed as they stand.
    NoSchema,
    /// There is no such plugin (E0201).
    Unknown {
        /// The directories that were searched.
        searched: Vec<PathBuf>,
        /// A plugin whose name is close.
        suggestion: Option<String>,
    },
    /// There is a file, but it is no plugin that could be loaded: unreadable, truncated, no manifest (E0202). One line.
    Unusable(String),
    /// There is a plugin, but for another abi, machine or panic strategy (E0203). One line.
    Incompatible(String),
}

/// Knows no plugin and accepts all: for reading a config where no plugins are at hand (`config show`, tests).
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCatalog;

impl Catalog for NoCatalog {
    fn settings_schema(&self, _: &str) -> Lookup {
        Lookup::NoSchema
    }
}

/// Whether the `plugin` key names a file rather than a plugin.
pub(crate) fn is_path(plugin: &str) -> bool {
    plugin.contains('/') || Path::new(plugin).extension().is_some_and(|e| e == "so")
}
