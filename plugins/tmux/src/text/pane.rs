//! Bytes of one pane in, what was seen in them out: when, how much at once, and what is dropped.

use super::{
    Activity, Redaction, allowance::Allowance, pending::Pending, pieces::Pieces, terminal::Terminal,
    transcript::Transcript,
};
use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

/// Bytes of an OSC sequence that are kept; of a longer one, its beginning.
const OSC: usize = 2 * 1024;

/// How a pane's output becomes events.
#[derive(Clone, Debug)]
pub struct Options {
    /// Output is gathered until nothing came for this long,
    pub quiet: Duration,
    /// but no longer than this.
    pub longest: Duration,
    /// Whole lines that come after a silence of `longest` wait only for this long a quiet, and at most for `quiet`: a line
    /// that comes alone is told at once. What is no whole line may become another one.
    pub prompt: Duration,
    /// Bytes of an event's content.
    pub event_bytes: usize,
    /// Bytes that may be passed on at once. After that there is one event per `quiet`, and the oldest text that still
    /// waits is dropped. A pane's text takes at most about four times as much memory.
    pub burst_bytes: usize,
    /// Contents are what the program wrote, with escape sequences, rather than the text that one reads on the screen.
    pub ansi: bool,
    /// Rows and columns of the pane.
    pub size: (usize, usize),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            quiet: Duration::from_millis(16),
            longest: Duration::from_millis(50),
            prompt: Duration::from_millis(2),
            event_bytes: 8 * 1024,
            burst_bytes: 256 * 1024,
            ansi: false,
            size: (24, 80),
        }
    }
}

/// Something that a pane's program has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It printed.
    Output(Output),
    /// This much of what it printed was dropped, before the output that follows: bytes of text, or with
    /// [`Options::ansi`] of what the program wrote.
    Dropped {
        /// How many.
        bytes: u64,
    },
    /// It has set its title (OSC 0 or 2). Of several between two calls, the last.
    Title(String),
    /// It rang the bell, once or more often.
    Bell,
    /// An operating system command: 9, 99 and 777 (notifications; 9 with a text that begins with `4;` is progress, the
    /// last of several), 133 (prompt marks) or 7501 (what Codex says of itself).
    Osc {
        /// Which.
        code: u16,
        /// What follows the code and its semicolon.
        text: String,
    },
}

/// A piece of what was printed. All contents one after the other are the whole text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The text, redacted. Lines end with a line feed; a last line without one is not finished yet.
    pub content: String,
    /// The content begins with what the last, unfinished line of the text before has become, instead of continuing it:
    /// the program has drawn it again.
    pub replaces: bool,
    /// What it is about.
    pub activity: Activity,
    /// The last three lines, at most 200 characters.
    pub preview: String,
}

/// The text of one pane. Whoever has it calls [`PaneText::feed`] with what the pane's program writes, and
/// [`PaneText::take`] whenever [`PaneText::due`] has come.
pub struct PaneText {
    options: Options,
    parser: vte::Parser<OSC>,
    terminal: Terminal,
    pieces: Pieces,
    allowance: Allowance,
    /// With [`Options::ansi`]: what the program wrote.
    raw: Option<Pending>,
    /// The beginning of a character whose end has not come yet.
    partial: Vec<u8>,
    /// When the first and the last output came that wait.
    waiting: Option<(Instant, Instant)>,
    /// When output was last taken.
    output_taken: Option<Instant>,
    /// What came last ended a line.
    whole: bool,
    /// When the first signal came that waits.
    signalled: Option<Instant>,
    /// When signals were last taken.
    signals_taken: Option<Instant>,
    dropped: u64,
}

impl PaneText {
    /// A pane that has printed nothing yet.
    pub fn new(options: Options, redaction: Arc<Redaction>) -> Self {
        let pending = || Pending::new(options.burst_bytes.max(options.event_bytes));
        Self {
            parser: vte::Parser::new_with_size(),
            terminal: Terminal::new(options.size, Transcript::new(pending())),
            pieces: Pieces::new(redaction, options.event_bytes.max(4)),
            allowance: Allowance::new(options.burst_bytes / options.event_bytes.max(1), options.quiet),
            raw: options.ansi.then(pending),
            partial: Vec::new(),
            waiting: None,
            output_taken: None,
            whole: false,
            signalled: None,
            signals_taken: None,
            dropped: 0,
            options,
        }
    }

