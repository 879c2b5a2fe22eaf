//! One row of a pane's screen: its characters by column. What colours they have is not kept.

use std::hash::{DefaultHasher, Hash, Hasher};
use unicode_width::UnicodeWidthChar;

/// Stands in the second column of a character that takes two.
const SECOND: char = '\0';

/// Marks (accents, joiners) kept for a row. Without a limit a program could grow a row for ever by printing only these.
const MARKS: usize = 256;

/// A row. It ends where nothing more was written; what was erased is spaces.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// Never given twice within a pane, so that a row is known again after it has moved.
    pub(super) id: u64,
    cells: Vec<char>,
    /// Characters without a width of their own, each with the column that it belongs to.
    marks: Vec<(usize, char)>,
    /// Whether something was written or erased since it was last looked at.
    pub(super) touched: bool,
    /// Whether the cursor went from here to the next row: an empty one then is an empty line, and not just unused.
    pub(super) passed: bool,
    /// Whether the text goes on in the next row, since it did not fit.
    pub(super) wrapped: bool,
    /// What was emitted of the line that begins here; absent: nothing yet.
    pub(super) shown: Option<u64>,
}

impl Row {
    /// An empty row that was never seen.
    pub(super) fn new(id: u64) -> Self {
        Self { id, ..Self::default() }
    }

    /// Makes it an empty row that was never seen, and keeps its memory.
    pub(super) fn renew(&mut self, id: u64) {
        self.id = id;
        self.cells.clear();
        self.marks.clear();
        self.touched = false;
        self.passed = false;
        self.wrapped = false;
        self.shown = None;
    }

    /// How many columns are in use.
    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    /// Writes `c`, which takes `width` columns, at `column`.
    #[inline]
    pub(super) fn put(&mut self, column: usize, c: char, width: usize) {
        self.touched = true;
        if column == self.cells.len() && width == 1 {
            self.cells.push(c);
        } else {
            self.put_over(column, c, width);
        }
    }

    fn put_over(&mut self, column: usize, c: char, width: usize) {
        self.fill_to(column + width);
        self.clear(column, column + width);
        self.cells[column] = c;
        if width == 2 {
            self.cells[column + 1] = SECOND;
        }
    }

    /// Adds a mark to the character at `column`.
    pub(super) fn mark(&mut self, column: usize, c: char) {
        if self.marks.len() < MARKS && column < self.cells.len() {
            self.touched = true;
            // On the second half of a wide character, it belongs to the whole.
            let column = if self.cells[column] == SECOND { column.saturating_sub(1) } else { column };
            self.marks.push((column, c));
        }
    }

    /// Erases the columns from `from` up to, not including, `to`.
    pub(super) fn erase(&mut self, from: usize, to: usize) {
        if from >= self.cells.len() {
            return;
        }
        self.touched = true;
        self.clear(from, to.min(self.cells.len()));
        if to >= self.cells.len() {
            self.cells.truncate(from);
            self.wrapped = false;
        }
    }

    /// Moves what stands at `column` and right of it by `count` columns to the right; what leaves the row is lost.
    pub(super) fn insert(&mut self, column: usize, count: usize, columns: usize) {
        if column < self.cells.len() {
            self.touched = true;
            self.clear(column, column);
            let blanks = std::iter::repeat_n(' ', count.min(columns - column.min(columns)));
            self.cells.splice(column..column, blanks);
            self.cells.truncate(columns);
            self.marks.retain(|(at, _)| *at < column);
        }
    }

    /// Takes `count` columns away at `column`; what stands right of them moves to the left.
    pub(super) fn remove(&mut self, column: usize, count: usize) {
        if column < self.cells.len() {
            self.touched = true;
            let to = (column + count).min(self.cells.len());
            self.clear(column, to);
            self.cells.drain(column..to);
            self.marks.retain(|(at, _)| *at < column);
        }
    }

    /// Adds its text to `out`.
    pub(super) fn write_to(&self, out: &mut String) {
        if self.marks.is_empty() {
            out.extend(self.cells.iter().filter(|c| **c != SECOND));
            return;
        }
        for (column, c) in self.cells.iter().enumerate().filter(|(_, c)| **c != SECOND) {
            out.push(*c);
            out.extend(self.marks.iter().filter(|(at, _)| *at == column).map(|(_, mark)| mark));
        }
    }

    /// Makes spaces of the columns, and of halves of wide characters that are cut.
    fn clear(&mut self, from: usize, to: usize) {
        if from > 0 && self.cells.get(from) == Some(&SECOND) {
            self.cells[from - 1] = ' ';
            self.cells[from] = ' ';
        }
        if self.cells.get(to) == Some(&SECOND) {
            self.cells[to] = ' ';
        }
        self.cells[from..to].fill(' ');
        self.marks.retain(|(at, _)| *at < from || *at >= to);
    }

    fn fill_to(&mut self, columns: usize) {
        if self.cells.len() < columns {
            self.cells.resize(columns, ' ');
        }
    }
}

/// The columns that a character takes. 0: it belongs to the one before it.
#[inline]
pub(super) fn width(c: char) -> usize {
    if c.is_ascii() { 1 } else { c.width().unwrap_or(0) }
}

/// What stands for a line's text when it is compared with what was emitted.
pub(super) fn digest(line: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    line.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str) -> Row {
        let mut row = Row::new(0);
        let mut column = 0;
        for c in text.chars() {
            match width(c) {
                0 => row.mark(column - 1, c),
                width => {
                    row.put(column, c, width);
                    column += width;
                }
            }
        }
        row
    }

    fn text(row: &Row) -> String {
        let mut text = String::new();
        row.write_to(&mut text);
        text
    }

    #[test]
    fn characters_stand_in_their_columns() {
        let mut row = row("abc");
        row.put(1, 'X', 1);
        row.put(5, 'Y', 1);
        assert_eq!(text(&row), "aXc  Y");
        row.erase(2, 4);
        assert_eq!(text(&row), "aX   Y");
        row.erase(2, usize::MAX);
        assert_eq!(text(&row), "aX");
        row.insert(0, 2, 3);
        assert_eq!(text(&row), "  a");
        row.remove(0, 2);
        assert_eq!(text(&row), "a");
    }

    #[test]
    fn half_of_a_wide_character_is_none() {
        let mut row = row("a漢b");
        assert_eq!(text(&row), "a漢b");
        row.put(2, 'x', 1);
        assert_eq!(text(&row), "a xb", "the second half was written over");
        let mut row = self::row("a漢b");
        row.put(1, 'x', 1);
        assert_eq!(text(&row), "ax b", "the first half was");
        let mut row = self::row("漢漢");
        row.remove(1, 2);
        assert_eq!(text(&row), "  ");
    }

    #[test]
    fn accents_stay_with_their_letters() {
        let mut row = row("e\u{301}a");
        assert_eq!(text(&row), "e\u{301}a");
        row.put(0, 'o', 1);
        assert_eq!(text(&row), "oa");
        (0..1000).for_each(|_| row.mark(0, '\u{301}'));
        assert_eq!(text(&row).chars().count(), 2 + MARKS);
    }
}
