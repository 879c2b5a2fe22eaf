//! What a pane's program says beside its text: titles, bells, progress, marks. Bounded: of a thing that has a state, the
//! last counts; of marks, the last few are kept.

use super::Seen;
use std::collections::VecDeque;

/// Marks kept between two events; when there are more the oldest go.
const MARKS: usize = 32;

/// The longest text of a title or mark, in characters. A title is a line of a screen at most.
const LONGEST: usize = 256;

/// The OSC codes that are passed on: notifications and progress (9), notifications (99, 777), prompt marks (133), and what
/// Codex says of itself (7501).
/// Whatever else programs say there is for a terminal; 52 is the clipboard and none of our business.
const PASSED_ON: [u16; 5] = [9, 99, 133, 777, 7501];

/// What was said and not yet taken.
#[derive(Debug, Default)]
pub(super) struct Signals {
    title: Option<String>,
    bell: bool,
    progress: Option<String>,
    marks: VecDeque<(u16, String)>,
}

impl Signals {
    pub(super) fn is_empty(&self) -> bool {
        self.title.is_none() && !self.bell && self.progress.is_none() && self.marks.is_empty()
    }

    pub(super) fn bell(&mut self) {
        self.bell = true;
    }

    /// An operating system command, by its parts.
    pub(super) fn osc(&mut self, parts: &[&[u8]]) {
        let Some((code, rest)) = parts.split_first() else { return };
        let Some(code) = std::str::from_utf8(code).ok().and_then(|code| code.parse::<u16>().ok()) else { return };
        match code {
            0 | 2 => self.title = Some(plain(&rest.join(&b';'))),
            9 if rest.first() == Some(&b"4".as_slice()) => self.progress = Some(plain(&rest.join(&b';'))),
            code if PASSED_ON.contains(&code) => {
                if self.marks.len() == MARKS {
                    self.marks.pop_front();
                }
                self.marks.push_back((code, plain(&rest.join(&b';'))));
            }
            _ => {}
        }
    }

    /// All of it, in a fixed order.
    pub(super) fn take(&mut self, clean: impl Fn(String) -> String) -> Vec<Seen> {
        let mut seen = Vec::new();
        seen.extend(self.title.take().map(|title| Seen::Title(clean(title))));
        seen.extend(self.progress.take().map(|text| Seen::Osc { code: 9, text }));
        seen.extend(self.marks.drain(..).map(|(code, text)| Seen::Osc { code, text: clean(text) }));
        if std::mem::take(&mut self.bell) {
            seen.push(Seen::Bell);
        }
        seen
    }
}

/// As text of one line: invalid bytes replaced, control characters gone.
pub(super) fn plain(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}
