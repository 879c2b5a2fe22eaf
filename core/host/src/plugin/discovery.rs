//! Finds plugins: in the configured directories, `./plugins`, beside the running binary, and in the user's data
//! directory; by the name in the manifest, or by path.
//!
//! Called by the host when it starts a source, by the config crate through [`Catalog`] when it checks settings, and by
//! `headwater plugin list`. It reads headers only and runs nothing.

use super::{
    manifest::Manifest,
    preflight::{self, Unfit},
};
use headwater_config::{Catalog, Lookup};
use headwater_event::ChannelPattern;
use std::{
    collections::HashSet,
    env,
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

/// Two names are taken for a slip of the other from this similarity on.
const SIMILAR: f64 = 0.7;

/// Where plugins are looked for. Cheap to clone; it holds no files, each call looks again.
#[derive(Clone, Debug)]
pub struct Discovery {
    directories: Arc<[PathBuf]>,
    here: Option<Arc<Here>>,
}

/// What lies below the directory in which the daemon happens to be started goes before what was installed with it: a
/// developer wants that, but whoever starts the daemon elsewhere may not know. So it is said.
#[derive(Debug)]
struct Here {
    directory: PathBuf,
    beside: PathBuf,
    /// The plugins of which it was said already.
    told: Mutex<HashSet<String>>,
}

/// A file that is, or claims to be, a plugin.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// What it says of itself, or why it cannot be loaded.
    pub manifest: Result<Manifest, Unfit>,
}

/// A plugin that can be loaded.
#[derive(Clone, Debug)]
pub struct Plugin {
    /// Where it is.
    pub path: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
}

/// Why there is no plugin to load.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    /// No plugin of that name.
    #[error("no plugin `{name}` in {}{}", list(.searched), .suggestion.as_ref().map_or_else(String::new, |s| format!("; did you mean `{s}`?")))]
    Name {
        /// What was asked for.
        name: String,
        /// The directories that exist, in the order in which they were searched.
        searched: Vec<PathBuf>,
        /// The nearest name.
        suggestion: Option<String>,
    },
    /// No file at that path.
    #[error("cannot open {}: {reason}", .path.display())]
    File {
        /// What was asked for.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// A file, but one that cannot be loaded.
    #[error("{}: {reason}", .path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: Unfit,
    },
}

impl Discovery {
    /// Looks in these directories and no others, in this order. The first one that has a name wins.
    pub fn new(directories: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut unique: Vec<PathBuf> = Vec::new();
        for directory in directories {
            if !unique.contains(&directory) {
                unique.push(directory);
            }
        }
        Self { directories: unique.into(), here: None }
    }

