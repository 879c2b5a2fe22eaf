//! Where cargo put the daemon and the plugins, and where the fixtures are.

use std::path::{Path, PathBuf};

/// A file of this build, beside the tests' own: `libheadwater_plugin_metrics.so`.
///
/// # Panics
/// When it has not been built.
pub fn built(name: &str) -> PathBuf {
    let file = directory().join(name);
    assert!(file.exists(), "{} is not built; `cargo xtask test` builds what the tests need", file.display());
    file
}

/// Where this build stands: `target/debug`.
fn directory() -> PathBuf {
    let exe = std::env::current_exe().expect("a test knows its own file");
    let directory = exe.ancestors().find(|path| path.join(".fingerprint").exists());
    directory.expect("a test stands in cargo's target directory").to_owned()
}

/// Python with the libraries of `tools/requirements.txt`.
pub fn python() -> PathBuf {
    installed("python/bin/python3")
}

/// Where Node finds the libraries of `tools/package.json`: for `NODE_PATH`.
pub fn node_modules() -> PathBuf {
    installed("node/node_modules")
}

/// What `cargo xtask test` puts below the target directory.
fn installed(name: &str) -> PathBuf {
    let file = directory().join("../tools").join(name);
    assert!(file.exists(), "{} is missing; `cargo xtask test` installs what the tests need", file.display());
    file
}

/// The daemon's binary.
pub fn headwater_bin() -> PathBuf {
    built("headwater")
}

/// A file of this crate: `exec/clock.py`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}
