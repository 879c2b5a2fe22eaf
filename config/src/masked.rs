//! A value as a line of the diff shows it: short, on one line, and without secrets. The diff is logged, answered and
//! published to all clients; whoever may read events need not know the password of a source.

use crate::text::visible;
use serde_json::Value;

/// What stands for a secret.
const MASK: &str = "•••";

/// Words in the name of a setting, or of a program's option, whose value is nobody's business.
const SECRET: [&str; 8] = ["token", "secret", "password", "passwd", "passphrase", "credential", "credentials", "key"];

/// The most characters shown of one value.
const LONGEST: usize = 120;

/// The value of the key `path`.
pub(crate) fn value(path: &str, value: &Value) -> String {
    let masked = if path.rsplit('.').next().is_some_and(is_secret) { Value::from(MASK) } else { mask(value) };
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

fn mask(value: &Value) -> Value {
    match value {
        Value::Object(entries) => Value::Object(
            entries
                .iter()
                .map(|(key, value)| (key.clone(), if is_secret(key) { Value::from(MASK) } else { mask(value) }))
                .collect(),
        ),
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
    fn the_password_of_an_address_is_hidden() {
        assert_eq!(value("url", &json!("https://me:hunter2@host/path")), "https://me:•••@host/path");
        assert_eq!(value("url", &json!("https://host/a@b:c")), "https://host/a@b:c");
    }
}
