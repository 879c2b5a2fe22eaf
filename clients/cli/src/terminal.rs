//! What is known of the standard output: a terminal or not, how wide, with colours or without.

use crate::{ColorChoice, Style};
use std::io::IsTerminal;

/// Where nothing says how wide a terminal is: the width that every terminal has.
const WIDTH: usize = 80;

/// The facts that decide how output looks.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// People read it: tables and lines for the eye. Otherwise programs do, and it is NDJSON.
    pub human: bool,
    /// A terminal shows it: what could steer one is made visible.
    pub shown: bool,
    /// Cells of a line.
    pub width: usize,
    /// Colours.
    pub style: Style,
}

impl Terminal {
    /// Looks at the standard output.
    pub fn of_stdout(color: ColorChoice, json: bool) -> Self {
        let stdout = std::io::stdout();
        let shown = stdout.is_terminal();
        let width = rustix::termios::tcgetwinsize(&stdout).map_or(0, |size| usize::from(size.ws_col));
        let width = if width == 0 { WIDTH } else { width };
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let colored = match color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => shown && !plain,
        };
        Self { human: shown && !json, shown, width, style: Style { colored } }
    }
}

/// The columns and rows of the terminal that shows standard output, now: people resize it.
pub(crate) fn size() -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col.into(), size.ws_row.into()))
}
