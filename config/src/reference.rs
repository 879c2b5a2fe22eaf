//! `docs/config.md`: the reference of the config, written from the schema.

use crate::{
    codes::CODES,
    outline::{self, Entry, Section},
};
use std::fmt::Write;

const HEAD: &str = r#"<!-- Written by headwater_config::reference(); UPDATE_EXPECT=1 cargo test -p headwater-config writes it anew. -->

# The config

The config is one TOML file, `headwater.toml`, and any number of files in `sources.d` beside it. `headwater up --config PATH`
names the main file; without the option it is `~/.config/headwater/headwater.toml`, and when that does not exist, the defaults
and a `metrics` source run. [`config/headwater.toml`](../config/headwater.toml) holds every option with its default.

- **`headwater.toml`** holds the sections below and sources. `[[…]]` stands for a table that there may be any number of.
- **`sources.d/*.toml`** hold `[source.NAME]` tables and nothing else, so that a package or a script can add a source without
  touching your file. Hidden files do not count. A source defined twice is an error.
- **Durations** are a number and a unit: `"250ms"`, `"5s"`, `"1.5m"`, `"1h 30m"`; the units are us, ms, s, m, h and d.
- **Sizes** are a number and a unit: `"64KiB"`, `"8MiB"` (1,024 each), `"10MB"` (1,000 each), or a plain number of bytes.
- **Relative paths** start at the directory of the file that they stand in. `~/` is your home directory.
- **Editors** complete and check the file when its first line is `#:schema ./headwater.schema.json`;
  `headwater schema config` prints that schema.

## Changing it while the daemon runs

Save the file. The daemon notices (also when an editor renames a new file over it, or a link is swapped), checks everything, and
then applies all of it or nothing. `headwater reload`, `SIGHUP` and `POST /v1/reload` do the same at once. Only sources whose
table changed are started anew; no client is disconnected. What changed is logged, answered and published on `system_events`:

```
~ source.metrics.interval 1s → 5s
+ source.disk
- source.clock
~ gateway.listen 127.0.0.1:8765 → 127.0.0.1:9000 (needs a restart)
```

Sources, webhooks and `log.level` take effect at once. What else the daemon is made of (the other sections) takes effect when it is started
anew, and the diff says so. Values whose name says token, secret, password or key are not shown.

When something is wrong, the running config stays, and all faults are told at once, each with a code, its place and what to do:

```
error[E0204]: unknown key `intervall` in the settings of plugin `metrics`
  --> config/headwater.toml:10:1
   |
10 | intervall = "1s"
   | ^^^^^^^^^ did you mean `interval`?
```

`headwater check` does the same without a daemon (exit code 78), and `headwater diff` shows what a reload would change.
`headwater source enable NAME` and `disable NAME` edit the file and keep your comments. A source that no file mentions gets its
table where that stands commented out, otherwise at the end; a name that no plugin has is refused with those that there are
(exit code 78).
"#;

const SOURCES: &str = r#"
## `[source.NAME]`

One source: a plugin or a program, what it may do, and its settings. The name (letters, digits and `_ - .`, at most 64) stands in
events, logs and commands. The keys below are the host's. **Every other key is a setting of the plugin** and is checked against
the plugin's own schema; `headwater plugin inspect NAME` prints it.

```toml
[source.metrics]            # the plugin of that name
interval = "1s"             # its own setting

[source.clock]              # a program that writes one JSON event per line
exec = ["python3", "clock.py"]
channels = ["clock"]
```

A source with `enabled = false` is still checked, but a missing plugin, or a mistake in its settings, is only a warning.
"#;

const CODES_HEAD: &str = r"
## Codes

| code | meaning |
|---|---|
";

/// The reference of the config as Markdown.
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    for Section { header, description, options, .. } in outline::sections() {
        let _ = write!(text, "\n## `{header}`\n\n{description}\n\n");
        table(&mut text, &options);
    }
    text.push_str(SOURCES);
    text.push('\n');
    table(&mut text, &outline::source_options());
    text.push_str(CODES_HEAD);
    for (code, meaning) in CODES {
        let _ = writeln!(text, "| {code} | {meaning} |");
    }
    text
}

fn table(text: &mut String, options: &[Entry]) {
    text.push_str("| key | value | default | |\n|---|---|---|---|\n");
    for entry in options {
        let kind = match &entry.range {
            Some(range) => format!("{}, {range}", entry.kind),
            None => entry.kind.clone(),
        };
        let default =
            entry.default.as_ref().map_or("–".to_owned(), |value| format!("`{}`", crate::toml_text::value(value)));
        let example = match (&entry.default, &entry.example) {
            (None, Some(example)) => format!(" For example `{}`.", crate::toml_text::value(example)),
            _ => String::new(),
        };
        let cell = format!("{}{example}", entry.description).replace('|', "\\|");
        let _ = writeln!(text, "| `{}` | {kind} | {default} | {cell} |", entry.key);
    }
}
