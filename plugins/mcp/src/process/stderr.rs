//! What a server of ours writes to its standard error: counted, and the last lines kept. It is always read: a server whose
//! pipe is full stands still.
//!
//! The lines may hold secrets. What the server was given (values of its environment, headers, arguments) and what looks like
//! a key is blotted out before anything is kept; it makes leaks rare and cannot make them impossible.

use headwater_plugin::{
    serde::Serialize,
    tokio::io::{AsyncRead, AsyncReadExt},
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

/// Lines that are kept.
const LINES: usize = 3;

/// What is read at once: what a pipe holds.
const ROOM: usize = 64 * 1024;

/// Characters that are kept of a line.
const LENGTH: usize = 200;

/// What stands in place of a secret.
const BLOT: &str = "[redacted]";

/// A value that was given to the server is a secret from this length on. Shorter ones are words such as `1` and `true`.
const SHORTEST_VALUE: usize = 4;

/// A word of this length that mixes letters and digits is taken for a key.
const SHORTEST_KEY: usize = 16;

/// Words after which a secret stands.
const NAMES: [&str; 9] =
    ["token", "secret", "password", "passwd", "apikey", "api_key", "api-key", "authorization", "bearer"];

/// What was written so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(crate = "headwater_plugin::serde")]
pub struct Written {
    /// Bytes.
    pub bytes: u64,
    /// Lines.
    pub lines: u64,
    /// The last of them, without secrets.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    pub last: VecDeque<String>,
}

/// What was written, for the one who reads and the one who tells.
pub(crate) type Shared = Arc<Mutex<Written>>;

/// A copy of what was written so far.
pub(crate) fn copy(shared: &Shared) -> Written {
    shared.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Reads to the end.
pub(crate) async fn drain(mut from: impl AsyncRead + Unpin, redactor: Redactor, to: Shared) {
    let mut buffer = vec![0; ROOM];
    let mut lines = Lines::new(redactor);
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        lines.feed(&buffer[..count], &mut to.lock().unwrap_or_else(PoisonError::into_inner));
    }
    lines.end(&mut to.lock().unwrap_or_else(PoisonError::into_inner));
}

/// Cuts bytes into lines.
#[derive(Debug)]
struct Lines {
    redactor: Redactor,
    /// The beginning of a line. It may be longer than what is kept of it: a secret must not be cut in two.
    open: Vec<u8>,
    /// The last lines of what was read just now, as they are. Only they are looked through for secrets: in a flood, looking
    /// through each would hold the server up.
    closed: VecDeque<Vec<u8>>,
}

impl Lines {
    const OPEN: usize = 4 * LENGTH;

    fn new(redactor: Redactor) -> Self {
        Self { redactor, open: Vec::new(), closed: VecDeque::new() }
    }

    fn feed(&mut self, bytes: &[u8], to: &mut Written) {
        to.bytes += bytes.len() as u64;
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.keep(&rest[..end]);
            self.close(to);
            rest = &rest[end + 1..];
        }
        self.keep(rest);
        self.tell(to);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = Self::OPEN.saturating_sub(self.open.len());
        self.open.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end(&mut self, to: &mut Written) {
        if !self.open.is_empty() {
            self.close(to);
        }
        self.tell(to);
    }

    fn close(&mut self, to: &mut Written) {
        to.lines += 1;
        let line = std::mem::take(&mut self.open);
        if line.iter().all(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) {
            return;
        }
        if self.closed.len() >= LINES {
            self.closed.pop_front();
        }
        self.closed.push_back(line);
    }

    fn tell(&mut self, to: &mut Written) {
        for line in self.closed.drain(..) {
            if to.last.len() >= LINES {
                to.last.pop_front();
            }
            to.last.push_back(self.redactor.clean(&String::from_utf8_lossy(&line)));
        }
    }
}

/// Blots out secrets.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    known: Known,
}

/// Values that nobody may see, not even in a debug form.
#[derive(Clone, Default)]
struct Known(Vec<String>);

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} values", self.0.len())
    }
}

impl Redactor {
    /// Blots out these values, and what looks like a key.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut known: Vec<String> =
            values.into_iter().filter(|value| value.len() >= SHORTEST_VALUE).map(str::to_owned).collect();
        // The longest first: one may be a part of another.
        known.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self { known: Known(known) }
    }

    /// Arguments that may be secrets: what follows a flag such as `--token`, or stands in `--token=…`.
    pub fn secret_arguments(args: &[String]) -> impl Iterator<Item = &str> {
        let names_secret = |flag: &str| is_name(flag.trim_start_matches('-'));
        let behind = args.windows(2).filter(move |pair| names_secret(&pair[0])).map(|pair| pair[1].as_str());
        let within = args.iter().filter_map(|arg| arg.split_once('='));
        behind.chain(within.filter(move |(flag, _)| names_secret(flag)).map(|(_, value)| value))
    }

    /// A line without secrets, control characters, and what is too long.
    pub fn clean(&self, line: &str) -> String {
        let mut line = line.to_owned();
        for value in &self.known.0 {
            if line.contains(value.as_str()) {
                line = line.replace(value.as_str(), BLOT);
            }
        }
        let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let mut clean = String::with_capacity(line.len());
        let mut after_name = false;
        for word in line.split_whitespace() {
            if !clean.is_empty() {
                clean.push(' ');
            }
            let (text, named) = blot(word, after_name);
            clean.push_str(&text);
            after_name = named;
        }
        match clean.char_indices().nth(LENGTH) {
            Some((end, _)) => format!("{}…", &clean[..end]),
            None => clean,
        }
    }
}

