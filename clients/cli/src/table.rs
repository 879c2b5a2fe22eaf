//! Tables for people: aligned, and no wider than the terminal.

use crate::{
    Style,
    text::{cut, visible, width},
};
use std::borrow::Cow;

/// Cells between two columns.
const GAP: usize = 2;
/// A column is not cut below this; a narrower terminal gets lines that wrap.
const NARROWEST: usize = 6;

/// Where a column's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// What of a text is left where it is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// Its beginning.
    Start,
    /// Its last word, and as much of the others as there is room for: in `mobile-app:0 %9` it is the `%9` that leads there.
    End,
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its heading.
    pub name: &'static str,
    /// Where its text stands.
    pub align: Align,
    kept: Kept,
}

impl Column {
    /// A column of text.
    pub const fn text(name: &'static str) -> Self {
        Self { name, align: Align::Left, kept: Kept::Start }
    }

    /// A column of places, of which the end says the most: `session:1 %3`.
    pub(crate) const fn place(name: &'static str) -> Self {
        Self { name, align: Align::Left, kept: Kept::End }
    }

    /// A column of numbers.
    pub const fn number(name: &'static str) -> Self {
        Self { name, align: Align::Right, kept: Kept::Start }
    }
}

/// Rows under headings.
#[derive(Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; what could steer the terminal is made visible.
    ///
    /// # Panics
    /// When the row has another number of cells than the table has columns.
    pub fn row(&mut self, cells: &[&str]) {
        assert_eq!(cells.len(), self.columns.len(), "invariant: a row has one cell for each column");
        self.rows.push(cells.iter().map(|cell| visible(cell).into_owned()).collect());
    }

    /// The lines, headings first. Columns that are empty in every row are left out; when the rest is too wide, the
    /// widest columns of text are cut.
    pub fn lines(&self, most: usize, style: Style) -> Vec<String> {
        let kept: Vec<usize> =
            (0..self.columns.len()).filter(|&i| self.rows.iter().any(|row| !row[i].is_empty())).collect();
        let widths = self.widths(&kept, most);
        let heading = self.columns.iter().map(|column| column.name.to_owned()).collect::<Vec<_>>();
        let mut lines = vec![style.dim(self.line(&heading, &kept, &widths))];
        lines.extend(self.rows.iter().map(|row| self.line(row, &kept, &widths)));
        lines
    }

    fn widths(&self, kept: &[usize], most: usize) -> Vec<usize> {
        let widest =
            |&i: &usize| self.rows.iter().map(|row| width(&row[i])).max().unwrap_or(0).max(width(self.columns[i].name));
        let mut widths: Vec<usize> = kept.iter().map(widest).collect();
        let room = most.saturating_sub(GAP * kept.len().saturating_sub(1));
        while widths.iter().sum::<usize>() > room {
            // Numbers are not cut: half a number is a wrong number.
            let text = kept.iter().enumerate().filter(|(_, i)| self.columns[**i].align == Align::Left);
            let Some(at) = text.map(|(at, _)| at).max_by_key(|&at| widths[at]) else { break };
            if widths[at] <= NARROWEST {
                break;
            }
            widths[at] -= 1;
        }
        widths
    }

    fn line(&self, cells: &[String], kept: &[usize], widths: &[usize]) -> String {
        let mut line = String::new();
        for (&column, &room) in kept.iter().zip(widths) {
            let text = match self.columns[column].kept {
                Kept::Start => cut(&cells[column], room),
                Kept::End => cut_inside(&cells[column], room),
            };
            let space = " ".repeat(room - width(&text));
            match self.columns[column].align {
                Align::Left => line.extend([&*text, &space]),
                Align::Right => line.extend([&*space, &text]),
            }
            line.push_str("  ");
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// Cuts before the last colon, or if there is no room either, before the last word: `mobile-app…:0 %9`, `%9`.
fn cut_inside(text: &str, most: usize) -> Cow<'_, str> {
    if width(text) <= most {
        return Cow::Borrowed(text);
    }
    let word = text.rfind(' ').map_or(0, |at| at + 1);
    let ends = [text.rfind(':').filter(|&at| at > 0), Some(word.saturating_sub(1)).filter(|&at| at > 0)];
    // At least one letter and the mark stand before it.
    match ends.into_iter().flatten().find(|&end| width(&text[end..]) + 2 <= most) {
        Some(end) => Cow::Owned(format!("{}{}", cut(&text[..end], most - width(&text[end..])), &text[end..])),
        None => cut(&text[word..], most),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    const PLAIN: Style = Style { colored: false };

    fn table() -> Table {
        let mut table =
            Table::new(&[Column::text("NAME"), Column::number("EVENTS"), Column::text("PIN"), Column::text("NOTE")]);
        table.row(&["metrics", "12345", "", "up"]);
        table.row(&["a", "7", "", "quarantined after 5 failures: exec \x1b[31m not found in any of the directories"]);
        table
    }

    #[test]
    fn columns_are_aligned_and_empty_ones_left_out() {
        expect![[r"
            NAME     EVENTS  NOTE
            metrics   12345  up
            a             7  quarantined after 5 failures: exec ␛[31m not found in any of t…"]]
        .assert_eq(&table().lines(80, PLAIN).join("\n"));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for most in [30, 40, 80] {
            for line in table().lines(most, PLAIN) {
                assert!(width(&line) <= most, "{most}: {line}");
            }
        }
    }
}
