//! The daemon that the plugin runs in: the one that answers, or one of our own; and our entry in its `sources.d`.

use super::build::Built;
use crate::say::say;
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::process::{Child, Command};

/// How long our own daemon may take to answer, in steps of [`STEP`].
const STEPS: u32 = 200;
const STEP: Duration = Duration::from_millis(25);

/// A daemon that we started. It ends with us, and its directory too.
pub(super) struct Own {
    _child: Child,
    directory: PathBuf,
}

impl Drop for Own {
    fn drop(&mut self) {
        // Nothing of it is worth keeping, and nobody is left to tell.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Where the daemon that answers looks for sources, or one that is started now.
pub(super) async fn find_or_start(globals: &headwater_cli::Globals) -> Result<(PathBuf, Option<Own>), String> {
    match info(globals).await {
        Ok(sources) => Ok((sources, None)),
        Err(headwater_cli::Failure::Away(_)) => start(globals).await,
        Err(failure) => Err(failure.to_string()),
    }
}

async fn info(globals: &headwater_cli::Globals) -> Result<PathBuf, headwater_cli::Failure> {
    let info = headwater_cli::daemon_info(globals).await?;
    let sources = info["sources_dir"].as_str().filter(|path| !path.is_empty()).ok_or_else(|| {
        headwater_cli::Failure::Other("the daemon does not say where its sources are; is it of another version?".into())
    })?;
    Ok(sources.into())
}

async fn start(globals: &headwater_cli::Globals) -> Result<(PathBuf, Option<Own>), String> {
    let listen = globals.url.strip_prefix("http://").unwrap_or(&globals.url).trim_end_matches('/');
    let directory = std::env::temp_dir().join(format!("headwater-dev-{}", std::process::id()));
    let cannot = |error: io::Error| format!("cannot start a daemon: {error}");
    fs::create_dir(&directory).map_err(cannot)?;
    let main = directory.join("headwater.toml");
    fs::write(&main, "# Made by `headwater plugin dev`.\n").map_err(cannot)?;
    let mut command = Command::new(std::env::current_exe().map_err(cannot)?);
    command.arg("up").arg("--config").arg(&main).arg("--state-dir").arg(directory.join("state"));
    command.args(["--listen", listen]).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    // In a group of its own: Ctrl-C is for us, and we end it.
    command.process_group(0);
    let own = Own { _child: command.spawn().map_err(cannot)?, directory };
    for _ in 0..STEPS {
        if let Ok(sources) = info(globals).await {
            say(format_args!("no daemon answered at {}; started one for this session", globals.url));
            return Ok((sources, Some(own)));
        }
        tokio::time::sleep(STEP).await;
    }
    Err(format!("the daemon that was started for this session does not answer at {}", globals.url))
}

/// Our source in the daemon's `sources.d`; gone when this is dropped.
pub(super) struct Entry {
    file: PathBuf,
}

impl Entry {
    /// Writes it; the daemon sees it and starts the source.
    pub(super) fn write(sources: &Path, built: &Built, settings: &[String]) -> Result<Self, String> {
        let file = sources.join(format!("dev-{}.toml", built.name));
        let cannot = |error: io::Error| format!("cannot write {}: {error}", file.display());
        let text = text(built, settings)?;
        fs::create_dir_all(sources).map_err(cannot)?;
        // Whole or not at all: the daemon may read at any moment.
        let half = sources.join(format!(".dev-{}.toml.new", built.name));
        fs::write(&half, text).and_then(|()| fs::rename(&half, &file)).map_err(cannot)?;
        Ok(Self { file })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.file)
            && error.kind() != io::ErrorKind::NotFound
        {
            eprintln!("headwater: cannot remove {}: {error}; remove it by hand", self.file.display());
        }
    }
}

fn text(built: &Built, settings: &[String]) -> Result<String, String> {
    let mut document = toml_edit::DocumentMut::new();
    let mut table = toml_edit::Table::new();
    table["plugin"] = toml_edit::value(path(&built.file)?);
    for setting in settings {
        let parsed: toml_edit::DocumentMut = setting
            .parse()
            .map_err(|error| format!("--set {setting}: {error}a setting is key=value in TOML, as in every=\"1s\""))?;
        for (key, item) in parsed.iter() {
            table[key] = item.clone();
        }
    }
    let mut sources = toml_edit::Table::new();
    sources.set_implicit(true);
    sources.insert(&built.name, toml_edit::Item::Table(table));
    document.insert("source", toml_edit::Item::Table(sources));
    Ok(format!("# Written by `headwater plugin dev`, which removes it when it ends.\n{document}"))
}

fn path(file: &Path) -> Result<&str, String> {
    file.to_str().ok_or_else(|| format!("{} is not UTF-8; move the plugin elsewhere", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_names_the_file_and_the_settings() {
        let built = Built { name: "disk".into(), file: "/x/libdisk.so".into() };
        let text = text(&built, &["every=\"1s\"".into(), "mount=\"/\"".into()]).unwrap();
        let parsed: toml_edit::DocumentMut = text.parse().unwrap();
        assert_eq!(parsed["source"]["disk"]["plugin"].as_str(), Some("/x/libdisk.so"));
        assert_eq!(parsed["source"]["disk"]["mount"].as_str(), Some("/"));
        let wrong = super::text(&built, &["every=1s".into()]).unwrap_err();
        assert!(wrong.contains("--set every=1s"), "{wrong}");
    }
}
