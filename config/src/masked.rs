//! A value as a line of the diff shows it: short, on one line, and without secrets; and lines of a file as a fault shows
//! them. Both are logged, answered and published to all clients; whoever may read events need not know the password of a
//! source.

use crate::text::visible;
use serde_json::{Map, Value};
use std::ops::Range;

/// What stands for a secret.
const MASK: &str = "•••";

/// Words in the name of a setting, or of a program's option, whose value is nobody's business.
const SECRET: [&str; 8] = ["token", "secret", "password", "passwd", "passphrase", "credential", "credentials", "key"];

/// Tables whose values are secrets, whatever they are called: what a program is given as its environment, and what a server
/// is sent.
const SECRET_TABLES: [&str; 2] = ["env", "headers"];

/// The most characters shown of one value.
const LONGEST: usize = 120;

/// The value of the key `path`.
pub(crate) fn value(path: &str, value: &Value) -> String {
    let path = &without_indexes(path);
    let masked = match value {
        _ if path.rsplit('.').next().is_some_and(is_secret) || is_below_a_secret(path) => Value::from(MASK),
        Value::Array(items) if is_a_servers(path, "args") => nothing_of(items),
        Value::Object(server) if is_server(path) => without_arguments(server),
        // Where it asks for a token, that stands in the query.
        Value::String(url) if has_a_secret_query(path) => Value::from(without_query(url)),
        Value::Object(entries) if path.rsplit('.').next().is_some_and(is_secret_table) => all_masked(entries),
        value => mask(value),
    };
    let text = match &masked {
        Value::String(text) if is_plain(text) => text.clone(),
        other => crate::toml_text::value(other),
    };
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => visible(&text[..end]) + "…",
        None => visible(&text),
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"' || c == '→')
}

/// Whether a key or an option (`--api-key`) names a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    name.split(|c: char| !c.is_alphanumeric()).any(|word| SECRET.contains(&word))
}

/// Whether a table of this name holds secrets.
fn is_secret_table(name: &str) -> bool {
    SECRET_TABLES.contains(&name)
}

/// Whether it is a value of such a table of a source, `source.mcp.servers.files.env.LOGIN`, or of one that is itself a
/// secret: `source.x.feeds.password.a`.
fn is_below_a_secret(path: &str) -> bool {
    let mut above = path.split('.').rev().skip(1);
    let mut settings = path.split('.').skip(2);
    path.starts_with("source.") && (above.any(is_secret_table) || settings.any(is_secret))
}

/// `source.x.feeds[0].url` as `source.x.feeds.url`: which one of a list it is says nothing of what it holds.
fn without_indexes(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    for piece in path.split_inclusive(']') {
        let index = piece.rsplit_once('[').filter(|(_, rest)| {
            rest.strip_suffix(']')
                .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
        });
        plain.push_str(index.map_or(piece, |(before, _)| before));
    }
    plain
}

/// Webhooks' URLs, and those of the servers that a source asks.
fn has_a_secret_query(path: &str) -> bool {
    (path.starts_with("webhook.") && path.rsplit('.').next() == Some("url")) || is_a_servers(path, "url")
}

/// Whether it is this setting of a server that a source runs or asks: `source.mcp.servers.files.args`.
fn is_a_servers(path: &str, key: &str) -> bool {
    path.starts_with("source.") && path.contains(".servers.") && path.rsplit('.').next() == Some(key)
}

/// Whether it is such a server as a whole.
fn is_server(path: &str) -> bool {
    path.starts_with("source.") && path.rsplit('.').nth(1) == Some("servers")
}

/// How many there are, and nothing of them: what a server is started with may be anything.
fn nothing_of(items: &[Value]) -> Value {
    Value::Array(items.iter().map(|_| Value::from(MASK)).collect())
}

fn without_arguments(server: &Map<String, Value>) -> Value {
    let mut masked = mask(&Value::Object(server.clone()));
    if let Some(Value::Array(items)) = masked.get_mut("args") {
        let hidden = nothing_of(items);
        masked["args"] = hidden;
    }
    masked
}

fn all_masked(entries: &Map<String, Value>) -> Value {
    Value::Object(entries.keys().map(|key| (key.clone(), Value::from(MASK))).collect())
}

fn mask(value: &Value) -> Value {
    let one = |(key, value): (&String, &Value)| {
        let masked = match value {
            _ if is_secret(key) => Value::from(MASK),
            Value::Object(entries) if is_secret_table(key) => all_masked(entries),
            value => mask(value),
        };
        (key.clone(), masked)
    };
    match value {
        Value::Object(entries) => Value::Object(entries.iter().map(one).collect()),
        Value::Array(items) => {
            let mut secret_follows = false;
            let masked = items.iter().map(|item| {
                let hidden = std::mem::take(&mut secret_follows);
                let Value::String(word) = item else { return mask(item) };
                match word.split_once('=') {
                    _ if hidden => Value::from(MASK),
                    Some((option, _)) if is_secret(option) => Value::from(format!("{option}={MASK}")),
                    _ => {
                        secret_follows = word.starts_with('-') && is_secret(word);
                        mask(item)
                    }
                }
            });
            Value::Array(masked.collect())
        }
        Value::String(text) => Value::from(without_password(text)),
        other => other.clone(),
    }
}

