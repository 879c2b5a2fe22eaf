//! Where the table of a new source goes in a config: where it stands commented out, otherwise at the end. It is put there
//! as text: to an editor of TOML comments belong to what follows them, and it puts a new table before the comments at the
//! end of the one above, which are about that.

use toml::{Table, Value};
use toml_edit::Key;

/// The text of a config, which is TOML, with `[source.NAME]` in it and nothing else changed; nothing where a table of its
/// own cannot be added, such as to `source = { … }`.
pub(crate) fn with_source(text: &str, name: &str) -> Option<String> {
    let mut wanted: Table = text.parse().ok()?;
    let sources = wanted.entry("source").or_insert_with(|| Value::Table(Table::new()));
    sources.as_table_mut()?.insert(name.to_owned(), Value::Table(Table::new()));
    let header = format!("[source.{}]", Key::new(name));
    // A line of a text in quotes may look like a comment, and keys that follow one would change their table.
    let is_wanted = |text: &String| text.parse::<Table>().is_ok_and(|table| table == wanted);
    uncommented(text, &header).into_iter().chain([appended(text, &header)]).find(is_wanted)
}

/// The text with the first commented header in place of its comment.
fn uncommented(text: &str, header: &str) -> Option<String> {
    let is_header = |line: &&str| line.trim_start().strip_prefix('#').is_some_and(|comment| comment.trim() == header);
    let line = text.split_inclusive('\n').find(is_header)?;
    let at = line.as_ptr() as usize - text.as_ptr() as usize;
    let end = if line.ends_with('\n') { "\n" } else { "" };
    Some(format!("{}{header}{end}{}", &text[..at], &text[at + line.len()..]))
}

fn appended(text: &str, header: &str) -> String {
    let between = match text {
        "" => "",
        text if text.ends_with("\n\n") => "",
        text if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    format!("{text}{between}{header}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(text: &str, name: &str) -> String {
        with_source(text, name).unwrap()
    }

    /// Harm prevented: who takes the mark from a commented option of one source sets it for another.
    #[test]
    fn a_table_goes_behind_the_comments_of_the_one_before() {
        let text = "[source.metrics]\ninterval = \"1s\"\n\n# How often.\n#poll = \"5s\"\n";
        assert_eq!(placed(text, "tmux"), format!("{text}\n[source.tmux]\n"));
        assert_eq!(placed("", "tmux"), "[source.tmux]\n");
        assert_eq!(placed("[a]", "tmux"), "[a]\n\n[source.tmux]\n");
        assert_eq!(placed("[a]\n\n", "a.b"), "[a]\n\n[source.\"a.b\"]\n");
        assert_eq!(placed("source.a.plugin = 'x'\n", "b"), "source.a.plugin = 'x'\n\n[source.b]\n");
    }

    #[test]
    fn a_table_that_is_commented_out_stands_there_then() {
        let text = "[source.a]\n\n# Panes.\n# [source.tmux]\n#mode = \"poll\"\n\n[gateway]\nport = 1\n";
        assert_eq!(placed(text, "tmux"), text.replace("# [source.tmux]", "[source.tmux]"));
        let default = crate::default_file();
        for name in ["tmux", "agents"] {
            let header = format!("[source.{name}]\n");
            assert_eq!(placed(&default, name), default.replace(&format!("#{header}"), &header));
        }
    }

    /// What stands below the comment belongs to the table above it, and what looks like a comment may be none.
    #[test]
    fn nothing_else_changes_its_meaning() {
        for text in ["[source.a]\n#[source.tmux]\npath = '/'\n", "[source.a]\nx = '''\n#[source.tmux]\n'''\n"] {
            assert_eq!(placed(text, "tmux"), format!("{text}\n[source.tmux]\n"));
        }
        assert_eq!(with_source("source = { a = {} }\n", "b"), None);
        assert_eq!(with_source("source = 7\n", "b"), None);
    }
}
