//! The rows of a pane's screen and the cursor: enough of a terminal to know what a line says after programs have moved
//! about in it. Rows that leave at the top go to the transcript.

use super::{
    row::{self, Row},
    transcript::Transcript,
};
use std::collections::VecDeque;

/// Columns between two tab stops.
const TAB: usize = 8;

/// The largest screen that is kept; tmux's own are smaller. It bounds what a pane costs.
pub(super) const LARGEST: (usize, usize) = (500, 1_000);

/// A place: row and column, both from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) row: usize,
    pub(super) column: usize,
}

/// A screen. It has rows as far down as something was written or the cursor was.
#[derive(Debug)]
pub(super) struct Grid {
    pub(super) rows: VecDeque<Row>,
    pub(super) cursor: Place,
    /// The last column was written: the next character goes to the next row.
    full: bool,
    saved: Place,
    height: usize,
    columns: usize,
    /// The rows that scroll, from the first up to and including the last.
    margins: (usize, usize),
    next_id: u64,
}

impl Grid {
    pub(super) fn new(height: usize, columns: usize, next_id: u64) -> Self {
        let (height, columns) = (height.clamp(1, LARGEST.0), columns.clamp(1, LARGEST.1));
        let mut grid = Self {
            rows: VecDeque::new(),
            cursor: Place::default(),
            full: false,
            saved: Place::default(),
            height,
            columns,
            margins: (0, height - 1),
            next_id,
        };
        grid.reach(0);
        grid
    }

    /// Where ids go on, for a grid that takes this one's place.
    pub(super) fn next_id(&self) -> u64 {
        self.next_id
    }

    /// Leaves ids out that another grid has given since.
    pub(super) fn skip_ids(&mut self, next_id: u64) {
        self.next_id = next_id;
    }

    /// Prints a character where the cursor is.
    #[inline]
    pub(super) fn print(&mut self, c: char, transcript: &mut Transcript) {
        let width = row::width(c);
        if width == 0 {
            let column = if self.full { self.cursor.column } else { self.cursor.column.saturating_sub(1) };
            self.rows[self.cursor.row].mark(column, c);
            return;
        }
        if self.full || self.cursor.column + width > self.columns {
            self.rows[self.cursor.row].wrapped = true;
            self.line_feed(transcript);
            self.cursor.column = 0;
        }
        // A character wider than the screen has no place in it.
        if width > self.columns {
            return;
        }
        self.rows[self.cursor.row].put(self.cursor.column, c, width);
        self.cursor.column += width;
        self.full = self.cursor.column >= self.columns;
        if self.full {
            self.cursor.column = self.columns - 1;
        }
    }

    /// One row down; at the bottom the rows scroll.
    pub(super) fn line_feed(&mut self, transcript: &mut Transcript) {
        self.full = false;
        self.rows[self.cursor.row].passed = true;
        if self.cursor.row == self.margins.1 {
            self.scroll_up(1, transcript);
        } else if self.cursor.row + 1 < self.height {
            self.cursor.row += 1;
            self.reach(self.cursor.row);
        }
    }

    /// One row up; at the top the rows scroll.
    pub(super) fn reverse_line_feed(&mut self, transcript: &mut Transcript) {
        self.full = false;
        if self.cursor.row == self.margins.0 {
            self.insert_rows(self.margins.0, 1, transcript);
        } else {
            self.cursor.row = self.cursor.row.saturating_sub(1);
        }
    }

    pub(super) fn carriage_return(&mut self) {
        self.full = false;
        self.cursor.column = 0;
    }

    pub(super) fn backspace(&mut self) {
        self.full = false;
        self.cursor.column = self.cursor.column.saturating_sub(1);
    }

    /// To the next tab stop. As in terminals, nothing is written on the way.
    pub(super) fn tab(&mut self, count: usize) {
        let stop = (self.cursor.column / TAB + count) * TAB;
        self.cursor.column = stop.min(self.columns - 1);
    }

    /// To a place, as far as there is one.
    pub(super) fn go(&mut self, row: usize, column: usize) {
        self.full = false;
        self.cursor = Place { row: row.min(self.height - 1), column: column.min(self.columns - 1) };
        self.reach(self.cursor.row);
    }

    pub(super) fn save_cursor(&mut self) {
        self.saved = self.cursor;
    }

    pub(super) fn restore_cursor(&mut self) {
        self.go(self.saved.row, self.saved.column);
    }

    /// Sets the rows that scroll; none: all of them. The cursor goes home.
    pub(super) fn set_margins(&mut self, top: usize, bottom: Option<usize>) {
        let bottom = bottom.unwrap_or(self.height - 1).min(self.height - 1);
        self.margins = if top < bottom { (top, bottom) } else { (0, self.height - 1) };
        self.go(0, 0);
    }

    /// Erases in the cursor's row: `0` right of the cursor, `1` left of it, `2` all.
    pub(super) fn erase_in_row(&mut self, what: u16) {
        self.full = false;
        let Place { row, column } = self.cursor;
        match what {
            0 => self.rows[row].erase(column, usize::MAX),
            1 => self.rows[row].erase(0, column + 1),
            2 => self.rows[row].erase(0, usize::MAX),
            _ => {}
        }
    }

    /// Erases on the screen: `0` behind the cursor, `1` before it, `2` and `3` all.
    pub(super) fn erase_in_screen(&mut self, what: u16) {
        let row = self.cursor.row;
        let rows = match what {
            0 => row + 1..self.rows.len(),
            1 => 0..row,
            2 | 3 => 0..self.rows.len(),
            _ => return,
        };
        if what < 2 {
            self.erase_in_row(what);
        }
        rows.for_each(|row| self.rows[row].erase(0, usize::MAX));
    }

