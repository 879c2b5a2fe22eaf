//! What a control client reads: lines of bytes, of which those about output carry a pane's bytes.
//!
//! Control characters and `\` come as three octal digits after a `\`; all other bytes come as they are, also those that are no
//! text, and characters may be cut in two anywhere. So nothing here is decoded as text but the words before the bytes.

use crate::{
    server::{ask::LONGEST_ANSWER, listing::Question, screen::Screen},
    tree::id::{PaneId, SessionId},
};
use std::hash::{BuildHasher, RandomState};

/// A longer line is skipped: tmux cuts output long before that.
const LONGEST: usize = 1024 * 1024;

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// A pane printed these bytes.
    Output(PaneId, &'a [u8]),
    /// tmux keeps a pane's output back until it is asked to go on.
    Paused(PaneId),
    /// A pane shows this. What it printed before came before this line, what it prints after comes after it.
    Screen(PaneId, Screen),
    /// Everything was asked for, and this is the answer, with tmux's own lines between its parts. `None`: it is too long.
    Listing(Option<Vec<u8>>),
    /// What was asked first is answered.
    Ready,
    /// The client is attached to this session now.
    Session(SessionId),
    /// The client is about to end.
    Exit,
    /// Something is another than before.
    Changed,
}

/// Marks the answers that a client asked for: a word that no pane can show, since nobody can guess it. Without it, a program
/// could print the line that ends an answer, and after it lines about other panes.
#[derive(Clone, Debug)]
pub(crate) struct Mark(String);

impl Mark {
    /// Another one each time.
    pub(crate) fn new() -> Self {
        let [first, second] = [0, 1].map(|_| RandomState::new().hash_one(std::process::id()));
        Self(format!("headwater-{first:016x}{second:016x}"))
    }

    /// The commands that ask what a pane shows.
    pub(crate) fn ask(&self, pane: PaneId) -> String {
        let begin = format!("-t {pane} '{} #{{pane_id}} #{{cursor_y}} #{{cursor_x}}'", self.0);
        self.around(&begin, &format!("capture-pane -p -t {pane}"))
    }

    /// The commands that ask for everything.
    pub(crate) fn ask_all(&self, question: &Question) -> String {
        self.around(&format!("'{} listing'", self.0), &question.line())
    }

    /// Commands with a mark before and after what they say. They are one line, since tmux may read two lines at two times, and
    /// tell of something else between them. Where one of them fails tmux leaves out the rest of its line: then the second line
    /// ends the answer, and otherwise it means nothing.
    fn around(&self, begin: &str, commands: &str) -> String {
        let end = format!("display-message -p '{} end'", self.0);
        format!("display-message -p {begin} ; {commands} ; {end}\n{end}\n")
    }

    /// The command whose answer comes when all before it is answered.
    pub(crate) fn ready(&self) -> String {
        format!("display-message -p '{} ready'\n", self.0)
    }
}

/// An answer that is on its way.
#[derive(Debug)]
struct Answer {
    about: About,
    bytes: Vec<u8>,
    /// A line is missing.
    torn: bool,
}

/// What was asked.
#[derive(Clone, Copy, Debug)]
enum About {
    Screen { pane: PaneId, cursor: (usize, usize) },
    Listing,
}

/// Cuts what comes into lines.
#[derive(Debug)]
pub(crate) struct Parser {
    mark: Mark,
    answer: Option<Answer>,
    line: Vec<u8>,
    output: Vec<u8>,
    /// Inside an answer to a command, where a line means nothing.
    answering: bool,
    skipping: bool,
}

impl Parser {
    pub(crate) fn new(mark: Mark) -> Self {
        Self { mark, answer: None, line: Vec::new(), output: Vec::new(), answering: false, skipping: false }
    }

