//! From files to a checked [`Config`], or to all that is wrong with them.

use crate::{
    Catalog, Config, Diagnostic, Diagnostics, Fingerprint, Level, Paths,
    check::{Settings, Subject, Walk},
    files::{self, Content, Listing, ReadError},
    nearest::nearest,
    schema::{self, Document},
    sources::{self, Defined, Sources},
    syntax,
    text::{self, Text},
    webhooks::Webhooks,
};
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

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
    read(paths, catalog, Level::Error)
}

/// The same, but a plugin that is missing or unusable is a warning and its source stays in the config: at its start the
/// daemon runs everything else, and the host tells of that source.
pub fn load_for_start(paths: &Paths, catalog: &dyn Catalog) -> Result<Loaded, Diagnostics> {
    read(paths, catalog, Level::Warning)
}

fn read(paths: &Paths, catalog: &dyn Catalog, missing_plugin: Level) -> Result<Loaded, Diagnostics> {
    let mut faults = Vec::new();
    let listing = Listing::new(paths);
    let contents: Vec<Content> = listing.files.iter().map(|path| files::read(path)).collect();
    let mut digests = contents.iter().map(files::digest);
    let hash = listing.fingerprint(|_| digests.next().expect("invariant: one content for each file"));
    let files = listing.files;
    if let Some(fault) = listing.fault {
        let dir = text::shown(&paths.sources_dir);
        let message = format!("cannot read the directory {}: {fault}", dir.display());
        faults.push(Diagnostic::of_file("E0107", dir, message).advise("check its owner and mode"));
    }
    let builtin: Content = Ok(files::builtin(&files).into());
    let given = |(path, content): (&PathBuf, &Content)| match content {
        Err(ReadError::Missing) if paths.optional && *path == paths.main => text(path, &builtin, &mut faults),
        _ => text(path, content, &mut faults),
    };
    let texts: Vec<Text> = files.iter().zip(&contents).filter_map(given).collect();

    let mut config = Config::default();
    let mut tables = Vec::new();
    for text in &texts {
        match syntax::parse(text) {
            Ok(table) => tables.push((text, table)),
            Err(errors) => faults.extend(errors),
        }
    }
    let main = text::shown(&paths.main);
    for (text, table) in &tables {
        if *text.shown == *main {
            let directory = directory(&paths.main);
            config = sections(text, table, &directory, &mut faults);
            history_channels(text, table, catalog, &mut faults);
            config.webhooks = Webhooks { text, directory, catalog }.check(table, &mut faults);
        } else {
            only_sources(text, table, &main, &mut faults);
        }
    }
    let sources = Sources { catalog, directories: &config.plugins.directories, missing_plugin };
    let defined = defined(&tables, &files, &mut faults);
    config.sources = sources::check(&sources, &defined, &mut faults);

    let rank = |fault: &Diagnostic| files.iter().position(|file| text::shown(file) == fault.file);
    faults.sort_by_key(|fault| (rank(fault), fault.line, fault.column));
    if faults.iter().any(|fault| fault.level == Level::Error) {
        return Err(Diagnostics::new(faults, hash));
    }
    let is_there = |(path, content): (PathBuf, Content)| content.is_ok().then_some(path);
    let files = files.into_iter().zip(contents).filter_map(is_there).collect();
    Ok(Loaded { config, files, hash, warnings: faults })
}

/// The text of a file, or E0107.
fn text(path: &Path, content: &Content, faults: &mut Vec<Diagnostic>) -> Option<Text> {
    let shown = text::shown(path);
    let bytes = match content {
        Ok(bytes) => bytes,
        Err(error) => {
            let advice = match error {
                ReadError::Missing => {
                    "`headwater up` runs with defaults when no config is named; `--config PATH` names one"
                }
                ReadError::NotAFile => "name a file, or a link to one",
                ReadError::TooLarge => "is it the right file?",
                ReadError::Io(_) => "check its owner and mode",
            };
            let message = format!("cannot read {}: {error}", shown.display());
            faults.push(Diagnostic::of_file("E0107", shown, message).advise(advice));
            return None;
        }
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(Text::new(path, text)),
        Err(error) => {
            let at = error.valid_up_to();
            let lossy = Text::new(path, String::from_utf8_lossy(bytes));
            let message = format!("{} is not UTF-8: byte 0x{:02x}", shown.display(), bytes[at]);
            let fault = Diagnostic::at("E0107", &lossy, &(at..at + '\u{fffd}'.len_utf8()), message);
            faults.push(fault.label("not UTF-8").advise("save the file as UTF-8"));
            None
        }
    }
}

/// Everything of the main file but its sources and webhooks.
fn sections(text: &Text, table: &DeTable<'_>, directory: &Path, faults: &mut Vec<Diagnostic>) -> Config {
    let mut walk = Walk::new(text, schema::document(), Subject::Host);
    let entries = table.iter().filter(|(key, _)| !matches!(key.get_ref().as_ref(), "source" | "webhook")).collect();
    let plain = walk.table(schema::document(), &Settings { entries, owner: "the config", at: 0..0, also: &[] });
    let clean = walk.found.is_empty();
    faults.append(&mut walk.found);
    let document: Document = match serde_json::from_value(plain) {
        Ok(document) => document,
        // What the walk has found wrong is left out, and a list may be too short now.
        Err(_) if !clean => Document::default(),
        Err(error) => {
            faults.push(Diagnostic::of_file("E0104", text.shown.to_path_buf(), error.to_string()));
            Document::default()
        }
    };
    let Document { mut gateway, router, mut history, mut plugins, supervision, log, webhooks: _, sources: _ } =
        document;
    for path in plugins.directories.iter_mut().chain(&mut gateway.socket).chain(&mut history.path) {
        *path = absolute(directory, path);
    }
    relations(text, table, &gateway, &supervision, faults);
    Config { gateway, router, history, plugins, supervision, log, ..Config::default() }
}

