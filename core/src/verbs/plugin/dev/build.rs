//! Building a plugin with cargo, and finding what came of it.

use headwater_host::check_file;
use serde::Deserialize;
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::process::Command;

/// A plugin file and the name it gives itself.
pub(super) struct Built {
    pub(super) name: String,
    pub(super) file: PathBuf,
}

/// The lines of cargo's `--message-format=json` that matter here.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: Option<PathBuf>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// Runs `cargo build`. `None` when the code does not compile; cargo's own words are on standard error then. The `first`
/// build may take a while and shows what it does.
pub(super) async fn build(directory: &Path, release: bool, first: bool) -> Result<Option<Built>, String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--lib", "--message-format=json-render-diagnostics"]);
    if !first {
        cargo.arg("--quiet");
    }
    if release {
        cargo.arg("--release");
    }
    // What goes wrong, and how the first build goes on, is for the person: standard error stays ours.
    cargo.current_dir(directory).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let cannot = |error: std::io::Error| format!("cannot run cargo: {error}; is Rust installed?");
    let output = cargo.spawn().map_err(cannot)?.wait_with_output().await.map_err(cannot)?;
    if !output.status.success() {
        return Ok(None);
    }
    let manifest = directory.join("Cargo.toml");
    let messages = output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let file = messages
        .filter(|message: &Message| message.reason == "compiler-artifact")
        .filter(|message| message.manifest_path.as_deref() == Some(&manifest))
        .flat_map(|message| message.filenames)
        .find(|file| file.extension().is_some_and(|extension| extension == "so"))
        .ok_or("it builds no plugin; Cargo.toml needs crate-type = [\"cdylib\"] under [lib]")?;
    let open = File::open(&file).map_err(|error| format!("cannot open {}: {error}", file.display()))?;
    let manifest = check_file(&open).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(Some(Built { name: manifest.name, file }))
}
