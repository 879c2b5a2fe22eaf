//! Cuts waiting text into the contents of events, redacts them and says what they are about.

use super::{
    Activity, Output,
    classify::classify,
    pending::Pending,
    redaction::{BLOT, Redaction},
};
use std::{borrow::Cow, sync::Arc};

/// What is kept of the text before, to tell what the next is about: bytes of its last lines.
const RECENT: usize = 4 * 1024;

/// The longest unfinished line that is redacted together with what follows.
const LONGEST_LINE: usize = 16 * 1024;

/// Lines of a private key that are left out at most, when its end never comes.
const KEY_LINES: u32 = 200;

/// Makes contents.
#[derive(Debug)]
pub(super) struct Pieces {
    redaction: Arc<Redaction>,
    /// Bytes of a content.
    most: usize,
    /// The last unfinished line, as it was printed and as it was passed on.
    line: Option<(String, String)>,
    /// The last lines that were passed on.
    recent: String,
    key: Key,
    /// The same for what the program wrote.
    raw_key: Key,
}

impl Pieces {
    pub(super) fn new(redaction: Arc<Redaction>, most: usize) -> Self {
        Self { redaction, most, line: None, recent: String::new(), key: Key::default(), raw_key: Key::default() }
    }

    pub(super) fn clean(&self, text: &str) -> String {
        self.redaction.clean(text).into_owned()
    }

    /// Text was lost: the next begins anew.
    pub(super) fn forget_line(&mut self) {
        self.line = None;
        self.recent.clear();
    }

    /// Bytes that it holds.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.recent.len() + self.line.as_ref().map_or(0, |(raw, shown)| raw.len() + shown.len())
    }

    /// The next content, and the further ones if redacting made it longer than one may be.
    pub(super) fn next(&mut self, pending: &mut Pending) -> Vec<Output> {
        let (text, redrawn) = pending.take(self.most);
        let (content, replaces) = self.redact(&text, redrawn);
        let parts = if content.is_empty() && replaces { vec![content] } else { self.parts(content) };
        let parts = parts.into_iter().enumerate();
        parts.map(|(index, content)| self.output(content, replaces && index == 0)).collect()
    }

    /// Reads all the text that waits, and says what the last lines are about: for contents that are not the text.
    pub(super) fn about(&mut self, pending: &mut Pending) -> (Activity, String) {
        pending.keep_limit();
        if pending.take_dropped() > 0 {
            self.forget_line();
        }
        while !pending.is_empty() {
            self.next(pending);
        }
        classify(&self.recent)
    }

    /// The next contents of what the program wrote. `about` is what [`Pieces::about`] says.
    pub(super) fn raw(&mut self, pending: &mut Pending, about: &(Activity, String)) -> Vec<Output> {
        let (text, _) = pending.take(self.most);
        let mut content = String::with_capacity(text.len());
        for line in text.split_inclusive('\n') {
            let (ended, line) = line.strip_suffix('\n').map_or((false, line), |line| (true, line));
            content.push_str(&self.raw_key.redact_line(&self.redaction, line, ended));
            content.extend(ended.then_some('\n'));
        }
        let (activity, preview) = about;
        let output = |content| Output { content, replaces: false, activity: *activity, preview: preview.clone() };
        self.parts(content).into_iter().map(output).collect()
    }

    /// Cuts a content that is too long.
    fn parts(&self, mut content: String) -> Vec<String> {
        let mut parts = Vec::new();
        while !content.is_empty() {
            let end = content.floor_char_boundary(self.most);
            let rest = content.split_off(end);
            parts.push(std::mem::replace(&mut content, rest));
        }
        parts
    }

    fn output(&mut self, content: String, replaces: bool) -> Output {
        if replaces {
            self.recent.truncate(self.recent.rfind('\n').map_or(0, |end| end + 1));
        }
        self.recent.push_str(&content);
        let (activity, preview) = classify(&self.recent);
        self.keep_recent();
        Output { content, replaces, activity, preview }
    }

    fn keep_recent(&mut self) {
        let text = self.recent.trim_end();
        let lines = text.rmatch_indices('\n').nth(2).map_or(0, |(at, _)| at + 1);
        let bytes = self.recent.len().saturating_sub(RECENT);
        let from = self.recent.ceil_char_boundary(lines.max(bytes));
        self.recent.drain(..from);
    }

    /// Redacts a text, its first line together with the unfinished one before it. And whether that line is told anew,
    /// because it was redrawn or because its end shows that all of it is a secret.
    fn redact(&mut self, text: &str, redrawn: bool) -> (String, bool) {
        let mut content = String::with_capacity(text.len());
        let mut replaces = false;
        let mut before = self.line.take();
        for line in text.split_inclusive('\n') {
            let (ended, line) = line.strip_suffix('\n').map_or((false, line), |line| (true, line));
            let (raw, passed_on) = match before.take() {
                Some((_, passed_on)) if redrawn => (line.to_owned(), Some(passed_on)),
                Some((raw, passed_on)) if raw.len() <= LONGEST_LINE => (raw + line, Some(passed_on)),
                _ => (line.to_owned(), None),
            };
            let clean = self.key.redact_line(&self.redaction, &raw, ended).into_owned();
            let more = passed_on.as_deref().map(|passed_on| clean.strip_prefix(passed_on).filter(|_| !redrawn));
            replaces |= more == Some(None);
            content.push_str(more.flatten().unwrap_or(&clean));
            if ended {
                content.push('\n');
            } else {
                self.line = Some((raw, clean));
            }
        }
        if text.is_empty() {
            self.line = before;
        }
        (content, replaces)
    }
}

/// Whether the lines are those of a private key. It has no form of its own, only a first and a last line.
#[derive(Debug, Default)]
struct Key {
    /// Lines that may still come.
    lines: u32,
}

impl Key {
    fn redact_line<'a>(&mut self, redaction: &Redaction, line: &'a str, ended: bool) -> Cow<'a, str> {
        if self.lines > 0 && !line.contains("-----END") {
            self.lines -= u32::from(ended);
            return if line.is_empty() { line.into() } else { BLOT.into() };
        }
        self.lines = 0;
        if ended && line.contains("-----BEGIN") && line.trim_end().ends_with("PRIVATE KEY-----") {
            self.lines = KEY_LINES;
        }
        redaction.clean(line)
    }
}
