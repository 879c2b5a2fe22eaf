//! `[source.NAME]`: the host's keys against our schema, the others against the plugin's own.

use crate::{
    Catalog, Diagnostic, Isolation, Level, Lookup, Program, SourceConfig,
    catalog::is_path,
    check::{MAX_FAULTS, Settings, Subject, Walk},
    load::absolute,
    nearest::nearest,
    schema::{self, HOST_KEYS, SourceTable},
    syntax::entry,
    text::{self, Text, quote},
};
use serde_json::{Map, Value};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// The longest name of a source, or of a webhook. It stands in each of its events.
pub(crate) const MAX_NAME: usize = 64;

/// Names that stand in events for somebody else.
const RESERVED: [&str; 2] = ["headwater", "client"];

/// One `[source.NAME]` as it stands in a file.
pub(crate) struct Defined<'t, 'i> {
    pub(crate) text: &'t Text,
    /// The absolute directory of the file.
    pub(crate) directory: PathBuf,
    pub(crate) key: &'t Spanned<Cow<'i, str>>,
    pub(crate) value: &'t Spanned<DeValue<'i>>,
}

/// What is the same for all sources of a config.
pub(crate) struct Sources<'a> {
    pub(crate) catalog: &'a dyn Catalog,
    /// `[plugins] directories`, absolute.
    pub(crate) directories: &'a [PathBuf],
    /// How bad a missing or unusable plugin is for an enabled source.
    pub(crate) missing_plugin: Level,
}

/// Checks all sources. Those that are good come back.
pub(crate) fn check(
    sources: &Sources<'_>,
    defined: &[Defined<'_, '_>],
    faults: &mut Vec<Diagnostic>,
) -> BTreeMap<String, SourceConfig> {
    let mut first: BTreeMap<&str, &Defined<'_, '_>> = BTreeMap::new();
    let mut good = BTreeMap::new();
    for one in defined {
        if faults.len() >= MAX_FAULTS {
            break;
        }
        let name: &str = one.key.get_ref();
        if let Some(other) = first.get(name) {
            let message = format!("source `{}` is defined twice", quote(name));
            let fault = Diagnostic::at("E0106", one.text, &one.key.span(), message).label("again here");
            let fault = fault.advise("give one of them another name, or remove it");
            faults.push(fault.also(other.text, &other.key.span(), "first here"));
            continue;
        }
        first.insert(name, one);
        if let Some(config) = source(sources, one, faults) {
            good.insert(name.to_owned(), config);
        }
    }
    good
}

fn source(sources: &Sources<'_>, one: &Defined<'_, '_>, faults: &mut Vec<Diagnostic>) -> Option<SourceConfig> {
    let name: &str = one.key.get_ref();
    check_name(one, faults);
    let DeValue::Table(table) = one.value.get_ref() else {
        let fault =
            Diagnostic::at("E0103", one.text, &one.value.span(), format!("source `{}` must be a table", quote(name)));
        faults.push(fault.advise(format!("write [source.{}]", crate::toml_text::key(name))));
        return None;
    };
    let before = faults.len();
    let (ours, theirs): (Vec<_>, Vec<_>) =
        table.iter().partition(|(key, _)| HOST_KEYS.contains(&key.get_ref().as_ref()));
    let mut walk = Walk::new(one.text, schema::document(), Subject::Host);
    let host =
        walk.table(schema::source_table(), &Settings { entries: ours, owner: name, at: one.value.span(), also: &[] });
    faults.append(&mut walk.found);
    let clean = faults.len() == before;
    let host: Option<SourceTable> = match serde_json::from_value(host) {
        Ok(host) => Some(host),
        Err(error) if clean => {
            faults.push(Diagnostic::at("E0104", one.text, &one.key.span(), error.to_string()));
            None
        }
        Err(_) => None,
    };
    check_channels(sources, one, table, faults);

    let program = program(one, table, faults);
    let enabled = host.as_ref().is_none_or(|host| host.enabled);
    if let Some(host) = &host {
        check_agreement(one, table, host, faults);
    }
    let settings = match &program {
        Some(Program::Exec(_)) => free_settings(one, theirs, faults),
        Some(Program::Plugin(plugin)) => settings(sources, one, plugin, enabled, theirs, table, faults),
        None => Map::new(),
    };
    let (host, program) = (host?, program?);
    let exec = matches!(program, Program::Exec(_));
    Some(SourceConfig {
        name: name.to_owned(),
        program,
        enabled: host.enabled,
        isolation: host.isolation,
        channels: host.channels,
        heartbeat: host.heartbeat,
        grace: host.grace,
        memory_limit: host.memory_limit,
        sha256: host.sha256,
        log_level: host.log_level,
        description: host.description,
        // A plugin does not notice where it was defined: moving its table to another file changes nothing.
        directory: if exec { one.directory.clone() } else { PathBuf::new() },
        settings,
    })
}