    /// The configured directories, then `./plugins`, then the directory of the running binary (which is where cargo puts
    /// plugins), then `headwater/plugins` under `XDG_DATA_HOME`.
    pub fn standard(configured: &[PathBuf]) -> Self {
        let beside = env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_path_buf));
        // The base directory specification says that a relative path there is to be ignored.
        let data = env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let data = data.or_else(|| env::home_dir().map(|home| home.join(".local/share")));
        Self::in_order(configured, PathBuf::from("plugins"), beside, data.map(|data| data.join("headwater/plugins")))
    }

    fn in_order(configured: &[PathBuf], here: PathBuf, beside: Option<PathBuf>, data: Option<PathBuf>) -> Self {
        let directories = configured.iter().cloned().chain([here.clone()]).chain(beside.clone()).chain(data);
        let mut discovery = Self::new(directories);
        // Who names it in the config means it.
        if let Some(beside) = beside.filter(|_| !configured.contains(&here)) {
            discovery.here = Some(Arc::new(Here { directory: here, beside, told: Mutex::default() }));
        }
        discovery
    }

    /// The directories, in the order in which they are searched.
    pub fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// Every plugin in every directory, by path within a directory. Files that do not claim to be plugins are passed
    /// over; those that do and cannot be loaded are listed with the reason.
    pub fn list(&self) -> Vec<Found> {
        self.directories.iter().flat_map(|directory| in_directory(directory)).collect()
    }

    /// The plugin of this name; a text with a `/`, or one that ends in `.so`, is a path.
    ///
    /// The first directory that has the name wins, even when its file cannot be loaded: running other code of the same
    /// name instead would be a surprise. Of two files with one name in one directory the newer is taken, and a warning
    /// says so.
    pub fn find(&self, name: &str) -> Result<Plugin, NotFound> {
        if is_path(name) {
            return open(Path::new(name));
        }
        let mut known = Vec::new();
        for directory in &*self.directories {
            let mut here = Vec::new();
            for found in in_directory(directory) {
                let called = found.called();
                if called == name {
                    here.push(found);
                } else {
                    known.push(called);
                }
            }
            if let Some(found) = newest(name, here) {
                if let Some(warning) = self.here.as_ref().and_then(|here| here.warning(directory, name, &found.path)) {
                    tracing::warn!("{warning}");
                }
                return match found.manifest {
                    Ok(manifest) => Ok(Plugin { path: found.path, manifest }),
                    Err(reason) => Err(NotFound::Unfit { path: found.path, reason }),
                };
            }
        }
        let searched = self.directories.iter().filter(|directory| directory.is_dir()).cloned().collect();
        Err(NotFound::Name { name: name.into(), searched, suggestion: nearest(name, known.iter().map(String::as_str)) })
    }
}

impl Here {
    /// What is to be said, once, of a plugin that was found in this directory.
    fn warning(&self, directory: &Path, name: &str, path: &Path) -> Option<String> {
        let same = || fs::canonicalize(directory).ok() == fs::canonicalize(&self.beside).ok();
        if directory != self.directory || same() {
            return None;
        }
        let other = in_directory(&self.beside).into_iter().find(|found| found.called() == name)?;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(name.to_owned()).then(|| {
            format!(
                "the plugin `{name}` is taken from the directory that the daemon was started in ({}), before the one beside \
                 its binary ({}); name the one that you mean in `plugins.directories`, or start the daemon elsewhere",
                fs::canonicalize(path).unwrap_or_else(|_| path.into()).display(),
                other.path.display()
            )
        })
    }
}

impl Found {
    /// The name in the manifest; where that cannot be read, the one that the file's name suggests.
    fn called(&self) -> String {
        match &self.manifest {
            Ok(manifest) => manifest.name.clone(),
            Err(_) => name_by_file(&self.path),
        }
    }
}

impl Catalog for Discovery {
    fn settings_schema(&self, plugin: &str) -> Lookup {
        match self.find(plugin) {
            Ok(Plugin { manifest: Manifest { config_schema: Some(schema), .. }, .. }) => Lookup::Schema(schema),
            Ok(_) => Lookup::NoSchema,
            Err(NotFound::Name { searched, suggestion, .. }) => Lookup::Unknown { searched, suggestion },
            Err(error @ NotFound::Unfit { .. }) if error.is_incompatible() => Lookup::Incompatible(error.to_string()),
            Err(error) => Lookup::Unusable(error.to_string()),
        }
    }

    fn settings_schema_in(&self, plugin: &str, named: &[PathBuf]) -> Lookup {
        let directories = Self::new(named.iter().chain(&*self.directories).cloned()).directories;
        let here = self.here.clone().filter(|here| !named.contains(&here.directory));
        Self { directories, here }.settings_schema(plugin)
    }

    fn check_channel(&self, pattern: &str) -> Result<(), String> {
        ChannelPattern::parse(pattern).map(drop).map_err(|error| error.to_string())
    }
}

