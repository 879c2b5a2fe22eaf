//! Text from elsewhere on a terminal: what could steer the terminal is made visible, widths are counted in cells.
//!
//! Events carry what programs and people wrote, pane contents included. Printed raw, an escape sequence in them could
//! rename the window, fake lines, or write to the clipboard, and a bidi character could show a command backwards.

use std::{borrow::Cow, fmt::Write};

/// The text with every control, bidi and invisible character replaced by a visible form: `␛` for the escape
/// character, `<202e>` for a right-to-left override. The result has one line.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            // Control pictures: one cell each, and no way back to the control.
            '\0'..='\x1f' => out.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('␦')),
            '\x7f' => out.push('␡'),
            c if steers(c) => write!(out, "<{:04x}>", u32::from(c)).expect("invariant: a String takes all"),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// As [`visible`], but with lines: for texts that are known to have them, such as a config error with its caret.
pub(crate) fn visible_lines(text: &str) -> String {
    text.lines().map(visible).collect::<Vec<_>>().join("\n")
}

/// JSON for a terminal: the same value, with what could steer the terminal written as `\u` escapes.
pub(crate) fn visible_json(json: &str) -> Cow<'_, str> {
    if !json.chars().any(steers) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 8);
    for c in json.chars() {
        // In JSON such a character stands in a string, where an escape means the same; between tokens there is white
        // space at most, which a space replaces.
        match c {
            '\t' | '\n' | '\r' => out.push(' '),
            c if steers(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}").expect("invariant: a String takes all");
                }
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Controls, direction marks and what has no width but changes what is read.
fn steers(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}'
        | '\u{ad}' | '\u{61c}' | '\u{180e}'
        | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

/// How many cells a text takes on a terminal, as terminals commonly count: wide East Asian characters and emoji take
/// two, combining marks none.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(cells).sum()
}

fn cells(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36f | 0x200c..=0x200d | 0x20d0..=0x20ff | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f680..=0x1f6ff
        | 0x1f900..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// The text, cut to so many cells with `…` as its last when it is longer.
pub(crate) fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if width(text) <= most {
        return Cow::Borrowed(text);
    }
    let mut left = most.saturating_sub(1);
    let mut out = String::new();
    for c in text.chars() {
        let cells = cells(c);
        if cells > left {
            break;
        }
        left -= cells;
        out.push(c);
    }
    if most > 0 {
        out.push('…');
    }
    Cow::Owned(out)
}

/// A count of bytes for people: `512 B`, `12.3 KiB`.
pub(crate) fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_gets_through() {
        // An OSC 52 sequence that would write to the clipboard, in both spellings of the control.
        assert_eq!(visible("\x1b]52;c;aGk=\x07"), "␛]52;c;aGk=␇");
        assert_eq!(visible("\u{9b}31m"), "<009b>31m");
        assert_eq!(visible("rm \u{202e}fdp"), "rm <202e>fdp");
        assert_eq!(visible("a\r\nb\tc\x7f"), "a␍␊b␉c␡");
        assert_eq!(visible("grün 日本 🎉"), "grün 日本 🎉");
        for c in '\0'..='\u{10ffff}' {
            let shown = visible(c.encode_utf8(&mut [0; 4])).into_owned();
            assert!(!shown.chars().any(char::is_control), "{:x} shows as {shown:?}", u32::from(c));
        }
    }

    #[test]
    fn json_stays_the_same_value() {
        let json = "{\"a\":\t\"\u{202e}x\u{9b}\u{e0041}\"}";
        let shown = visible_json(json);
        assert_eq!(shown, r#"{"a": "\u202ex\u009b\udb40\udc41"}"#);
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&shown), read(json));
    }

    #[test]
    fn widths_and_cuts() {
        assert_eq!((width("abc"), width("日本"), width("e\u{301}"), width("→ …")), (3, 4, 1, 3));
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abc", 0), "");
    }

    #[test]
    fn sizes() {
        assert_eq!(
            (size(0), size(1023), size(1536), size(5 << 30)),
            ("0 B".into(), "1023 B".into(), "1.5 KiB".into(), "5.0 GiB".into())
        );
    }
}