/// What no schema says: how values must stand to each other and to the world.
fn relations(
    text: &Text,
    table: &DeTable<'_>,
    gateway: &schema::Gateway,
    supervision: &schema::Supervision,
    faults: &mut Vec<Diagnostic>,
) {
    let place = |section: &str, name: &str| {
        let section = syntax::entry(table, section)?.1.get_ref().as_table()?;
        Some(syntax::entry(section, name)?.1.span())
    };
    if let Some(refusal) = schema::listen_refusal(gateway.listen) {
        let span = place("gateway", "listen").unwrap_or(0..0);
        let fault = Diagnostic::at("E0301", text, &span, refusal).label("anybody on the network could connect");
        faults.push(fault.advise(format!(
            "listen on \"127.0.0.1:{}\", and reach it from elsewhere by `ssh -L` or a proxy that asks who is there",
            gateway.listen.port()
        )));
    }
    let (min, max) = (supervision.backoff_min, supervision.backoff_max);
    if max < min {
        let (name, other, value) = match place("supervision", "backoff_max") {
            Some(_) => ("backoff_max", "backoff_min", min),
            None => ("backoff_min", "backoff_max", max),
        };
        let span = place("supervision", name).unwrap_or(0..0);
        let fault = Diagnostic::at("E0104", text, &span, "`backoff_max` is shorter than `backoff_min`");
        faults.push(fault.suggest(format!("`{other}` is \"{}\"", crate::Period(value))));
    }
}

/// `[[history.channel]]`: patterns must be some, and keys that would have no effect are refused: somebody relies on them.
fn history_channels(text: &Text, table: &DeTable<'_>, catalog: &dyn Catalog, faults: &mut Vec<Diagnostic>) {
    let history = syntax::entry(table, "history").and_then(|(_, value)| value.get_ref().as_table());
    let channels = history.and_then(|history| syntax::entry(history, "channel")?.1.get_ref().as_array());
    for channel in channels.into_iter().flat_map(|channels| channels.iter()) {
        let Some(channel) = channel.get_ref().as_table() else { continue };
        let pattern = syntax::entry(channel, "pattern").and_then(|(_, value)| Some((value, value.get_ref().as_str()?)));
        if let Some((value, pattern)) = pattern.filter(|(_, pattern)| !pattern.is_empty())
            && let Err(reason) = catalog.check_channel(pattern)
        {
            let message = format!("`{}` is no channel name or pattern", text::quote(pattern));
            faults.push(Diagnostic::at("E0104", text, &value.span(), message).suggest(reason));
        }
        let stored = syntax::entry(channel, "store").and_then(|(_, value)| value.get_ref().as_bool());
        for name in ["age", "events", "size"] {
            if let (Some(false), Some((key, _))) = (stored, syntax::entry(channel, name)) {
                let message = format!("`{name}` says nothing where `store = false` keeps nothing");
                faults.push(Diagnostic::at("E0104", text, &key.span(), message).suggest("remove one of the two"));
            }
        }
    }
}

/// Files of `sources.d` hold sources and nothing else: settings of the daemon have one place.
fn only_sources(text: &Text, table: &DeTable<'_>, main: &Path, faults: &mut Vec<Diagnostic>) {
    for (key, _) in table.iter().filter(|(key, _)| *key.get_ref() != "source") {
        let name = text::quote(key.get_ref());
        let fault = Diagnostic::at("E0102", text, &key.span(), format!("`{name}` cannot stand in a file of sources.d"));
        let known = schema::document().get("properties").and_then(|p| p.get(key.get_ref().as_ref())).is_some();
        let fault = if known {
            fault.suggest(format!("move it to {}", main.display()))
        } else if nearest(key.get_ref(), ["source"]).is_some() {
            fault.suggest("did you mean `source`?")
        } else {
            fault
        };
        faults.push(fault.advise("these files hold [source.NAME] tables only"));
    }
}

/// All sources of all files, in order.
fn defined<'t, 'i>(
    tables: &'t [(&'t Text, DeTable<'i>)],
    files: &[PathBuf],
    faults: &mut Vec<Diagnostic>,
) -> Vec<Defined<'t, 'i>> {
    let mut all = Vec::new();
    for (text, table) in tables {
        let Some((key, value)) = syntax::entry(table, "source") else { continue };
        let path = files.iter().find(|path| *text.shown == *text::shown(path));
        let directory = path.map(|path| directory(path)).unwrap_or_default();
        let DeValue::Table(sources) = value.get_ref() else {
            let fault = Diagnostic::at("E0103", text, &key.span(), "`source` must be a table");
            faults.push(fault.advise("write [source.NAME], with the source's name"));
            continue;
        };
        for (key, value) in sources {
            all.push(Defined { text, directory: directory.clone(), key, value });
        }
    }
    all
}

/// The absolute directory of a file.
fn directory(file: &Path) -> PathBuf {
    let dir = file.parent().unwrap_or(Path::new(""));
    std::path::absolute(if dir.as_os_str().is_empty() { Path::new(".") } else { dir })
        .unwrap_or_else(|_| dir.to_owned())
}

/// A path of the config: `~/` is the home directory, and a relative one starts at the directory of the file.
pub(crate) fn absolute(directory: &Path, path: &Path) -> PathBuf {
    let home = path.strip_prefix("~").ok().and_then(|rest| Some(PathBuf::from(std::env::var_os("HOME")?).join(rest)));
    let joined = home.unwrap_or_else(|| directory.join(path));
    // Without the `.` of "./x"; `..` stays, for it may lead through a link.
    joined.components().collect()
}
