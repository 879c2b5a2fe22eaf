//! From files to a checked [`Config`], or to all that is wrong with them.

use crate::{Catalog, Config, Diagnostic, Diagnostics, Fingerprint, Paths};
use std::path::PathBuf;

/// A config that was read and found good.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// The files it was read from.
    pub files: Vec<PathBuf>,
    /// What they contained.
    pub hash: Fingerprint,
    /// What is surely not meant so, but hinders nothing.
    pub warnings: Vec<Diagnostic>,
}

/// Reads and checks the config; a plugin that is missing or unusable is an error. For `check`, `diff` and reloads.
pub fn load(paths: &Paths, catalog: &dyn Catalog) -> Result<Loaded, Diagnostics> {
    // The walk over the files is the next step; until then a config is refused, not guessed.
    let _ = (paths, catalog);
    Err(Diagnostics::default())
}

/// The same, but a plugin that is missing or unusable is a warning and its source stays in the config: at its start the
/// daemon runs everything else, and the host tells of that source.
pub fn load_for_start(paths: &Paths, catalog: &dyn Catalog) -> Result<Loaded, Diagnostics> {
    load(paths, catalog)
}