    /// Takes some bytes, and tells of each whole line.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut tell: impl FnMut(Line<'_>)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (rest, next) = (&bytes[..end], &bytes[end + 1..]);
            if !std::mem::take(&mut self.skipping) {
                if self.line.is_empty() {
                    self.whole(rest, &mut tell);
                } else {
                    let mut line = std::mem::take(&mut self.line);
                    line.extend_from_slice(rest);
                    self.whole(&line, &mut tell);
                    line.clear();
                    self.line = line;
                }
            }
            bytes = next;
        }
        if self.line.len() + bytes.len() > LONGEST {
            self.line = Vec::new();
            self.skipping = true;
            if let Some(answer) = &mut self.answer {
                answer.torn = true;
            }
        }
        if !self.skipping {
            self.line.extend_from_slice(bytes);
        }
    }

    fn whole(&mut self, line: &[u8], tell: &mut impl FnMut(Line<'_>)) {
        if let Some(words) = line.strip_prefix(self.mark.0.as_bytes()).and_then(ascii) {
            return self.marked(words, tell);
        }
        if let Some(answer) = &mut self.answer {
            return answer.take(line);
        }
        let (word, rest) = cut(line);
        match word {
            b"%end" | b"%error" => self.answering = false,
            _ if self.answering => {}
            b"%begin" => self.answering = true,
            b"%extended-output" => {
                let (pane, rest) = cut(rest);
                // An age, and perhaps more in later versions, before ` : `.
                let bytes = rest.windows(3).position(|window| window == b" : ").map(|at| &rest[at + 3..]);
                self.printed(pane, bytes, tell);
            }
            b"%output" => {
                let (pane, bytes) = cut(rest);
                self.printed(pane, Some(bytes), tell);
            }
            b"%pause" => ascii(rest).and_then(PaneId::parse).into_iter().for_each(|pane| tell(Line::Paused(pane))),
            b"%session-changed" => {
                ascii(cut(rest).0).and_then(SessionId::parse).into_iter().for_each(|id| tell(Line::Session(id)));
            }
            b"%exit" => tell(Line::Exit),
            b"%continue"
            | b"%subscription-changed"
            | b"%message"
            | b"%paste-buffer-changed"
            | b"%paste-buffer-deleted" => {}
            _ if word.first() == Some(&b'%') => tell(Line::Changed),
            _ => {}
        }
    }

    /// A line with our mark: ` %3 1 2` before what a pane shows, ` listing` before everything, ` end` after either, ` ready` when
    /// what was asked first is answered.
    fn marked(&mut self, words: &str, tell: &mut impl FnMut(Line<'_>)) {
        let words: Vec<&str> = words.split_ascii_whitespace().collect();
        match words[..] {
            // A pane that is gone shows nothing.
            ["end"] => self.answer.take().and_then(Answer::whole).into_iter().for_each(tell),
            ["listing"] => self.answer = Some(Answer::begin(About::Listing)),
            ["ready"] => tell(Line::Ready),
            [pane, row, column] => {
                if let (Some(pane), Ok(row), Ok(column)) = (PaneId::parse(pane), row.parse(), column.parse()) {
                    self.answer = Some(Answer::begin(About::Screen { pane, cursor: (row, column) }));
                }
            }
            _ => {}
        }
    }

    fn printed(&mut self, pane: &[u8], bytes: Option<&[u8]>, tell: &mut impl FnMut(Line<'_>)) {
        let Some((pane, bytes)) = ascii(pane).and_then(PaneId::parse).zip(bytes) else { return };
        let mut output = std::mem::take(&mut self.output);
        output.clear();
        unescape(bytes, &mut output);
        tell(Line::Output(pane, &output));
        self.output = output;
    }
}

impl Answer {
    fn begin(about: About) -> Self {
        Self { about, bytes: Vec::new(), torn: false }
    }

    fn take(&mut self, line: &[u8]) {
        let longest = match self.about {
            About::Screen { .. } => LONGEST,
            About::Listing => LONGEST_ANSWER,
        };
        self.torn |= self.bytes.len() + line.len() >= longest;
        if !self.torn {
            self.bytes.extend_from_slice(line);
            self.bytes.push(b'\n');
        }
    }

    /// What it says, now that its end is here. Half a screen is none.
    fn whole(self) -> Option<Line<'static>> {
        match self.about {
            About::Screen { .. } if self.torn => None,
            About::Screen { pane, cursor } => Some(Line::Screen(pane, self.screen(cursor)?)),
            About::Listing => Some(Line::Listing((!self.torn).then_some(self.bytes))),
        }
    }

    /// The lines between the two that begin and the two that end it.
    fn screen(&self, cursor: (usize, usize)) -> Option<Screen> {
        let text = String::from_utf8_lossy(&self.bytes);
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let [_, _, shown @ .., end, _] = &lines[..] else { return None };
        end.starts_with("%end ").then(|| Screen { text: shown.concat(), cursor })
    }
}

/// The first word, and what follows the space after it.
fn cut(line: &[u8]) -> (&[u8], &[u8]) {
    match line.iter().position(|byte| *byte == b' ') {
        Some(at) => (&line[..at], &line[at + 1..]),
        None => (line, &[]),
    }
}

fn ascii(word: &[u8]) -> Option<&str> {
    std::str::from_utf8(word).ok()
}

/// Takes the octal escapes back. A `\` without three octal digits after it stays.
fn unescape(mut bytes: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = bytes.iter().position(|byte| *byte == b'\\') {
        out.extend_from_slice(&bytes[..at]);
        let digits = bytes[at + 1..].first_chunk::<3>().filter(|d| d.iter().all(|c| (b'0'..=b'7').contains(c)));
        let value = digits.map(|d| d.iter().fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0')));
        if let Some(byte) = value.and_then(|value| u8::try_from(value).ok()) {
            out.push(byte);
            bytes = &bytes[at + 4..];
        } else {
            out.push(b'\\');
            bytes = &bytes[at + 1..];
        }
    }
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests;
