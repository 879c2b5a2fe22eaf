//! A file's text with the name it is shown by, and places in it.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

/// One file as it was read. Cheap to clone: every fault in it holds one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    /// The path, relative to the current directory when below it.
    pub(crate) shown: Arc<Path>,
    /// What it contains.
    pub(crate) text: Arc<str>,
}

impl Text {
    /// Names and takes a text.
    pub(crate) fn new(path: &Path, text: impl Into<Arc<str>>) -> Self {
        Self { shown: shown(path).into(), text: text.into() }
    }

    /// Line and column, from 1, of a byte. Columns count characters.
    pub(crate) fn place(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..self.floor(offset)];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.matches('\n').count() + 1;
        // A byte order mark is no character that anyone sees.
        (line, before[line_start..].trim_start_matches('\u{feff}').chars().count() + 1)
    }

    /// The part of `span` on its first line, on character boundaries: carets under more than a line say nothing.
    pub(crate) fn first_line(&self, span: &Range<usize>) -> Range<usize> {
        let start = self.floor(span.start);
        let line_end = self.text[start..].find(['\n', '\r']).map_or(self.text.len(), |at| start + at);
        start..self.floor(span.end).clamp(start, line_end)
    }

    /// The largest character boundary up to `offset`.
    fn floor(&self, offset: usize) -> usize {
        self.text.floor_char_boundary(offset.min(self.text.len()))
    }
}

/// `path` relative to the current directory when it is below it, and as it stands otherwise.
pub(crate) fn shown(path: &Path) -> PathBuf {
    let relative = std::env::current_dir().ok().and_then(|here| Some(path.strip_prefix(here).ok()?.to_owned()));
    match relative {
        Some(relative) if !relative.as_os_str().is_empty() => relative,
        _ => path.strip_prefix(".").unwrap_or(path).to_owned(),
    }
}

/// A key or value for a message: short, and without characters that would move a terminal's cursor.
pub(crate) fn quote(raw: &str) -> String {
    const LONGEST: usize = 60;
    match raw.char_indices().nth(LONGEST) {
        Some((end, _)) => visible(&raw[..end]) + "…",
        None => visible(raw),
    }
}

/// A text with its control characters, and those that turn the direction of writing, made visible.
pub(crate) fn visible(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for c in raw.chars() {
        let hidden =
            matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if hidden || c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters() {
        let text = Text::new(Path::new("a.toml"), "ab\nä = 1\n");
        assert_eq!(text.place(0), (1, 1));
        assert_eq!(text.place(3), (2, 1));
        assert_eq!(text.place(5), (2, 2), "ä is two bytes and one column");
        assert_eq!(text.place(4), (2, 1), "inside ä counts as its start");
        assert_eq!(text.place(999), (3, 1));
    }

    #[test]
    fn a_byte_order_mark_takes_no_column() {
        assert_eq!(Text::new(Path::new("a"), "\u{feff}x = 1").place(3), (1, 1));
    }

    #[test]
    fn paths_are_shown_as_people_would_type_them() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(shown(&here.join("config/headwater.toml")), Path::new("config/headwater.toml"));
        assert_eq!(shown(Path::new("./headwater.toml")), Path::new("headwater.toml"));
        assert_eq!(shown(Path::new("/etc/headwater.toml")), Path::new("/etc/headwater.toml"));
        assert_eq!(shown(Path::new("../headwater.toml")), Path::new("../headwater.toml"));
        assert_eq!(shown(&here), here);
    }

    #[test]
    fn spans_end_with_their_line() {
        let text = Text::new(Path::new("a.toml"), "a = [\r\n1]\n");
        assert_eq!(text.first_line(&(4..9)), 4..5);
        assert_eq!(text.first_line(&(0..1)), 0..1);
        assert_eq!(text.first_line(&(50..60)), 10..10);
    }

    #[test]
    fn control_characters_are_made_visible() {
        assert_eq!(quote("a\u{1b}[31m\u{202e}"), "a\\u{1b}[31m\\u{202e}");
        assert_eq!(quote(&"x".repeat(100)).chars().count(), 61);
    }
}