/// `https://user:password@host` without the password.
fn without_password(text: &str) -> String {
    let masked = || {
        let (scheme, rest) = text.split_once("://")?;
        let (authority, _) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user, host) = authority.rsplit_once('@')?;
        let (name, _) = user.split_once(':')?;
        Some(format!("{scheme}://{name}:{MASK}@{host}{}", &rest[authority.len()..]))
    };
    masked().unwrap_or_else(|| text.to_owned())
}

fn without_query(url: &str) -> String {
    match url.split_once('?') {
        Some((before, _)) => format!("{}?{MASK}", without_password(before)),
        None => without_password(url),
    }
}

/// Lines of a config file with `*` for each byte of a secret, so that every other place is where it was. `before` is what
/// stands above them: a secret's table may begin there.
pub(crate) fn lines(before: &str, text: &str) -> String {
    let mut hidden: Vec<Range<usize>> = Vec::new();
    for (equals, _) in text.match_indices('=') {
        let start_of_line = text[..equals].rfind('\n').map_or(0, |at| at + 1);
        let key = text[start_of_line..equals].trim();
        let name = text[..equals].trim_end_matches([' ', '\t', '"', '\'']);
        let name = &name[name.rfind(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).map_or(0, |at| at + 1)..];
        let table = key.rsplit('.').skip(1).any(is_secret_table)
            || last_header(&text[..start_of_line]).or_else(|| last_header(before)).is_some_and(is_secret_header);
        let arguments = name == "args";
        if !(is_secret(name) || is_secret_table(name) || table || arguments) {
            continue;
        }
        let rest = &text[equals + 1..];
        let line = &rest[..rest.find(['\n', '\r']).unwrap_or(rest.len())];
        let value = line.trim_start();
        let start = equals + 1 + line.len() - value.len();
        let length = match value.chars().next() {
            // What a program is started with, to the end of what is shown: it may go on in the next lines.
            Some('[') if arguments => text.len() - start,
            Some('{') if is_secret_table(name) => value.len(),
            // `{ env = "NAME" }`: where it is found, not the secret.
            Some('{') | None => 0,
            _ if is_secret_table(name) && !table => 0,
            Some(quote @ ('"' | '\'')) => value[1..].rfind(quote).map_or(value.len(), |at| at + 1),
            Some(_) => value.len(),
        };
        hidden.push(start..start + length);
    }
    for (at, _) in text.match_indices("whsec_") {
        let rest = &text[at..];
        hidden.push(at..at + rest.find(|c: char| c.is_whitespace() || c == '"' || c == '\'').unwrap_or(rest.len()));
    }
    for (at, _) in text.match_indices("://") {
        let rest = &text[at + 3..];
        let authority = &rest[..rest.find(|c: char| c.is_whitespace() || "/?#\"'".contains(c)).unwrap_or(rest.len())];
        if let Some((user, _)) = authority.rsplit_once('@')
            && let Some((name, password)) = user.split_once(':')
        {
            let start = at + 3 + name.len() + 1;
            hidden.push(start..start + password.len());
        }
    }
    if is_in_arguments(before) {
        hidden.push(0..text.len());
    }
    let hide = |(at, c): (usize, char)| {
        let kept = matches!(c, '"' | '\'' | '\n' | '\r');
        let inside = !kept && hidden.iter().any(|range| range.contains(&at));
        if inside { "*".repeat(c.len_utf8()) } else { c.to_string() }
    };
    text.char_indices().map(hide).collect()
}

/// Whether a list of arguments goes on behind this text.
fn is_in_arguments(before: &str) -> bool {
    let open = |line: &str| {
        line.split_once('=')
            .is_some_and(|(key, value)| key.trim_end().ends_with("args") && value.trim_start().starts_with('['))
    };
    let mut lines =
        before.lines().rev().map(str::trim).take_while(|line| !line.starts_with('[') && !line.ends_with(']'));
    lines.any(open)
}

/// The last line of a text that begins a table.
fn last_header(text: &str) -> Option<&str> {
    text.lines().rev().map(str::trim).find(|line| line.starts_with('['))
}