impl NotFound {
    /// Whether it is a whole plugin, but for another daemon than this one.
    fn is_incompatible(&self) -> bool {
        use super::elf::Malformed;
        let Self::Unfit { reason, .. } = self else { return false };
        matches!(reason, Unfit::Abi(_) | Unfit::Panic(_) | Unfit::Malformed(Malformed::Machine(_) | Malformed::Class))
    }
}

/// The nearest of `known` to `name`, when one is near enough for a slip of the pen.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    known
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.to_owned())
}

fn is_path(name: &str) -> bool {
    name.contains('/') || Path::new(name).extension() == Some(OsStr::new("so"))
}

fn open(path: &Path) -> Result<Plugin, NotFound> {
    let file = File::open(path).map_err(|error| NotFound::File { path: path.into(), reason: error.to_string() })?;
    match preflight::check_file(&file) {
        Ok(manifest) => Ok(Plugin { path: path.into(), manifest }),
        Err(reason) => Err(NotFound::Unfit { path: path.into(), reason }),
    }
}

fn in_directory(directory: &Path) -> Vec<Found> {
    // A directory that is not there holds no plugins; all but the configured ones are often absent.
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension() == Some(OsStr::new("so")) && path.is_file())
        .collect();
    paths.sort();
    paths.into_iter().filter_map(found).collect()
}

fn found(path: PathBuf) -> Option<Found> {
    let manifest = match open(&path) {
        Ok(plugin) => Ok(plugin.manifest),
        Err(NotFound::Unfit { reason, .. }) if !reason.is_foreign() => Err(reason),
        Err(_) => return None,
    };
    Some(Found { path, manifest })
}

fn newest(name: &str, mut candidates: Vec<Found>) -> Option<Found> {
    let modified =
        |found: &Found| found.path.metadata().and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    candidates.sort_by_key(modified);
    let taken = candidates.pop()?;
    if let Some(other) = candidates.last() {
        tracing::warn!(
            "two files hold the plugin `{name}`: {} is newer and taken, {} is passed over",
            taken.path.display(),
            other.path.display()
        );
    }
    Some(taken)
}

/// `libheadwater_plugin_disk.so` and `libdisk.so` are both `disk`.
fn name_by_file(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().replace('_', "-");
    let name = stem.strip_prefix("lib").unwrap_or(&stem);
    name.strip_prefix("headwater-plugin-").unwrap_or(name).to_owned()
}

