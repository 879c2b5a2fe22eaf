//! Text that waits to become events. It is bounded: when it is full the oldest goes and is counted, since the newest
//! tells what a pane's program does now.

/// The text.
#[derive(Debug)]
pub(super) struct Pending {
    text: String,
    limit: usize,
    /// It begins with what the last unfinished line of the text before has become.
    replaces: bool,
    /// Bytes lost from its beginning since they were last asked for.
    dropped: u64,
}

impl Pending {
    pub(super) fn new(limit: usize) -> Self {
        Self { text: String::new(), limit, replaces: false, dropped: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// How many bytes may wait; up to twice as many are held in between.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    pub(super) fn push(&mut self, text: &str) {
        // A text longer than all that may wait would be dropped in its first part anyway.
        let excess = text.len().saturating_sub(2 * self.limit);
        let excess = text.ceil_char_boundary(excess);
        self.dropped += excess as u64;
        self.text.push_str(&text[excess..]);
        // Only now and then, so that the rest is not moved for every line.
        if self.text.len() > 2 * self.limit {
            self.keep_limit();
        }
    }

    /// Takes the last bytes back.
    pub(super) fn retract(&mut self, bytes: usize) {
        self.text.truncate(self.text.len() - bytes);
    }

    /// Begins anew with what the last unfinished line of the text before has become.
    pub(super) fn replace(&mut self) {
        self.text.clear();
        self.replaces = true;
    }

    /// Drops what is too much. What remains begins with a line, if there is one.
    pub(super) fn keep_limit(&mut self) {
        if self.text.len() <= self.limit {
            return;
        }
        let from = self.text.len() - self.limit;
        let line = self.text.as_bytes()[from..].iter().position(|byte| *byte == b'\n').map(|at| from + at + 1);
        let whole = self.text.ceil_char_boundary(from);
        let cut = line.filter(|line| *line < self.text.len()).unwrap_or(whole);
        self.text.drain(..cut);
        self.dropped += cut as u64;
        self.replaces = false;
    }

    /// Bytes that were lost, once.
    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// The first bytes, at most `most`: up to the end of a line or of a word if there is one. And whether they replace
    /// the last unfinished line before.
    pub(super) fn take(&mut self, most: usize) -> (String, bool) {
        let replaces = std::mem::take(&mut self.replaces);
        if self.text.len() <= most {
            return (std::mem::take(&mut self.text), replaces);
        }
        let whole = self.text.floor_char_boundary(most);
        let head = &self.text.as_bytes()[..whole];
        let line = head.iter().rposition(|byte| *byte == b'\n');
        // A word may be a secret, and half of one is not known for what it is.
        let word = || head.iter().rposition(u8::is_ascii_whitespace).filter(|at| *at > whole / 2);
        let cut = line.or_else(word).map_or(whole, |at| at + 1);
        let rest = self.text.split_off(cut);
        (std::mem::replace(&mut self.text, rest), replaces)
    }
}
