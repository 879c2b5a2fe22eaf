//! How far a long work is: a bar on standard error where a terminal shows it, and nothing elsewhere. Used by the verbs
//! that go through a whole history.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar; gone from the terminal when it is dropped.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar that says what is being done: `exporting`.
    ///
    /// # Panics
    /// Never: the template is a constant.
    pub fn new(what: &'static str) -> Self {
        // Hides itself where standard error is no terminal.
        let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{prefix} [{bar:30}] {percent:>3} %  {msg}  {eta} left")
            .expect("invariant: the template has only fields that there are")
            .progress_chars("=> ");
        bar.set_style(style);
        bar.set_prefix(what);
        Self(bar)
    }

    /// Whether anybody sees it.
    pub fn is_shown(&self) -> bool {
        !self.0.is_hidden()
    }

    /// So much of so much is done; `words` say more, as in `1200 events`.
    pub fn at(&self, done: u64, total: u64, words: String) {
        self.0.set_length(total.max(1));
        self.0.set_message(words);
        self.0.set_position(done.min(total));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