/// Whether a source can have this name.
pub(crate) fn is_name(name: &str) -> bool {
    is_plain(name) && name.len() <= MAX_NAME && !RESERVED.contains(&name)
}

/// A name stands in URLs, in commands and in file names.
pub(crate) fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

fn check_name(one: &Defined<'_, '_>, faults: &mut Vec<Diagnostic>) {
    let name: &str = one.key.get_ref();
    let label = if !is_plain(name) {
        "letters, digits and `_ - .` can stand in it".to_owned()
    } else if name.len() > MAX_NAME {
        format!("at most {MAX_NAME} characters")
    } else if RESERVED.contains(&name) {
        format!(
            "reserved: events of this source would pass for the {}'s own",
            if name == "client" { "clients" } else { "daemon" }
        )
    } else {
        return;
    };
    let message = format!("`{}` cannot be a source's name", quote(name));
    faults.push(Diagnostic::at("E0104", one.text, &one.key.span(), message).suggest(label));
}

fn check_channels(sources: &Sources<'_>, one: &Defined<'_, '_>, table: &DeTable<'_>, faults: &mut Vec<Diagnostic>) {
    let channels = entry(table, "channels").and_then(|(_, value)| value.get_ref().as_array());
    for item in channels.into_iter().flat_map(|items| items.iter()) {
        let Some(pattern) = item.get_ref().as_str() else { continue };
        if let Err(reason) = sources.catalog.check_channel(pattern) {
            let message = format!("`{}` is no channel name or pattern", quote(pattern));
            faults.push(Diagnostic::at("E0104", one.text, &item.span(), message).suggest(reason));
        }
    }
}

/// What the source runs; `None` when that cannot be told (and has been reported).
fn program(one: &Defined<'_, '_>, table: &DeTable<'_>, faults: &mut Vec<Diagnostic>) -> Option<Program> {
    let plugin = entry(table, "plugin");
    match (plugin, entry(table, "exec")) {
        (Some((plugin, _)), Some((exec, _))) => {
            let message = format!("source `{}` has both `plugin` and `exec`", quote(one.key.get_ref()));
            let fault = Diagnostic::at("E0205", one.text, &exec.span(), message).label("a program of its own");
            let fault = fault.advise("keep one of them: `plugin` for a plugin, `exec` for a program in any language");
            faults.push(fault.also(one.text, &plugin.span(), "a plugin"));
            None
        }
        (None, Some((_, exec))) => {
            let words = exec.get_ref().as_array()?.iter().map(|word| word.get_ref().as_str().map(str::to_owned));
            let mut words: Vec<String> = words.collect::<Option<_>>()?;
            let program = words.first_mut()?;
            if program.is_empty() {
                let fault = Diagnostic::at("E0104", one.text, &exec.span(), "`exec` names no program");
                faults.push(fault.suggest("the first entry is the program"));
            } else if program.contains('/') {
                *program = absolute(&one.directory, Path::new(&program)).to_string_lossy().into_owned();
            }
            Some(Program::Exec(words))
        }
        (Some((_, value)), None) => {
            let plugin = value.get_ref().as_str()?;
            if is_path(plugin) {
                let path = absolute(&one.directory, Path::new(plugin));
                return Some(Program::Plugin(path.to_string_lossy().into_owned()));
            }
            Some(Program::Plugin(plugin.to_owned()))
        }
        (None, None) => Some(Program::Plugin(one.key.get_ref().to_string())),
    }
}

/// Keys that would have no effect are refused: somebody relies on them.
fn check_agreement(one: &Defined<'_, '_>, table: &DeTable<'_>, host: &SourceTable, faults: &mut Vec<Diagnostic>) {
    let mut refuse = |name: &str, message: &str, advice: &str| {
        if let Some((key, _)) = entry(table, name) {
            faults.push(Diagnostic::at("E0104", one.text, &key.span(), message).advise(advice));
        }
    };
    if host.exec.is_some() {
        refuse("sha256", "`sha256` pins a plugin's file, and this source runs a program", "remove `sha256`");
        if host.isolation == Isolation::Thread {
            refuse("isolation", "a program runs as a process of its own", "remove `isolation`");
        }
    } else if host.isolation == Isolation::Thread {
        let message = "`memory_limit` needs a process of its own";
        refuse("memory_limit", message, "remove it, or set `isolation = \"process\"`");
    }
}

