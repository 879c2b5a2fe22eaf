//! What control characters and escape sequences do: to the screen, and beside it. The parser calls it; whatever it does
//! not know (colours, modes, keyboards, images) has no text.

use super::{grid::Grid, signals::Signals, transcript::Transcript};
use std::collections::HashSet;
use vte::{Params, Perform};

/// The most that a `repeat the last character` is followed for.
const REPEATS: usize = 1_000;

/// A title in the way of `screen` ends after this many characters even when nothing ends it.
const SCREEN_TITLE: usize = 256;

/// A pane's terminal.
#[derive(Debug)]
pub(super) struct Terminal {
    pub(super) grid: Grid,
    /// The screen that comes back when the program leaves its own.
    parked: Option<Grid>,
    pub(super) transcript: Transcript,
    pub(super) signals: Signals,
    size: (usize, usize),
    /// Letters are lines and corners.
    line_drawing: bool,
    /// Characters still to be left out: they are a title in the way of `screen`.
    in_title: usize,
    last: char,
    /// The screen was taken over once.
    synced: bool,
}

impl Terminal {
    pub(super) fn new(size: (usize, usize), transcript: Transcript) -> Self {
        Self {
            grid: Grid::new(size.0, size.1, 0),
            parked: None,
            transcript,
            signals: Signals::default(),
            size,
            line_drawing: false,
            in_title: 0,
            last: ' ',
            synced: false,
        }
    }

    pub(super) fn resize(&mut self, height: usize, columns: usize) {
        self.size = (height, columns);
        self.grid.resize(height, columns, &mut self.transcript);
        if let Some(parked) = &mut self.parked {
            parked.resize(height, columns, &mut self.transcript);
        }
    }

    /// Takes over what is shown. Whether any of it may be new: at first nothing is.
    pub(super) fn resync(&mut self, shown: &str, cursor: (usize, usize)) -> bool {
        self.transcript.read(&mut self.grid);
        let known: HashSet<u64> = self.grid.shown().collect();
        let first = !std::mem::replace(&mut self.synced, true) && known.is_empty();
        self.transcript.cut();
        self.line_drawing = false;
        self.in_title = 0;
        self.grid.show(shown, cursor, |line| first || known.contains(&line));
        !first
    }

    /// Goes to the screen of a program that takes all of it, or back.
    fn switch(&mut self, own: bool) {
        if own == self.parked.is_some() {
            return;
        }
        self.transcript.read(&mut self.grid);
        let next_id = self.grid.next_id();
        if let Some(mut parked) = self.parked.take() {
            parked.skip_ids(next_id);
            self.grid = parked;
        } else {
            let grid = Grid::new(self.size.0, self.size.1, next_id);
            self.parked = Some(std::mem::replace(&mut self.grid, grid));
        }
    }

    fn modes(&mut self, params: &Params, on: bool) {
        for param in params {
            match param {
                [47 | 1047] => self.switch(on),
                [1049] => {
                    if on {
                        self.grid.save_cursor();
                    }
                    self.switch(on);
                    if !on {
                        self.grid.restore_cursor();
                    }
                }
                _ => {}
            }
        }
    }
}

impl Perform for Terminal {
    #[inline]
    fn print(&mut self, c: char) {
        if self.in_title > 0 {
            self.in_title -= 1;
            return;
        }
        // DEL shows nothing.
        if c == '\x7f' {
            return;
        }
        let c = if self.line_drawing { drawn(c) } else { c };
        self.last = c;
        self.grid.print(c, &mut self.transcript);
    }

    #[inline]
    fn execute(&mut self, byte: u8) {
        self.in_title = 0;
        match byte {
            b'\n' | 0x0B | 0x0C | 0x84 => self.grid.line_feed(&mut self.transcript),
            b'\r' => self.grid.carriage_return(),
            0x08 => self.grid.backspace(),
            b'\t' => self.grid.tab(1),
            0x07 => self.signals.bell(),
            0x85 => {
                self.grid.carriage_return();
                self.grid.line_feed(&mut self.transcript);
            }
            0x8D => self.grid.reverse_line_feed(&mut self.transcript),
            _ => {}
        }
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], _bell_terminated: bool) {
        self.signals.osc(params);
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        if ignore {
            return;
        }
        if intermediates == b"?" {
            match action {
                'h' => self.modes(params, true),
                'l' => self.modes(params, false),
                _ => {}
            }
            return;
        }
        if !intermediates.is_empty() {
            return;
        }
        let param = |index: usize| params.iter().nth(index).and_then(|param| param.first()).copied().unwrap_or(0);
        let count = usize::from(param(0).max(1));
        let second = usize::from(param(1).max(1));
        let at = self.grid.cursor;
        let (grid, transcript) = (&mut self.grid, &mut self.transcript);
        match action {
            'A' => grid.go(at.row.saturating_sub(count), at.column),
            'B' | 'e' => grid.go(at.row + count, at.column),
            'C' | 'a' => grid.go(at.row, at.column + count),
            'D' => grid.go(at.row, at.column.saturating_sub(count)),
            'E' => grid.go(at.row + count, 0),
            'F' => grid.go(at.row.saturating_sub(count), 0),
            'G' | '`' => grid.go(at.row, count - 1),
            'H' | 'f' => grid.go(count - 1, second - 1),
            'd' => grid.go(count - 1, at.column),
            'I' => grid.tab(count),
            'J' => grid.erase_in_screen(param(0)),
            'K' => grid.erase_in_row(param(0)),
            'L' => grid.insert_lines(count, transcript),
            'M' => grid.remove_lines(count, transcript),
            'P' => grid.remove_characters(count),
            '@' => grid.insert_characters(count),
            'X' => grid.erase_characters(count),
            'S' => grid.scroll_up(count, transcript),
            'T' => grid.scroll_down(count, transcript),
            'r' => grid.set_margins(count - 1, params.iter().nth(1).is_some_and(|p| p != [0]).then(|| second - 1)),
            's' => grid.save_cursor(),
            'u' => grid.restore_cursor(),
            'b' => (0..count.min(REPEATS)).for_each(|_| grid.print(self.last, transcript)),
            _ => {}
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], _ignore: bool, byte: u8) {
        self.in_title = 0;
        match (intermediates, byte) {
            ([], b'D') => self.grid.line_feed(&mut self.transcript),
            ([], b'E') => {
                self.grid.carriage_return();
                self.grid.line_feed(&mut self.transcript);
            }
            ([], b'M') => self.grid.reverse_line_feed(&mut self.transcript),
            ([], b'7') => self.grid.save_cursor(),
            ([], b'8') => self.grid.restore_cursor(),
            ([], b'k') => self.in_title = SCREEN_TITLE,
            ([], b'c') => {
                self.switch(false);
                self.transcript.read(&mut self.grid);
                self.grid = Grid::new(self.size.0, self.size.1, self.grid.next_id());
                self.line_drawing = false;
            }
            ([b'('], charset) => self.line_drawing = charset == b'0',
            _ => {}
        }
    }
}

/// What a letter of the line drawing set looks like.
fn drawn(c: char) -> char {
    const DRAWN: [char; 31] = [
        '◆', '▒', '␉', '␌', '␍', '␊', '°', '±', '␤', '␋', '┘', '┐', '┌', '└', '┼', '⎺', '⎻', '─', '⎼', '⎽', '├', '┤',
        '┴', '┬', '│', '≤', '≥', 'π', '≠', '£', '·',
    ];
    (c as usize).checked_sub(0x60).and_then(|index| DRAWN.get(index)).copied().unwrap_or(c)
}