    pub(super) fn erase_characters(&mut self, count: usize) {
        let Place { row, column } = self.cursor;
        self.rows[row].erase(column, column + count);
    }

    pub(super) fn insert_characters(&mut self, count: usize) {
        let Place { row, column } = self.cursor;
        self.rows[row].insert(column, count, self.columns);
    }

    pub(super) fn remove_characters(&mut self, count: usize) {
        let Place { row, column } = self.cursor;
        self.rows[row].remove(column, count);
    }

    /// Inserts empty rows at the cursor, within the rows that scroll.
    pub(super) fn insert_lines(&mut self, count: usize, transcript: &mut Transcript) {
        if (self.margins.0..=self.margins.1).contains(&self.cursor.row) {
            self.insert_rows(self.cursor.row, count, transcript);
        }
    }

    /// Takes rows away at the cursor, within the rows that scroll.
    pub(super) fn remove_lines(&mut self, count: usize, transcript: &mut Transcript) {
        if (self.margins.0..=self.margins.1).contains(&self.cursor.row) {
            self.remove_rows(self.cursor.row, count, transcript);
        }
    }

    pub(super) fn scroll_up(&mut self, count: usize, transcript: &mut Transcript) {
        self.remove_rows(self.margins.0, count, transcript);
    }

    pub(super) fn scroll_down(&mut self, count: usize, transcript: &mut Transcript) {
        self.insert_rows(self.margins.0, count, transcript);
    }

    /// Gives it another size. Rows are not broken anew: programs draw theirs again, and a line of text stays a line.
    pub(super) fn resize(&mut self, height: usize, columns: usize, transcript: &mut Transcript) {
        self.height = height.clamp(1, LARGEST.0);
        self.columns = columns.clamp(1, LARGEST.1);
        self.margins = (0, self.height - 1);
        while self.rows.len() > self.height {
            // As in tmux, rows below the cursor go first, while they are empty.
            if self.cursor.row + 1 < self.rows.len() && self.rows.back().is_some_and(|row| row.len() == 0) {
                self.rows.pop_back();
                continue;
            }
            if let Some(row) = self.rows.pop_front() {
                transcript.leave(&row);
            }
            self.cursor.row = self.cursor.row.saturating_sub(1);
        }
        self.go(self.cursor.row, self.cursor.column);
    }

    /// The last lines that are not empty, at most `most`.
    pub(super) fn tail(&self, most: usize) -> String {
        let mut lines: Vec<String> = Vec::new();
        let mut joins = false;
        for row in &self.rows {
            if !joins {
                lines.push(String::new());
            }
            if let Some(line) = lines.last_mut() {
                row.write_to(line);
            }
            joins = row.wrapped;
        }
        let full = lines.iter().map(|line| line.trim_end()).filter(|line| !line.is_empty());
        let mut last: Vec<&str> = full.rev().take(most).collect();
        last.reverse();
        last.join("\n")
    }

    /// The texts of the lines that were emitted.
    pub(super) fn shown(&self) -> impl Iterator<Item = u64> {
        self.rows.iter().filter_map(|row| row.shown)
    }

    /// Shows a text, and the cursor at a place. A line that `is_known` says was emitted is not emitted again.
    pub(super) fn show(&mut self, text: &str, cursor: (usize, usize), is_known: impl Fn(u64) -> bool) {
        self.rows.clear();
        for line in text.lines().take(self.height) {
            let mut row = Row::new(self.take_id());
            let mut column = 0;
            for c in line.chars().filter(|c| !c.is_control()) {
                let width = row::width(c);
                if width == 0 {
                    row.mark(column.max(1) - 1, c);
                } else if column + width <= self.columns {
                    row.put(column, c, width);
                    column += width;
                }
            }
            let digest = row::digest(line.trim_end_matches(' '));
            let known = is_known(digest);
            (row.touched, row.passed, row.shown) = (!known && row.touched, !known, known.then_some(digest));
            self.rows.push_back(row);
        }
        self.margins = (0, self.height - 1);
        self.go(cursor.0, cursor.1);
        self.rows.iter_mut().skip(self.cursor.row).for_each(|row| row.passed = false);
    }

    fn remove_rows(&mut self, at: usize, count: usize, transcript: &mut Transcript) {
        let bottom = self.margins.1;
        self.reach(bottom);
        for _ in 0..count.min(bottom + 1 - at) {
            let row = if at == 0 { self.rows.pop_front() } else { self.rows.remove(at) };
            let mut row = row.unwrap_or_default();
            transcript.leave(&row);
            row.renew(self.take_id());
            if bottom >= self.rows.len() { self.rows.push_back(row) } else { self.rows.insert(bottom, row) }
        }
    }

    fn insert_rows(&mut self, at: usize, count: usize, transcript: &mut Transcript) {
        let bottom = self.margins.1;
        self.reach(bottom);
        for _ in 0..count.min(bottom + 1 - at) {
            // What is pushed out below was to be read too, if it is new.
            let mut row = self.rows.remove(bottom).unwrap_or_default();
            transcript.leave(&row);
            row.renew(self.take_id());
            self.rows.insert(at, row);
        }
    }

    /// Makes rows down to this one.
    fn reach(&mut self, row: usize) {
        while self.rows.len() <= row {
            let id = self.take_id();
            self.rows.push_back(Row::new(id));
        }
    }

    fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}
