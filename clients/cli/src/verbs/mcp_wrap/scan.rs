//! Reads of JSON-RPC messages, as they pass by in pieces, what timing them takes: which question or answer it is, and what
//! server and client say of themselves. Memory does not grow with a message: nothing else of it is kept.

mod path;

use path::{Key, Path};

/// The longest id, name or version that is kept; of a longer one it is only known that it is there.
const LONGEST: usize = 256;

/// What one message says.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// The id as it is written.
    pub(super) id: Option<String>,
    pub(super) method: Option<String>,
    pub(super) has_result: bool,
    pub(super) has_error: bool,
    /// `params.name`: the tool of `tools/call`, the prompt of `prompts/get`.
    pub(super) name: Option<String>,
    /// `params.requestId`: what `notifications/cancelled` gives up.
    pub(super) cancelled: Option<String>,
    /// `params.cursor` is there: it asks for a further page.
    pub(super) has_cursor: bool,
    /// The revision that a request of 2026-07-28 and later names for itself, or that `initialize` has agreed on.
    pub(super) revision: Option<String>,
    /// `result.isError` is true: a tool has failed.
    pub(super) is_error: bool,
    pub(super) server_name: Option<String>,
    pub(super) server_version: Option<String>,
    /// How many `result.tools` there are.
    pub(super) tools: Option<u32>,
    /// `result.nextCursor` is there: there are more.
    pub(super) has_more: bool,
}

/// One way's bytes.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    path: Path,
    state: State,
    message: Message,
    /// The string or number that is being read, if it is wanted.
    text: Vec<u8>,
    /// It is wanted, and not too long yet.
    keeps: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Between values.
    #[default]
    Open,
    String,
    Escaped,
    /// A number, `true`, `false`, `null`.
    Bare,
    /// Until the end of the line: this is no JSON-RPC, or the beginning of it is missing.
    Skip,
}