fn list(directories: &[PathBuf]) -> String {
    if directories.is_empty() {
        return "any plugin directory (none exists)".into();
    }
    directories.iter().map(|directory| directory.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::elf::tests::library;

    fn plugin(name: &str, version: &str) -> Vec<u8> {
        let json = format!(
            r#"{{"abi":1,"name":"{name}","version":"{version}","panic":"unwind","config_schema":{{"type":"object"}}}}"#
        );
        library(json.as_bytes())
    }

    #[test]
    fn the_first_directory_wins_and_paths_need_no_directory() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(one.path().join("libdisk.so"), plugin("disk", "1.0.0")).unwrap();
        fs::write(two.path().join("libdisk.so"), plugin("disk", "2.0.0")).unwrap();
        fs::write(two.path().join("libother.so"), plugin("tmux", "3.0.0")).unwrap();
        let discovery = Discovery::new([one.path().into(), two.path().into()]);
        assert_eq!(discovery.find("disk").unwrap().manifest.version, "1.0.0");
        assert_eq!(discovery.find("tmux").unwrap().path, two.path().join("libother.so"));
        let path = two.path().join("libdisk.so");
        assert_eq!(discovery.find(path.to_str().unwrap()).unwrap().manifest.version, "2.0.0");
        assert_eq!(discovery.list().len(), 3);
        assert!(matches!(discovery.settings_schema("disk"), Lookup::Schema(_)));
    }

    #[test]
    fn a_plugin_of_the_current_directory_that_hides_an_installed_one_is_told_once() {
        let (here, beside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for directory in [&here, &beside] {
            fs::write(directory.path().join("libdisk.so"), plugin("disk", "1.0.0")).unwrap();
        }
        fs::write(here.path().join("libtmux.so"), plugin("tmux", "1.0.0")).unwrap();
        let path = |directory: &tempfile::TempDir| directory.path().to_owned();
        let standard = |configured: &[PathBuf]| {
            Discovery::in_order(configured, path(&here), Some(path(&beside)), None).here.map(|here| {
                let file = here.directory.join("libdisk.so");
                (here.warning(&here.directory, "disk", &file), here.warning(&here.directory, "tmux", &file), here)
            })
        };
        let (disk, tmux, told) = standard(&[]).unwrap();
        let disk = disk.unwrap();
        assert!(disk.contains(&*here.path().join("libdisk.so").to_string_lossy()), "{disk}");
        assert!(disk.contains(&*beside.path().join("libdisk.so").to_string_lossy()), "{disk}");
        assert_eq!(tmux, None, "nothing is hidden");
        assert_eq!(told.warning(here.path(), "disk", here.path()), None, "once is enough");
        assert!(standard(&[path(&here)]).is_none(), "the config names it");
        let discovery = Discovery::in_order(&[], path(&here), Some(path(&beside)), None);
        assert_eq!(discovery.find("disk").unwrap().path, here.path().join("libdisk.so"), "the order is as documented");
        assert!(discovery.here.unwrap().told.lock().unwrap().contains("disk"), "finding it told it");
    }

    #[test]
    fn of_two_with_one_name_the_newer_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        for (file, version, age) in [("liba.so", "1.0.0", 10), ("libb.so", "2.0.0", 20)] {
            let path = directory.path().join(file);
            fs::write(&path, plugin("disk", version)).unwrap();
            let modified = SystemTime::now() - std::time::Duration::from_secs(age);
            File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
        }
        assert_eq!(Discovery::new([directory.path().into()]).find("disk").unwrap().manifest.version, "1.0.0");
    }

    #[test]
    fn what_is_no_plugin_is_passed_over_and_what_is_broken_is_listed() {
        let directory = tempfile::tempdir().unwrap();
        let at = |file: &str| directory.path().join(file);
        fs::write(at("libscript.so"), "#!/bin/sh\n").unwrap();
        fs::write(at("disk.txt"), plugin("disk", "1.0.0")).unwrap();
        fs::create_dir(at("directory.so")).unwrap();
        let whole = plugin("disk", "1.0.0");
        fs::write(at("libheadwater_plugin_disk.so"), &whole[..whole.len() - 9]).unwrap();
        fs::write(at("libold.so"), library(br#"{"abi":0}"#)).unwrap();
        let discovery = Discovery::new([directory.path().into()]);
        assert_eq!(discovery.list().len(), 2);
        let broken = discovery.find("disk").unwrap_err().to_string();
        assert!(broken.contains("libheadwater_plugin_disk.so: the file is truncated or damaged"), "{broken}");
        let old = discovery.find("old").unwrap_err().to_string();
        assert!(old.ends_with("libold.so: built for plugin abi 0; this daemon accepts 1"), "{old}");
        assert!(matches!(discovery.settings_schema("old"), Lookup::Incompatible(_)));
        assert!(matches!(discovery.settings_schema("disk"), Lookup::Unusable(_)));
        assert!(matches!(discovery.find("./absent.so"), Err(NotFound::File { .. })));
    }

    #[test]
    fn a_slip_of_the_pen_is_met_with_a_suggestion() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("libm.so"), plugin("metrics", "1.0.0")).unwrap();
        let discovery = Discovery::new([directory.path().into(), "/nonexistent".into()]);
        let error = discovery.find("metric").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("no plugin `metric` in {}; did you mean `metrics`?", directory.path().display())
        );
        assert!(matches!(discovery.find("zzz"), Err(NotFound::Name { suggestion: None, .. })));
    }
}