/// Whether it begins a table of a source that holds secrets: `[source.mcp.servers.files.env]`.
fn is_secret_header(line: &str) -> bool {
    let name = line.trim_start_matches('[').split(']').next().unwrap_or_default();
    name.rsplit('.').next().is_some_and(|last| is_secret_table(last.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn plain_values_stand_bare_and_others_in_quotes() {
        assert_eq!(value("a", &json!("1s")), "1s");
        assert_eq!(value("a", &json!("")), "\"\"");
        assert_eq!(value("a", &json!("two words")), "\"two words\"");
        assert_eq!(value("a", &json!("esc\u{1b}[31m")), "\"esc\\u001b[31m\"");
        assert_eq!(value("a", &json!([1, "x"])), "[1, \"x\"]");
        assert_eq!(value("a", &json!("x".repeat(500))), "x".repeat(120) + "…");
    }

    #[test]
    fn secrets_are_recognised_by_their_names() {
        for name in ["token", "api-key", "client_secret", "PASSWORD", "source.x.auth_token"] {
            assert_eq!(value(name, &json!("hunter2")), MASK, "{name}");
        }
        for name in ["keyboard", "tokens_per_second_limit_monkey", "interval"] {
            assert_eq!(value(name, &json!("5")), "5", "{name}");
        }
    }

    #[test]
    fn lines_hide_what_stands_behind_the_name_of_a_secret() {
        for (line, shown) in [
            ("secret = \"whsec_abc\"", "secret = \"*********\""),
            ("secret = whsec_abc", "secret = *********"),
            ("secret = \"abc", "secret = \"***"),
            ("a.api_token='x y' # mine", "a.api_token='***' # mine"),
            ("\"password\" = \"ä\"", "\"password\" = \"**\""),
            ("secret = { env = \"HOOK\" }", "secret = { env = \"HOOK\" }"),
            ("secret = { env = \"whsec_abc\" }", "secret = { env = \"*********\" }"),
            ("url = \"https://me:pw@h/@\"", "url = \"https://me:**@h/@\""),
            ("interval = \"1s\"", "interval = \"1s\""),
            ("token = 5\ninterval = 5", "token = *\ninterval = 5"),
        ] {
            assert_eq!(lines("", line), shown);
            assert_eq!(lines("", line).len(), line.len());
        }
    }

    /// A server's environment was printed, logged and published with each reload that changed it.
    #[test]
    fn environments_and_headers_are_hidden_whatever_they_are_called() {
        for path in ["source.mcp.servers.files.env.LOGIN", "source.mcp.servers.far.headers.Authorization"] {
            assert_eq!(value(path, &json!("hunter2")), MASK, "{path}");
        }
        let server = json!({ "command": "x", "env": { "LOGIN": "hunter2" }, "inherit": ["LOGIN"] });
        let shown = value("source.mcp.servers.files", &server);
        assert!(!shown.contains("hunter2") && shown.contains("LOGIN"), "{shown}");
        assert!(!value("source.mcp.servers.files.env", &json!({ "LOGIN": "hunter2" })).contains("hunter2"));
        assert_eq!(value("source.mcp.servers.far.url", &json!("https://h/mcp?k=hunter2")), "https://h/mcp?•••");
        // Where something is found is no secret.
        assert_eq!(value("source.x.env", &json!("HOOK")), "HOOK");
        for (before, line) in [
            ("", "env = { A = \"hunter2\" }"),
            ("", "servers.x.env.A = 'hunter2'"),
            ("[source.mcp.servers.x.headers]\na = \"1\"\n", "B = \"hunter2\""),
        ] {
            assert!(!lines(before, line).contains("hunter2"), "{line}");
            assert_eq!(lines(before, line).len(), line.len());
        }
        let other = "[source.mcp]\ninterval = \"1s\"";
        assert_eq!(lines("[source.mcp.servers.x.env]\n", other), other);
    }

    /// Harm prevented: a connection string among a server's arguments was published with each reload that changed it.
    #[test]
    fn arguments_of_servers_are_hidden() {
        let args = json!(["-y", "server", "postgres://me:hunter2@h/db", "hunter2"]);
        assert_eq!(value("source.mcp.servers.files.args", &args), r#"["•••", "•••", "•••", "•••"]"#);
        let server = value("source.mcp.servers.files", &json!({ "command": "npx", "args": args }));
        assert!(!server.contains("hunter2") && server.contains("npx"), "{server}");
        assert_eq!(value("source.x.args", &json!(["--all"])), "[\"--all\"]");
        for line in ["args = [\"hunter2\"]", "servers.x.args = [1, 'hunter2',\n  'hunter2']"] {
            assert!(!lines("[source.mcp.servers.x]\n", line).contains("hunter2"), "{line}");
            assert_eq!(lines("", line).len(), line.len());
        }
        assert_eq!(lines("args = [\n  'a',\n", "  'hunter2', 5"), "**'*******'***");
        assert_eq!(lines("args = [\n  'a',\n]\n", "interval = 5"), "interval = 5");
    }

    #[test]
    fn the_query_of_a_webhook_is_hidden() {
        assert_eq!(value("webhook.x.url", &json!("https://h/p?token=abc")), "https://h/p?•••");
        assert_eq!(value("webhook.x.url", &json!("https://h/p")), "https://h/p");
        assert_eq!(value("source.x.url", &json!("https://h/p?a=1")), "https://h/p?a=1");
    }

    #[test]
    fn the_password_of_an_address_is_hidden() {
        assert_eq!(value("url", &json!("https://me:hunter2@host/path")), "https://me:•••@host/path");
        assert_eq!(value("url", &json!("https://host/a@b:c")), "https://host/a@b:c");
    }
}