    /// Takes what the program has written, cut anywhere.
    pub fn feed(&mut self, now: Instant, bytes: &[u8]) {
        let limit = self.allowance.credit(now).max(2) * self.options.event_bytes;
        let limit = limit.min(self.options.burst_bytes.max(self.options.event_bytes));
        for pending in self.raw.iter_mut().chain([&mut self.terminal.transcript.pending]) {
            pending.set_limit(limit);
        }
        let bytes: Cow<'_, [u8]> = if self.partial.is_empty() {
            bytes.into()
        } else {
            self.partial.extend_from_slice(bytes);
            std::mem::take(&mut self.partial).into()
        };
        let (whole, partial) = bytes.split_at(bytes.len() - unfinished(&bytes));
        self.whole = bytes.ends_with(b"\n");
        self.partial.extend_from_slice(partial);
        self.advance(whole);
        self.waiting = Some((self.waiting.map_or(now, |(first, _)| first), now));
        if !self.terminal.signals.is_empty() {
            self.signalled.get_or_insert(now);
        }
    }

    /// When [`PaneText::take`] has something to give; absent: nothing waits.
    pub fn due(&self) -> Option<Instant> {
        self.signals_due().into_iter().chain(self.output_due()).min()
    }

    /// What is due. Titles, bells and commands come first; what was dropped comes before what follows it.
    pub fn take(&mut self, now: Instant) -> Vec<Seen> {
        let mut seen = Vec::new();
        if self.signals_due().is_some_and(|due| due <= now) {
            seen.extend(self.take_signals(now));
        }
        if self.output_due().is_some_and(|due| due <= now) {
            let credit = self.allowance.credit(now);
            let spent = self.take_output(credit, &mut seen);
            self.allowance.spend(spent);
            self.output_taken = Some(now);
            self.waiting = self.waiting.filter(|_| !self.pending().is_empty());
        }
        seen
    }

    /// All that is left, however much: the pane is gone.
    pub fn finish(&mut self, now: Instant) -> Vec<Seen> {
        if !std::mem::take(&mut self.partial).is_empty() {
            self.advance("\u{fffd}".as_bytes());
        }
        let mut seen = self.take_signals(now);
        self.take_output(usize::MAX, &mut seen);
        self.waiting = None;
        seen
    }

    /// Gives the pane another size.
    pub fn resize(&mut self, rows: usize, columns: usize) {
        self.terminal.resize(rows, columns);
    }

    /// Takes over what the pane shows (`capture-pane -p`, with the cursor's row and column), when that is not known:
    /// at first, or after output was missed. What was not shown before is new text, except at first.
    pub fn resync(&mut self, now: Instant, shown: &str, cursor: (usize, usize)) {
        self.partial.clear();
        self.parser = vte::Parser::new_with_size();
        if self.terminal.resync(shown, cursor) {
            self.waiting = Some((self.waiting.map_or(now, |(first, _)| first), now));
        }
    }

    /// The last lines on the screen that are not empty, redacted, at most `most` of them.
    pub fn tail(&self, most: usize) -> String {
        self.pieces.clean(&self.terminal.grid.tail(most))
    }

    /// Bytes of text that were dropped since the beginning.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Bytes of text that it holds.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        let raw = self.raw.as_ref().map_or(0, Pending::len);
        raw + self.partial.len() + self.terminal.transcript.held() + self.pieces.held()
    }

    fn advance(&mut self, bytes: &[u8]) {
        // The parser gets valid text only: it looks at all that follows anew for each byte that is not.
        let text = String::from_utf8_lossy(bytes);
        self.parser.advance(&mut self.terminal, text.as_bytes());
        if let Some(raw) = &mut self.raw {
            raw.push(&text);
        }
    }

    fn pending(&self) -> &Pending {
        self.raw.as_ref().unwrap_or(&self.terminal.transcript.pending)
    }

    fn signals_due(&self) -> Option<Instant> {
        // A program that sets its title all the time is heard once per window.
        let next = self.signals_taken.map(|taken| taken + self.options.quiet);
        self.signalled.map(|first| next.map_or(first, |next| next.max(first)))
    }

    fn output_due(&self) -> Option<Instant> {
        let (first, last) = self.waiting?;
        let Options { quiet, longest, prompt, .. } = self.options;
        let alone = self.output_taken.is_none_or(|taken| first.saturating_duration_since(taken) >= longest);
        let (quiet, longest) = if alone && self.whole { (prompt, quiet) } else { (quiet, longest) };
        let quiet = (last + quiet).min(first + longest);
        let due = if self.pending().len() >= self.options.event_bytes { first } else { quiet };
        Some(self.allowance.next().map_or(due, |next| next.max(due)))
    }

    fn take_signals(&mut self, now: Instant) -> Vec<Seen> {
        self.signalled = None;
        self.signals_taken = Some(now);
        self.terminal.signals.take(|text| self.pieces.clean(&text))
    }

    /// At most `most` contents. How many there were.
    fn take_output(&mut self, most: usize, seen: &mut Vec<Seen>) -> usize {
        let Terminal { grid, transcript, .. } = &mut self.terminal;
        transcript.read(grid);
        let about = self.raw.is_some().then(|| self.pieces.about(&mut transcript.pending));
        let pending = self.raw.as_mut().unwrap_or(&mut transcript.pending);
        pending.keep_limit();
        let bytes = pending.take_dropped();
        if bytes > 0 {
            self.dropped += bytes;
            if about.is_none() {
                self.pieces.forget_line();
            }
            seen.push(Seen::Dropped { bytes });
        }
        let mut outputs = 0;
        while outputs < most && !pending.is_empty() {
            let next = match &about {
                Some(about) => self.pieces.raw(pending, about),
                None => self.pieces.next(pending),
            };
            outputs += next.len().max(1);
            seen.extend(next.into_iter().map(Seen::Output));
        }
        transcript.taken();
        outputs
    }
}

impl std::fmt::Debug for PaneText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The parser has no form, and all the rows would be too much.
        f.debug_struct("PaneText")
            .field("options", &self.options)
            .field("dropped", &self.dropped)
            .finish_non_exhaustive()
    }
}

/// Bytes at the end that begin a character and do not finish it.
fn unfinished(bytes: &[u8]) -> usize {
    let begins = |count: &usize| {
        let tail = &bytes[bytes.len() - count..];
        std::str::from_utf8(tail).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
    };
    (1..=bytes.len().min(3)).find(begins).unwrap_or(0)
}
