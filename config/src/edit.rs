//! Edits of the config that keep everything else as people wrote it: `headwater source enable` and `disable`.

use crate::{
    Catalog, Lookup, Paths, SourceConfig, catalog,
    files::{self, Listing, ReadError},
    nearest::nearest,
    placing, text,
};
use std::{
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};
use toml_edit::{DocumentMut, InlineTable, Item, Table, TableLike, value};

/// What an edit did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// This file was written.
    Written(PathBuf),
    /// It was so already.
    Unchanged,
}

/// Why an edit cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The files do not mention the source.
    #[error("there is no source `{name}` in the config{}", suggestion.as_deref().map(|s| format!("; did you mean `{s}`?")).unwrap_or_default())]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// A source whose name is close.
        suggestion: Option<String>,
    },
    /// A name that no source can have.
    #[error("`{0}` cannot be a source's name; letters, digits and `_ - .` can stand in it")]
    Name(String),
    /// No file mentions the source, and no plugin has its name.
    #[error("there is no plugin `{name}`{}", suggestion.as_deref().map(|s| format!("; did you mean `{s}`?")).unwrap_or_default())]
    NoPlugin {
        /// The name that was asked for.
        name: String,
        /// A plugin whose name is close.
        suggestion: Option<String>,
    },
    /// No file mentions the source, and the plugin of its name cannot run. One line that says why.
    #[error("{0}")]
    Unfit(String),
    /// A file is not TOML, or the source is no table; `headwater check` shows where.
    #[error("{}: {reason}; run `headwater check`, which shows where", file.display())]
    Broken {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {reason}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// The system's reason.
        reason: String,
    },
}

/// Enables or disables a source in the file that defines it. Enabling one that no file mentions adds `[source.NAME]` to
/// the main file, which is made when there is none, if `plugins` knows a plugin of that name.
pub fn set_source_enabled(paths: &Paths, name: &str, enabled: bool, plugins: &dyn Catalog) -> Result<Edit, EditError> {
    let mut known = Vec::new();
    let files = Listing::new(paths).files;
    let missing = if paths.optional { files::builtin(&files) } else { "" };
    let open = |file: &Path| -> Result<Open, EditError> {
        let builtin =
            || Open { document: missing.parse().expect("invariant: the built-in config is TOML"), ..Open::default() };
        Ok(read(file)?.unwrap_or_else(builtin))
    };
    for file in files {
        let mut open = open(&file)?;
        let broken = |reason: &str| EditError::Broken { file: text::shown(&file), reason: reason.to_owned() };
        let Some(sources) = open.document.get_mut("source") else { continue };
        let sources = sources.as_table_like_mut().ok_or_else(|| broken("`source` is no table"))?;
        known.extend(sources.iter().map(|(name, _)| name.to_owned()));
        let Some(source) = sources.get_mut(name) else { continue };
        let source = source.as_table_like_mut().ok_or_else(|| broken("the source is no table"))?;
        return if switch(source, enabled) { write(&file, &open) } else { Ok(Edit::Unchanged) };
    }
    if !enabled {
        let suggestion = nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
        return Err(EditError::Unknown { name: name.to_owned(), suggestion });
    }
    if !crate::sources::is_name(name) {
        return Err(EditError::Name(text::quote(name)));
    }
    match plugins.settings_schema(&plugin(paths, name)) {
        Lookup::Schema(_) | Lookup::NoSchema => {}
        Lookup::Unknown { suggestion, .. } => {
            return Err(EditError::NoPlugin { name: name.to_owned(), suggestion });
        }
        Lookup::Unusable(reason) | Lookup::Incompatible(reason) => return Err(EditError::Unfit(reason)),
    }
    let mut open = open(&paths.main)?;
    match placing::with_source(&open.document.to_string(), name) {
        Some(text) => open.document = text.parse().expect("invariant: it was read as TOML"),
        None => append(&mut open.document, name).ok_or_else(|| EditError::Broken {
            file: text::shown(&paths.main),
            reason: "`source` is no table".to_owned(),
        })?,
    }
    write(&paths.main, &open)
}

/// What a source of this name runs when it does not say what: the plugin of that name, or that file beside the config.
fn plugin(paths: &Paths, name: &str) -> String {
    if !catalog::is_path(name) {
        return name.to_owned();
    }
    let beside = paths.main.parent().unwrap_or(Path::new("")).join(name);
    std::path::absolute(&beside).unwrap_or(beside).display().to_string()
}

/// Sets the key, and tells whether that was needed.
fn switch(source: &mut dyn TableLike, enabled: bool) -> bool {
    let default = SourceConfig::ENABLED;
    match source.get_mut("enabled").and_then(Item::as_value_mut) {
        Some(old) if old.as_bool() == Some(enabled) => false,
        // In place: the comment behind the value stays.
        Some(old) => {
            let decor = old.decor().clone();
            *old = enabled.into();
            *old.decor_mut() = decor;
            true
        }
        None if enabled == default => false,
        None => {
            source.insert("enabled", value(enabled));
            true
        }
    }
}

