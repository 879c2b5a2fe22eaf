//! `notify` in Codex's `config.toml`: the program that it runs at the end of each turn. There is one place for it, so a
//! program that somebody else put there stays.

use super::program::binary_in;
use std::path::PathBuf;
use toml_edit::{Array, Document, DocumentMut, Item, TomlError, Value, value};

const NOTIFY: &str = "notify";

/// Whose program it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Notified {
    /// None is set.
    Nobody,
    /// Ours, of some installation.
    Ours { binary: PathBuf, arguments: Vec<String> },
    /// Another program's: what it says, as far as it can be read.
    Other(String),
}

/// Who is told now.
pub(super) fn notified(text: &str) -> Result<Notified, String> {
    Ok(of(&parse(text)?))
}

/// The text with our program, where the place is free; otherwise the same text.
pub(super) fn install(text: &str, arguments: &[String]) -> Result<String, String> {
    let mut document = parse(text)?;
    if matches!(of(&document), Notified::Other(_)) {
        // To write a document again would end a last line that has no end.
        return Ok(text.to_owned());
    }
    let list = || arguments.iter().collect::<Array>();
    match of(&document) {
        Notified::Ours { arguments: present, .. } if present == arguments => return Ok(text.to_owned()),
        Notified::Other(_) => {}
        Notified::Ours { .. } => {
            if let Some(Item::Value(place)) = document.get_mut(NOTIFY) {
                let decor = place.decor().clone();
                *place = Value::from(list());
                *place.decor_mut() = decor;
            }
        }
        Notified::Nobody => {
            document.insert(NOTIFY, value(list()));
        }
    }
    Ok(document.to_string())
}

/// The text without our program: its lines are cut out, and what stands above them stays.
pub(super) fn uninstall(text: &str) -> Result<String, String> {
    if !matches!(notified(text)?, Notified::Ours { .. }) {
        return Ok(text.to_owned());
    }
    let document = Document::parse(text).map_err(|error| broken(&error))?;
    let place = document.get_key_value(NOTIFY).and_then(|(key, item)| Some((key.span()?, item.span()?)));
    let (key, value) = place.expect("invariant: what was read from a text has a place in it");
    let start = text[..key.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[value.end..].find('\n').map_or(text.len(), |at| value.end + at + 1);
    Ok([&text[..start], &text[end..]].concat())
}

fn of(document: &DocumentMut) -> Notified {
    let Some(item) = document.get(NOTIFY) else { return Notified::Nobody };
    let words = item.as_array().map(|array| array.iter().map(|word| word.as_str().map(str::to_owned)));
    match words.and_then(Iterator::collect::<Option<Vec<String>>>) {
        Some(arguments) => match binary_in(&arguments) {
            Some(binary) => Notified::Ours { binary, arguments },
            None => Notified::Other(arguments.join(" ")),
        },
        None => Notified::Other(item.to_string().trim().to_owned()),
    }
}

fn parse(text: &str) -> Result<DocumentMut, String> {
    text.parse().map_err(|error| broken(&error))
}

fn broken(error: &TomlError) -> String {
    format!("it is no TOML: {}", error.to_string().trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Vec<String> {
        ["/bin/headwater", "hook", "run", "codex_notify"].map(str::to_owned).to_vec()
    }

    #[test]
    fn comments_stay_and_the_way_back_is_exact() {
        for text in [
            "",
            "# mine\nmodel = \"m1\"   # best\n\n# servers\n[mcp_servers.x]\ncommand = \"y\"\n",
            "# only tables\n[tui]\nnotifications = true\n",
            "model = \"m1\"",
        ] {
            let installed = install(text, &ours()).unwrap();
            assert!(installed.contains(r#"notify = ["/bin/headwater", "hook", "run", "codex_notify"]"#), "{installed}");
            assert_eq!(install(&installed, &ours()).unwrap(), installed);
            let table = installed.parse::<DocumentMut>().unwrap();
            assert!(table.get(NOTIFY).is_some_and(Item::is_array), "at the root, before all tables: {installed}");
            let back = uninstall(&installed).unwrap();
            assert_eq!(back.trim_end(), text.trim_end(), "{installed}");
        }
    }

    /// What people have written around our line since is theirs.
    #[test]
    fn comments_around_our_line_stay() {
        let ours = r#"notify = ["/bin/headwater", "hook", "run", "codex_notify"]"#;
        for (text, left) in [
            (
                format!("# my codex\n\n# tell the bus\n{ours}  # each turn\nmodel = \"m\"\n"),
                "# my codex\n\n# tell the bus\nmodel = \"m\"\n",
            ),
            (format!("model = \"m\"\n  {ours}"), "model = \"m\"\n"),
            (format!("# a\n{ours}\n# b\n[tui]\nx = 1\n"), "# a\n# b\n[tui]\nx = 1\n"),
            (
                "# a\nnotify = [\n  \"headwater\", # ours\n  \"hook\", \"run\",\n  \"codex_notify\",\n]\n# b\n"
                    .to_owned(),
                "# a\n# b\n",
            ),
        ] {
            assert_eq!(uninstall(&text).unwrap(), left, "{text}");
        }
    }

    #[test]
    fn another_program_stays_and_another_installation_is_replaced() {
        let other = "notify = [\"notify-send\", \"Codex\"] # mine\n";
        assert_eq!((install(other, &ours()).unwrap().as_str(), uninstall(other).unwrap().as_str()), (other, other));
        assert_eq!(notified("notify = 3").unwrap(), Notified::Other("3".into()));
        assert_eq!(notified(other).unwrap(), Notified::Other("notify-send Codex".into()));
        let endless = other.trim_end();
        assert_eq!((install(endless, &ours()).unwrap(), uninstall(endless).unwrap()), (endless.into(), endless.into()));
        let old = "notify = [\"/old/headwater\", \"hook\", \"run\", \"codex_notify\"] # bus\nmodel = \"m\"\n";
        let new = install(old, &ours()).unwrap();
        assert_eq!(new, old.replace("/old/", "/bin/"));
        assert!(notified("a = [").unwrap_err().contains("no TOML"));
    }
}