/// A word without its secret, and whether one stands in the next word.
fn blot(word: &str, after_name: bool) -> (String, bool) {
    let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
    let lower = bare.to_ascii_lowercase();
    let names = NAMES.iter().any(|name| lower.ends_with(name));
    if names {
        // `token:` stands before it, and so does `Bearer`; `the token is` does not.
        let announces = word.ends_with([':', '=']) || lower == "bearer" || after_name;
        return (word.to_owned(), announces);
    }
    // `key=value`, `"key":"value"`, `https://user:password@host`.
    let split = word.char_indices().find(|(_, c)| matches!(c, '=' | ':'));
    if let Some((at, _)) = split {
        let name = word[..at].trim_matches(|c: char| !c.is_alphanumeric()).to_ascii_lowercase();
        if is_name(&name) {
            return (format!("{}{BLOT}", &word[..=at]), false);
        }
        if let Some((scheme, rest)) = word.split_once("://")
            && let Some((_, place)) = rest.split_once('@')
        {
            return (format!("{scheme}://{BLOT}@{place}"), false);
        }
    }
    if after_name || bare.split(['=', ':', ',', '"', '\'', '(', ')', '?', '&']).any(is_key) {
        return (BLOT.to_owned(), false);
    }
    (word.to_owned(), false)
}

/// Whether something of this name is a secret.
fn is_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    NAMES.iter().any(|secret| name.ends_with(secret)) || name.ends_with("key")
}

/// Long, with letters and digits, and no path or name of a module.
fn is_key(word: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '=');
    word.len() >= SHORTEST_KEY
        && word.chars().all(fits)
        && word.bytes().any(|c| c.is_ascii_digit())
        && word.bytes().any(|c| c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_blotted_out() {
        let redactor = Redactor::new(["hunter2", "true", "my own value"]);
        // Put together here, so that nobody's scanner takes it for a real one.
        let key = format!("sk-{}", "a1B2c3D4e5F6g7H8");
        for (line, clean) in [
            (format!("started with {key}, fine"), "started with [redacted] fine"),
            (format!("API_KEY={key}"), "API_KEY=[redacted]"),
            (format!(r#"{{"token":"{key}"}}"#), r#"{"token":[redacted]"#),
            ("password: correct horse".to_owned(), "password: [redacted] horse"),
            ("Authorization: Bearer abc".to_owned(), "Authorization: Bearer [redacted]"),
            ("login hunter2 my own value".to_owned(), "login [redacted] [redacted]"),
            ("at https://me:pw@example.org/x".to_owned(), "at https://[redacted]@example.org/x"),
            ("\x1b[31mred\x07".to_owned(), "[31mred"),
        ] {
            assert_eq!(redactor.clean(&line), clean, "{line}");
        }
    }

    #[test]
    fn arguments_are_secrets_by_the_names_of_their_flags() {
        let args = ["server.js", "--api-key", "one", "--token=two", "--port", "80", "-v"].map(str::to_owned);
        let secrets: Vec<&str> = Redactor::secret_arguments(&args).collect();
        assert_eq!(secrets, ["one", "two"]);
    }

    #[test]
    fn what_helps_stays() {
        let redactor = Redactor::new(["1"]);
        for line in [
            "Error: Cannot find module '/srv/server.js'",
            "ModuleNotFoundError: No module named 'mcp_server_time'",
            "listening on http://127.0.0.1:8080/mcp",
            "the token is missing",
            "Secure MCP Filesystem Server running on stdio",
        ] {
            assert_eq!(redactor.clean(line), line);
        }
        assert_eq!(redactor.clean(&"x".repeat(500)).chars().count(), LENGTH + 1);
    }

    #[test]
    fn a_flood_is_counted_and_only_its_end_is_kept() {
        let mut lines = Lines::new(Redactor::default());
        let mut written = Written::default();
        for n in 0..10_000 {
            // In pieces that end anywhere.
            for piece in format!("line {n}\n").as_bytes().chunks(3) {
                lines.feed(piece, &mut written);
            }
        }
        lines.feed(&vec![b'y'; 1_000_000], &mut written);
        assert!(lines.open.len() <= Lines::OPEN, "a line without an end takes no more room");
        lines.end(&mut written);
        assert_eq!(written.lines, 10_001);
        assert_eq!(written.last.len(), LINES);
        assert_eq!(written.last[0], "line 9998");
        assert!(written.bytes > 1_000_000);
    }

    /// Lines of one read are told like those of many.
    #[test]
    fn the_last_lines_are_the_same_however_they_come() {
        let text = "one\ntwo token=sesame\n\n  \nthree\nfour hunter2\nfive";
        let told = |size: usize| {
            let mut lines = Lines::new(Redactor::new(["hunter2"]));
            let mut written = Written::default();
            for piece in text.as_bytes().chunks(size) {
                lines.feed(piece, &mut written);
            }
            lines.end(&mut written);
            written
        };
        assert_eq!(told(1), told(1_000));
        assert_eq!(told(1).last, ["three", "four [redacted]", "five"]);
        assert_eq!(told(1).lines, 7);
    }

    /// A secret that stands where a line is cut must not come through in part.
    #[test]
    fn a_secret_is_not_cut_in_two() {
        let mut lines = Lines::new(Redactor::new(["swordfish"]));
        let mut written = Written::default();
        lines.feed(format!("{} swordfish\n", "z ".repeat(96)).as_bytes(), &mut written);
        assert!(!written.last[0].contains("sword"), "{}", written.last[0]);
    }
}