/// Adds the source to `source = { … }`, or where else no table of its own can be written.
fn append(document: &mut DocumentMut, name: &str) -> Option<()> {
    let implicit = || {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    };
    let sources = document.entry("source").or_insert_with(implicit);
    match sources {
        // Written as `source = { … }`.
        Item::Value(inline) => {
            inline.as_inline_table_mut()?.insert(name, InlineTable::new().into());
        }
        sources => {
            sources.as_table_like_mut()?.insert(name, Item::Table(Table::new()));
        }
    }
    Some(())
}

/// A file that can be edited.
#[derive(Default)]
struct Open {
    document: DocumentMut,
    /// Its lines end as on Windows. The editor would end them all alike, as here.
    carriage_returns: bool,
}

/// The file as it can be edited; `None` when there is none.
fn read(file: &Path) -> Result<Option<Open>, EditError> {
    let shown = text::shown(file);
    let bytes = match files::read(file) {
        Ok(bytes) => bytes,
        Err(ReadError::Missing) => return Ok(None),
        Err(error) => return Err(EditError::Io { file: shown, reason: error.to_string() }),
    };
    let text = String::from_utf8(bytes)
        .map_err(|_| EditError::Broken { file: shown.clone(), reason: "it is not UTF-8".to_owned() })?;
    let document = text
        .parse()
        .map_err(|error: toml_edit::TomlError| EditError::Broken { file: shown, reason: error.message().to_owned() })?;
    let lines = text.matches('\n').count();
    Ok(Some(Open { document, carriage_returns: lines > 0 && text.matches("\r\n").count() == lines }))
}