impl Scanner {
    /// Takes the next bytes and gives the messages that end in them.
    pub(super) fn feed(&mut self, bytes: &[u8], mut found: impl FnMut(Message)) {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            // Most bytes are inside strings or are passed over: they are not looked at one by one.
            let passed = match self.state {
                State::String => run(rest, |byte| byte != b'"' && byte != b'\\' && byte != b'\n'),
                State::Skip => run(rest, |byte| byte != b'\n'),
                _ => 0,
            };
            if passed > 0 {
                self.keep(&rest[..passed]);
                rest = &rest[passed..];
                continue;
            }
            rest = after;
            self.byte(byte, &mut found);
        }
    }

    /// Something is missing before the next bytes: until the end of a line nothing can be told.
    pub(super) fn gap(&mut self) {
        self.reset();
        self.state = State::Skip;
    }

    fn reset(&mut self) {
        self.path.clear();
        self.state = State::Open;
        self.message = Message::default();
        self.text.clear();
        self.keeps = false;
    }

    fn byte(&mut self, byte: u8, found: &mut impl FnMut(Message)) {
        if byte == b'\n' {
            // No message goes on in the next line.
            return self.reset();
        }
        match self.state {
            State::Skip => {}
            State::Escaped => {
                self.keep(&[byte]);
                self.state = State::String;
            }
            State::String => match byte {
                b'\\' => {
                    self.keep(&[byte]);
                    self.state = State::Escaped;
                }
                _ => self.string_ends(),
            },
            State::Bare if !matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\r') => self.keep(&[byte]),
            State::Bare => {
                self.bare_ends();
                self.state = State::Open;
                self.open(byte, found);
            }
            State::Open => self.open(byte, found),
        }
    }

    fn open(&mut self, byte: u8, found: &mut impl FnMut(Message)) {
        match byte {
            b' ' | b'\t' | b'\r' => {}
            b'{' | b'[' => {
                self.value_begins();
                if byte == b'{' && self.path.is_message() {
                    self.message = Message::default();
                }
                self.path.enter(byte == b'[');
            }
            b'}' | b']' if !self.path.is_outside() => {
                self.path.leave();
                if byte == b'}' && self.path.is_message() {
                    found(std::mem::take(&mut self.message));
                }
            }
            b',' => self.path.next(),
            b':' => self.path.value(),
            // No message begins with anything but a bracket.
            _ if self.path.is_outside() => self.state = State::Skip,
            b'"' => {
                if !self.path.is_key() {
                    self.value_begins();
                }
                self.keeps = self.path.is_key() || self.is_wanted();
                self.text.clear();
                self.state = State::String;
            }
            _ => {
                self.value_begins();
                self.keeps = self.is_wanted();
                self.text.clear();
                self.keep(&[byte]);
                self.state = State::Bare;
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.keeps {
            if self.text.len() + bytes.len() > LONGEST {
                self.keeps = false;
            } else {
                self.text.extend_from_slice(bytes);
            }
        }
    }

    fn is_wanted(&self) -> bool {
        use Key::{
            Cancelled, Id, IsError, Meta, MetaServerInfo, Method, Name, Params, Result, Revision, ServerInfo, Version,
        };
        matches!(
            self.path.keys(),
            [Id | Method]
                | [Params, Name | Cancelled]
                | [Params, Meta, Key::MetaRevision]
                | [Result, Revision | IsError]
                | [Result, ServerInfo, Name | Version]
                | [Result, Meta, MetaServerInfo, Name | Version]
        )
    }

    /// A value begins at this path: for some it is enough to know that they are there.
    fn value_begins(&mut self) {
        let message = &mut self.message;
        match self.path.keys() {
            [Key::Result] => message.has_result = true,
            [Key::Error] => message.has_error = true,
            [Key::Params, Key::Cursor] => message.has_cursor = true,
            [Key::Result, Key::NextCursor] => message.has_more = true,
            [Key::Result, Key::Tools] => message.tools = Some(0),
            [Key::Result, Key::Tools, Key::Item] => message.tools = message.tools.map(|count| count.saturating_add(1)),
            _ => {}
        }
    }

    fn string_ends(&mut self) {
        self.state = State::Open;
        let text = self.keeps.then(|| text(&self.text)).flatten();
        if self.path.is_key() {
            self.path.key(text.as_deref().unwrap_or_default());
        } else if let Some(text) = text {
            match self.path.keys() {
                // With its quotation marks: `"1"` is not `1`.
                [Key::Id] => self.message.id = Some(format!("{text:?}")),
                [Key::Params, Key::Cancelled] => self.message.cancelled = Some(format!("{text:?}")),
                _ => self.named(text),
            }
        }
    }

    fn named(&mut self, text: String) {
        let message = &mut self.message;
        match self.path.keys() {
            [Key::Method] => message.method = Some(text),
            [Key::Params, Key::Name] => message.name = Some(text),
            [Key::Params, Key::Meta, Key::MetaRevision] | [Key::Result, Key::Revision] => message.revision = Some(text),
            [Key::Result, .., Key::Name] => message.server_name = Some(text),
            [Key::Result, .., Key::Version] => message.server_version = Some(text),
            _ => {}
        }
    }

    fn bare_ends(&mut self) {
        if !self.keeps || self.text == b"null" {
            return;
        }
        let text = String::from_utf8_lossy(&self.text).into_owned();
        match self.path.keys() {
            [Key::Id] => self.message.id = Some(text),
            [Key::Params, Key::Cancelled] => self.message.cancelled = Some(text),
            [Key::Result, Key::IsError] => self.message.is_error = text == "true",
            _ => {}
        }
    }
}

/// How many bytes at the beginning are so.
fn run(bytes: &[u8], is_so: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|&byte| !is_so(byte)).unwrap_or(bytes.len())
}

/// What stands between quotation marks.
fn text(raw: &[u8]) -> Option<String> {
    if !raw.contains(&b'\\') {
        return String::from_utf8(raw.to_vec()).ok();
    }
    serde_json::from_slice(&[b"\"", raw, b"\""].concat()).ok()
}

#[cfg(test)]
mod tests;
