//! Blots out secrets of what servers write and of where they are: what they were given (values of their environment, headers,
//! arguments), and what looks like a key. It makes leaks rare and cannot make them impossible.

/// Characters that are kept of a line.
pub(super) const LENGTH: usize = 200;

/// What stands in place of a secret.
pub(crate) const BLOT: &str = "[redacted]";

/// A value that was given to the server is a secret from this length on. Shorter ones are words such as `1` and `true`.
const SHORTEST_VALUE: usize = 4;

/// A word of this length that mixes letters and digits is taken for a key.
const SHORTEST_KEY: usize = 16;

/// The same of one with slashes, as base64 has them: paths are shorter, or have other characters as well.
const SHORTEST_BASE64: usize = 24;

/// So much of a longer value is enough to know it by: where a line is cut off, or only a part of the value is written.
const ENOUGH: usize = 24;

/// A line of a value that has several is a secret by itself from this length on.
const SHORTEST_LINE: usize = 8;

/// Words after which a secret stands.
const NAMES: [&str; 9] =
    ["token", "secret", "password", "passwd", "apikey", "api_key", "api-key", "authorization", "bearer"];

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
        let mut known: Vec<String> = Vec::new();
        for value in values {
            if value.len() >= SHORTEST_VALUE {
                known.push(value.to_owned());
            }
            // A key in PEM has lines, and programs write them one by one; in a variable they are often spelled `\n`.
            let lines = value.split('\n').flat_map(|line| line.split("\\n")).map(str::trim);
            known.extend(lines.filter(|line| line.len() >= SHORTEST_LINE && *line != value).map(str::to_owned));
        }
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
            line = without(line, value);
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

/// A line without this value, and without what is only the beginning of it if that is long enough.
fn without(line: String, value: &str) -> String {
    let needle = &value[..value.floor_char_boundary(ENOUGH)];
    if !line.contains(needle) {
        return line;
    }
    let mut clean = String::with_capacity(line.len());
    let mut rest = line.as_str();
    while let Some(at) = rest.find(needle) {
        clean.push_str(&rest[..at]);
        clean.push_str(BLOT);
        let same = rest[at..].chars().zip(value.chars()).take_while(|(one, other)| one == other);
        rest = &rest[at + same.map(|(c, _)| c.len_utf8()).sum::<usize>()..];
    }
    clean + rest
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
    if after_name || looks_like_key(bare) {
        return (BLOT.to_owned(), false);
    }
    if let Some((scheme, rest)) = word.split_once("://") {
        let parts: Vec<&str> = rest.split('/').map(|part| if looks_like_key(part) { BLOT } else { part }).collect();
        return (format!("{scheme}://{}", parts.join("/")), false);
    }
    (word.to_owned(), false)
}

/// Whether something of this name is a secret.
fn is_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    NAMES.iter().any(|secret| name.ends_with(secret)) || name.ends_with("key")
}

/// Whether some part of a word looks like a key.
pub(crate) fn looks_like_key(word: &str) -> bool {
    // A JWT has dots. What has an extension has them too: `index.3f9c01ab.js` has no part that is long enough.
    let parts = |word: &str| word.split(['=', ':', ',', '"', '\'', '(', ')', '?', '&', '.', ';']).any(is_key);
    parts(word) || is_base64(word)
}

/// Long, with slashes, in letters of both kinds and digits, and with nothing else that paths have.
fn is_base64(word: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '+' | '=');
    word.len() >= SHORTEST_BASE64
        && word.contains('/')
        && !word.starts_with('/')
        && word.chars().all(fits)
        && word.bytes().filter(u8::is_ascii_digit).count() >= 2
        && word.bytes().any(|c| c.is_ascii_uppercase())
        && word.bytes().any(|c| c.is_ascii_lowercase())
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
            // A bare JWT, and base64.
            (format!("got eyJhbGciOiJIUzI1NiJ9.{}.{}", "eyJzdWIiOiIxMjM0NSJ9", "dBjftJeZ4CVP"), "got [redacted]"),
            (format!("secret is {}/{}", "wJalrXUtnFEMI", "K7MDENG/bPxRfi9CYEXAMPLE"), "secret is [redacted]"),
            (format!("GET https://h.example/api/{key}/mcp"), "GET https://h.example/api/[redacted]/mcp"),
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
            "at node_modules/@modelcontextprotocol/server-memory/dist/index.js:12",
            "GET http://127.0.0.1:8080/api/v1/index.3f9c01ab.js",
            "src/Components/Main/Index/App",
        ] {
            assert_eq!(redactor.clean(line), line);
        }
        assert_eq!(redactor.clean(&"x".repeat(500)).chars().count(), LENGTH + 1);
    }
}