/// Writes beside the file and renames over it: a reader sees the old text or the new one, whole. A link stays a link, and
/// mode and owner stay as they are.
fn write(file: &Path, open: &Open) -> Result<Edit, EditError> {
    let reason = |error: io::Error| EditError::Io { file: text::shown(file), reason: error.to_string() };
    let target = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let directory = target.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory).map_err(reason)?;
    // Hidden, and not *.toml: nobody takes it for a config while it is written.
    let mut temporary =
        tempfile::Builder::new().prefix(".headwater").suffix(".new").tempfile_in(directory).map_err(reason)?;
    let mut text = open.document.to_string();
    if open.carriage_returns {
        text = text.replace('\n', "\r\n");
    }
    temporary.write_all(text.as_bytes()).map_err(reason)?;
    let mode = match std::fs::metadata(&target) {
        Ok(meta) => {
            // Only root can give a file away. For others it is theirs already, or stays theirs.
            let _ = std::os::unix::fs::fchown(temporary.as_file(), Some(meta.uid()), Some(meta.gid()));
            meta.mode() & 0o7777
        }
        Err(_) => 0o644,
    };
    temporary.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).map_err(reason)?;
    // Before the rename: after a power cut the name must not lead to an empty file.
    temporary.as_file().sync_all().map_err(reason)?;
    temporary.persist(&target).map_err(|error| reason(error.error))?;
    Ok(Edit::Written(text::shown(file)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NoCatalog;
    use std::fs;

    fn world(files: &[(&str, &str)]) -> (tempfile::TempDir, Paths) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let paths = Paths::new(dir.path().join("headwater.toml"));
        (dir, paths)
    }

    fn set(before: &str, name: &str, enabled: bool) -> String {
        let (_dir, paths) = world(&[("headwater.toml", before)]);
        set_source_enabled(&paths, name, enabled, &NoCatalog).unwrap();
        fs::read_to_string(paths.main).unwrap()
    }

    const COMMENTED: &str = "# mine\n[gateway] # the port\nshards  =  2 # two\n\n# the disk\n[source.disk]\npath = \"/\" # root\n\n# the last\n[source.x]\n# enabled = true\nplugin = 'tmux'\n";

    #[test]
    fn disabling_adds_one_line_and_touches_no_other() {
        let after = set(COMMENTED, "disk", false);
        assert_eq!(after, COMMENTED.replace("# root\n", "# root\nenabled = false\n"));
        assert_eq!(set(&after, "disk", true), COMMENTED.replace("# root\n", "# root\nenabled = true\n"));
    }

    #[test]
    fn a_value_is_replaced_where_it_stands() {
        let before = "[source.a]\nenabled   = false   # too loud\nplugin = 'tmux'\n";
        assert_eq!(set(before, "a", true), before.replace("false ", "true "));
    }

    #[test]
    fn what_is_so_already_is_not_written() {
        let (_dir, paths) = world(&[("headwater.toml", "[source.a]\n[source.b]\nenabled = false\n")]);
        assert_eq!(set_source_enabled(&paths, "a", true, &NoCatalog).unwrap(), Edit::Unchanged);
        assert_eq!(set_source_enabled(&paths, "b", false, &NoCatalog).unwrap(), Edit::Unchanged);
    }

    #[test]
    fn dotted_and_inline_sources_can_be_switched() {
        assert_eq!(set("source.a.plugin = 'x'\n", "a", false), "source.a.plugin = 'x'\nsource.a.enabled = false\n");
        let inline = set("source = { a = { plugin = 'x' } } # mine\n", "a", false);
        assert!(inline.contains("enabled = false") && inline.ends_with("} # mine\n"), "{inline}");
        let added = set("source = { a = { plugin = 'x' } }\n", "b", true);
        assert!(added.contains("b = {}"), "{added}");
    }

    #[test]
    fn enabling_an_unmentioned_source_adds_it_at_the_end() {
        assert_eq!(set(COMMENTED, "tmux", true), format!("{COMMENTED}\n[source.tmux]\n"));
        assert_eq!(set("", "tmux", true), "[source.tmux]\n");
    }

    #[test]
    fn the_file_that_defines_it_is_the_one_that_changes() {
        let (dir, paths) = world(&[("headwater.toml", "[source.a]\n"), ("sources.d/b.toml", "[source.b]\n")]);
        set_source_enabled(&paths, "b", false, &NoCatalog).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("headwater.toml")).unwrap(), "[source.a]\n");
        assert_eq!(fs::read_to_string(dir.path().join("sources.d/b.toml")).unwrap(), "[source.b]\nenabled = false\n");
    }

    #[test]
    fn without_any_file_one_is_made() {
        let (_dir, paths) = world(&[]);
        set_source_enabled(&paths, "metrics", true, &NoCatalog).unwrap();
        assert_eq!(fs::read_to_string(&paths.main).unwrap(), "[source.metrics]\n");
    }

    /// The first file replaces what is built in: enabling one source must not silently end another.
    #[test]
    fn what_is_built_in_is_written_down_with_the_first_edit() {
        let (_dir, mut paths) = world(&[]);
        paths.optional = true;
        set_source_enabled(&paths, "tmux", true, &NoCatalog).unwrap();
        let text = fs::read_to_string(&paths.main).unwrap();
        assert_eq!(text, "[source.metrics]\ninterval = \"1s\"\n\n[source.tmux]\n");
        let (_dir, mut paths) = world(&[]);
        paths.optional = true;
        set_source_enabled(&paths, "metrics", false, &NoCatalog).unwrap();
        assert!(fs::read_to_string(&paths.main).unwrap().contains("enabled = false"));
    }

    #[test]
    fn mode_and_link_stay() {
        let (dir, paths) = world(&[("real/config.toml", "[source.a]\n")]);
        let real = dir.path().join("real/config.toml");
        fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink("real/config.toml", &paths.main).unwrap();
        set_source_enabled(&paths, "a", false, &NoCatalog).unwrap();
        assert!(paths.main.is_symlink());
        assert_eq!(fs::metadata(&real).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&real).unwrap(), "[source.a]\nenabled = false\n");
        assert_eq!(fs::read_dir(dir.path().join("real")).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn what_cannot_be_edited_is_told_and_left_alone() {
        let (_dir, paths) = world(&[("headwater.toml", "[source.metrics]\n")]);
        let error = set_source_enabled(&paths, "metric", false, &NoCatalog).unwrap_err().to_string();
        assert_eq!(error, "there is no source `metric` in the config; did you mean `metrics`?");
        assert!(matches!(set_source_enabled(&paths, "a b", true, &NoCatalog), Err(EditError::Name(_))));
        fs::write(&paths.main, "[source.metrics\n").unwrap();
        assert!(matches!(set_source_enabled(&paths, "metrics", true, &NoCatalog), Err(EditError::Broken { .. })));
        assert_eq!(fs::read_to_string(&paths.main).unwrap(), "[source.metrics\n");
    }

    /// Harm prevented: a slip of the hand stands in the config, and every start complains of it.
    #[test]
    fn a_source_that_nothing_can_run_is_not_written() {
        struct Plugins;
        impl Catalog for Plugins {
            fn settings_schema(&self, plugin: &str) -> Lookup {
                match plugin {
                    "tmux" => Lookup::NoSchema,
                    "old" => Lookup::Incompatible("old.so: abi v0".to_owned()),
                    _ => Lookup::Unknown { searched: Vec::new(), suggestion: Some("tmux".to_owned()) },
                }
            }
        }
        let before = "[source.mine]\nexec = ['x']\nenabled = false\n";
        let (_dir, paths) = world(&[("headwater.toml", before)]);
        let refused = |name| set_source_enabled(&paths, name, true, &Plugins).unwrap_err().to_string();
        assert_eq!(refused("tmxu"), "there is no plugin `tmxu`; did you mean `tmux`?");
        assert_eq!(refused("old"), "old.so: abi v0");
        assert_eq!(fs::read_to_string(&paths.main).unwrap(), before);
        // What the files say is theirs: it need not be a plugin.
        set_source_enabled(&paths, "mine", true, &Plugins).unwrap();
        set_source_enabled(&paths, "tmux", true, &Plugins).unwrap();
        let after = fs::read_to_string(&paths.main).unwrap();
        assert_eq!(after, "[source.mine]\nexec = ['x']\nenabled = true\n\n[source.tmux]\n");
    }

    #[test]
    fn windows_line_ends_stay() {
        let after = set("[source.a]\r\nplugin = 'x'\r\n", "a", false);
        assert_eq!(after, "[source.a]\r\nplugin = 'x'\r\nenabled = false\r\n");
    }
}