/// The settings of a program: whatever it likes. Only what looks like a misspelt host key is pointed out.
fn free_settings(one: &Defined<'_, '_>, theirs: Entries<'_, '_>, faults: &mut Vec<Diagnostic>) -> Map<String, Value> {
    for (key, _) in &theirs {
        if let Some(meant) = nearest(key.get_ref(), HOST_KEYS) {
            let name = quote(key.get_ref());
            let fault = Diagnostic::at("E0102", one.text, &key.span(), format!("`{name}` is passed to the program"));
            faults.push(fault.suggest(format!("did you mean `{meant}`?")).warning());
        }
    }
    as_json(one, theirs, &Value::Bool(true), Subject::Host, faults)
}

type Entries<'t, 'i> = Vec<(&'t Spanned<Cow<'i, str>>, &'t Spanned<DeValue<'i>>)>;

fn as_json(
    one: &Defined<'_, '_>,
    entries: Entries<'_, '_>,
    schema: &Value,
    subject: Subject<'_>,
    faults: &mut Vec<Diagnostic>,
) -> Map<String, Value> {
    let mut walk = Walk::new(one.text, schema, subject);
    let at = one.value.span();
    let settings = Settings { entries, owner: one.key.get_ref(), at, also: &HOST_KEYS };
    let Value::Object(plain) = walk.table(schema, &settings) else { return Map::new() };
    faults.append(&mut walk.found);
    plain
}

/// The settings of a plugin, held against its own schema.
fn settings(
    sources: &Sources<'_>,
    one: &Defined<'_, '_>,
    plugin: &str,
    enabled: bool,
    theirs: Entries<'_, '_>,
    table: &DeTable<'_>,
    faults: &mut Vec<Diagnostic>,
) -> Map<String, Value> {
    let span = entry(table, "plugin").map_or_else(|| one.key.span(), |(_, value)| value.span());
    let name = if is_path(plugin) { text::shown(Path::new(plugin)).display().to_string() } else { quote(plugin) };
    let mut schema = Value::Bool(true);
    let mut missing = |fault: Diagnostic| {
        let grave = enabled && sources.missing_plugin == Level::Error;
        faults.push(if grave { fault } else { fault.warning() });
    };
    match sources.catalog.settings_schema_in(plugin, sources.directories) {
        Lookup::Schema(found) => schema = found,
        Lookup::NoSchema => {}
        Lookup::Unknown { searched, suggestion } => {
            missing(not_found(one, &span, plugin, &name, &searched, suggestion));
        }
        Lookup::Unusable(reason) => {
            let message = format!("plugin `{name}` cannot be used: {}", quote_line(&reason));
            missing(
                Diagnostic::at("E0202", one.text, &span, message)
                    .advise("build or install it anew; `headwater plugin inspect` shows what it is"),
            );
        }
        Lookup::Incompatible(reason) => {
            let message = format!("plugin `{name}` does not fit this daemon: {}", quote_line(&reason));
            missing(
                Diagnostic::at("E0203", one.text, &span, message)
                    .advise("build it anew against this version of headwater-plugin"),
            );
        }
    }
    let before = faults.len();
    let settings = as_json(one, theirs, &schema, Subject::Plugin(&name), faults);
    if !enabled {
        // It does not run: what is wrong with its settings need not stop anything else.
        for fault in &mut faults[before..] {
            fault.level = Level::Warning;
        }
    }
    settings
}

fn not_found(
    one: &Defined<'_, '_>,
    span: &Range<usize>,
    plugin: &str,
    name: &str,
    searched: &[PathBuf],
    suggestion: Option<String>,
) -> Diagnostic {
    if is_path(plugin) {
        let fault = Diagnostic::at("E0201", one.text, span, format!("plugin file {name} not found"));
        return fault.advise("a relative path starts at the directory of this file");
    }
    let fault = Diagnostic::at("E0201", one.text, span, format!("plugin `{name}` not found"));
    let fault = match suggestion {
        Some(meant) => fault.suggest(format!("did you mean `{meant}`?")),
        None => fault.label("no plugin of this name"),
    };
    let searched: Vec<String> = searched.iter().map(|dir| home(&text::shown(dir))).collect();
    fault.advise(match searched.as_slice() {
        [] => "`headwater plugin list` shows those that there are".to_owned(),
        dirs => format!("searched {}", dirs.join(", ")),
    })
}

/// A path with the home directory as `~`.
fn home(path: &Path) -> String {
    let below = std::env::var_os("HOME").and_then(|home| Some(path.strip_prefix(home).ok()?.to_owned()));
    match below {
        Some(below) => Path::new("~").join(below).display().to_string(),
        None => path.display().to_string(),
    }
}

/// A reason that came from elsewhere, on one line.
fn quote_line(reason: &str) -> String {
    reason.split_whitespace().collect::<Vec<_>>().join(" ")
}
