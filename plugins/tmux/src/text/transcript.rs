//! What a pane's screen says, as text in the order of reading: lines that are new or have changed, each once. It reads
//! the rows that leave the screen at the top, and those on it when it is asked to; [`super::pieces`] makes events of it.

use super::{
    grid::Grid,
    pending::Pending,
    row::{Row, digest},
};

/// A longer line is passed on in parts, so that one without an end takes no more memory than this.
const LONGEST_LINE: usize = 8 * 1024;

/// The text of a pane.
#[derive(Debug)]
pub(super) struct Transcript {
    pub(super) pending: Pending,
    /// The last line, as long as the cursor is in it.
    open: Option<Open>,
    /// The beginning of a line whose first rows have left the screen.
    begun: Option<Line>,
    /// For the text of a row, so that not every row needs memory of its own.
    scratch: String,
}

/// A line that was passed on without its end.
#[derive(Debug)]
struct Open {
    id: u64,
    text: String,
    /// How much of it was passed on since the last event was made.
    waiting: usize,
}

/// A line: a row, or several that were broken only by the edge of the screen.
#[derive(Debug, Default)]
struct Line {
    id: u64,
    text: String,
    shown: Option<u64>,
    touched: bool,
    passed: bool,
}

impl Line {
    fn of(row: &Row) -> Self {
        Self { id: row.id, shown: row.shown, ..Self::default() }
    }

    fn add(&mut self, row: &Row) {
        self.touched |= row.touched;
        self.passed |= row.passed && !row.wrapped;
        row.write_to(&mut self.text);
    }
}

impl Transcript {
    pub(super) fn new(pending: Pending) -> Self {
        Self { pending, open: None, begun: None, scratch: String::new() }
    }

    /// Reads a row that leaves the screen.
    pub(super) fn leave(&mut self, row: &Row) {
        let mut line = self.begun.take().unwrap_or_else(|| {
            let mut line = Line::of(row);
            std::mem::swap(&mut line.text, &mut self.scratch);
            line.text.clear();
            line
        });
        line.add(row);
        if !row.wrapped {
            self.read_line(&line, true);
            self.scratch = line.text;
        } else if line.text.len() < LONGEST_LINE {
            self.begun = Some(line);
        } else {
            self.read_line(&line, false);
            // The rest continues what was just passed on.
            if let Some(open) = &mut self.open {
                (open.text, open.waiting) = (String::new(), 0);
            }
            // The spaces at its end were left out; they were no end after all.
            let spaces = line.text.len() - line.text.trim_end_matches(' ').len();
            let text = " ".repeat(spaces.min(LONGEST_LINE / 2));
            self.begun = Some(Line { id: line.id, text, ..Line::default() });
        }
    }

    /// Reads what is new or changed on the screen, and marks it as read.
    pub(super) fn read(&mut self, grid: &mut Grid) {
        // Nothing below the cursor has changed: its line may go on.
        let last_touched = grid.rows.iter().rposition(|row| row.touched).unwrap_or(0);
        let mut line = Line::default();
        let mut from = 0;
        for end in 0..grid.rows.len() {
            if end == from {
                line = match (&self.begun, from) {
                    (Some(begun), 0) => Line { text: begun.text.clone(), ..*begun },
                    _ => Line::of(&grid.rows[from]),
                };
            }
            line.add(&grid.rows[end]);
            let cut = end + 1 == grid.rows.len();
            if grid.rows[end].wrapped && !cut {
                continue;
            }
            let has_cursor = (from..=end).contains(&grid.cursor.row);
            let finished = !has_cursor || last_touched > end;
            if self.read_line(&line, finished) {
                let shown = Some(digest(line.text.trim_end_matches(' ')));
                grid.rows[from].shown = shown;
                if from == 0
                    && let Some(begun) = &mut self.begun
                {
                    begun.shown = shown;
                }
            }
            for row in grid.rows.range_mut(from..=end) {
                row.touched = false;
                // The cursor may be above it again, in which case it was passed for good.
                row.passed &= !finished;
            }
            from = end + 1;
        }
    }

    /// Bytes that it holds.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        let open = self.open.as_ref().map_or(0, |open| open.text.len());
        let begun = self.begun.as_ref().map_or(0, |line| line.text.len());
        self.pending.len() + open + begun
    }

    /// Ends all lines: the screen shows something else now.
    pub(super) fn cut(&mut self) {
        self.begun = None;
        self.close();
    }

    /// Ends the last line: what follows is another one.
    fn close(&mut self) {
        if self.open.take().is_some() {
            self.pending.push("\n");
        }
    }

    /// Tells that all that waited was taken.
    pub(super) fn taken(&mut self) {
        if let Some(open) = &mut self.open {
            open.waiting = self.pending.len().min(open.waiting);
        }
    }

    /// Passes a line on if it is new or has changed; whether it was.
    fn read_line(&mut self, line: &Line, finished: bool) -> bool {
        let text = line.text.trim_end_matches(' ');
        if let Some(open) = self.open.take_if(|open| open.id == line.id) {
            return self.go_on(open, text, finished);
        }
        if !line.touched && !line.passed || text.is_empty() && (line.shown.is_some() || !line.passed || !finished) {
            return false;
        }
        if line.shown.is_some_and(|shown| shown == digest(text)) {
            return false;
        }
        self.close();
        self.pending.push(text);
        if finished {
            self.pending.push("\n");
        } else {
            self.open = Some(Open { id: line.id, text: text.to_owned(), waiting: text.len() });
        }
        true
    }

    /// Passes on what has become of the last line.
    fn go_on(&mut self, mut open: Open, text: &str, finished: bool) -> bool {
        open.waiting = open.waiting.min(self.pending.len());
        if let Some(more) = text.strip_prefix(open.text.as_str()) {
            self.pending.push(more);
            open.waiting += more.len();
        } else if !text.is_empty() {
            // It was redrawn.
            if open.waiting == open.text.len() {
                self.pending.retract(open.waiting);
            } else {
                self.pending.replace();
            }
            self.pending.push(text);
            open.waiting = text.len();
        } else if !finished {
            // Erased, and about to be drawn again.
            self.open = Some(open);
            return false;
        }
        if finished {
            self.pending.push("\n");
        } else {
            open.text.clear();
            open.text.push_str(text);
            self.open = Some(open);
        }
        true
    }
}
