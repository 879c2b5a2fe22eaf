//! `[[webhook]]`: each table against the schema, and what no schema says of it.

use crate::{
    Catalog, Diagnostic, SecretRef, Webhook,
    check::{MAX_FAULTS, Settings, Subject, Walk},
    load::absolute,
    schema,
    sources::{MAX_NAME, is_plain},
    syntax::entry,
    text::{Text, quote},
};
use std::{collections::BTreeMap, ops::Range, path::PathBuf};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Where the webhooks stand, and whom to ask about channels and expressions.
pub(crate) struct Webhooks<'a> {
    pub(crate) text: &'a Text,
    /// The absolute directory of the file.
    pub(crate) directory: PathBuf,
    pub(crate) catalog: &'a dyn Catalog,
}

impl Webhooks<'_> {
    /// Checks all webhooks of the main file. Those that are good come back.
    pub(crate) fn check(&self, table: &DeTable<'_>, faults: &mut Vec<Diagnostic>) -> BTreeMap<String, Webhook> {
        let mut good = BTreeMap::new();
        let Some((key, value)) = entry(table, "webhook") else { return good };
        let DeValue::Array(items) = value.get_ref() else {
            let fault = Diagnostic::at("E0103", self.text, &key.span(), "`webhook` must be a list of tables");
            faults.push(fault.advise("write [[webhook]], and the name as a key: `name = \"…\"`"));
            return good;
        };
        let mut first: BTreeMap<&str, Range<usize>> = BTreeMap::new();
        for item in items {
            if faults.len() >= MAX_FAULTS {
                break;
            }
            let Some(table) = item.get_ref().as_table() else {
                let fault = Diagnostic::at("E0103", self.text, &item.span(), "a webhook must be a table");
                faults.push(fault.advise("write [[webhook]]"));
                continue;
            };
            let name = text_of(table, "name");
            if let Some((name, span)) = &name {
                if let Some(other) = first.get(name) {
                    let message = format!("webhook `{}` is defined twice", quote(name));
                    let fault = Diagnostic::at("E0106", self.text, span, message).label("again here");
                    let fault = fault.advise("give one of them another name, or remove it");
                    faults.push(fault.also(self.text, other, "first here"));
                    continue;
                }
                first.insert(name, span.clone());
            }
            let before = faults.len();
            let webhook = self.one(item.span(), name.map_or("webhook", |(name, _)| name), table, faults);
            if let Some(webhook) = webhook.filter(|_| faults.len() == before) {
                good.insert(webhook.name.clone(), webhook);
            }
        }
        good
    }

    fn one(&self, at: Range<usize>, owner: &str, table: &DeTable<'_>, faults: &mut Vec<Diagnostic>) -> Option<Webhook> {
        let before = faults.len();
        self.name(table, faults);
        self.url(table, faults);
        self.channels(table, faults);
        self.backoff(table, faults);
        self.secret(table, faults);
        self.expression(table, faults);
        let mut walk = Walk::new(self.text, schema::document(), Subject::Host);
        let entries = table.iter().collect();
        let plain = walk.table(schema::webhook_table(), &Settings { entries, owner, at: at.clone(), also: &[] });
        faults.append(&mut walk.found);
        let clean = faults.len() == before;
        match serde_json::from_value::<Webhook>(plain) {
            Ok(mut webhook) => {
                if let SecretRef::File(path) = &mut webhook.secret {
                    *path = absolute(&self.directory, path);
                }
                Some(webhook)
            }
            Err(error) if clean => {
                faults.push(Diagnostic::at("E0104", self.text, &at, error.to_string()));
                None
            }
            Err(_) => None,
        }
    }

    fn fault(&self, span: &Range<usize>, message: String, fix: impl Into<String>) -> Diagnostic {
        Diagnostic::at("E0104", self.text, span, message).suggest(fix)
    }

    fn name(&self, table: &DeTable<'_>, faults: &mut Vec<Diagnostic>) {
        let Some((name, span)) = text_of(table, "name") else { return };
        let fix = if name.is_empty() {
            return; // The schema's business.
        } else if !is_plain(name) {
            "letters, digits and `_ - .` can stand in it".to_owned()
        } else if name.len() > MAX_NAME {
            format!("at most {MAX_NAME} characters")
        } else if name.starts_with('.') {
            "a name does not begin with a dot".to_owned()
        } else {
            return;
        };
        faults.push(self.fault(&span, format!("`{}` cannot be a webhook's name", quote(name)), fix));
    }

    fn url(&self, table: &DeTable<'_>, faults: &mut Vec<Diagnostic>) {
        let Some((url, span)) = text_of(table, "url") else { return };
        // The address is not repeated: it may hold what is nobody's business.
        if let Err((what, fix)) = check_url(url) {
            faults.push(self.fault(&span, format!("`url`: {what}"), fix));
        }
    }

    fn channels(&self, table: &DeTable<'_>, faults: &mut Vec<Diagnostic>) {
        let channels = entry(table, "channels").and_then(|(_, value)| value.get_ref().as_array());
        let channels = channels.into_iter().flat_map(|items| items.iter());
        for item in channels {
            let Some(pattern) = item.get_ref().as_str() else { continue };
            if let Err(reason) = self.catalog.check_channel(pattern) {
                let message = format!("`{}` is no channel name or pattern", quote(pattern));
                faults.push(self.fault(&item.span(), message, reason));
            }
        }
        let Some((name, span)) = text_of(table, "dead_letter") else { return };
        let refusal = match self.catalog.check_channel(name) {
            Err(reason) => reason,
            Ok(()) if name.contains(['*', '?']) => "a pattern names no one channel".to_owned(),
            Ok(()) => return,
        };
        faults.push(self.fault(&span, format!("`{}` is no channel name", quote(name)), refusal));
    }

    fn backoff(&self, table: &DeTable<'_>, faults: &mut Vec<Diagnostic>) {
        let period = |name| {
            let (text, span) = text_of(table, name)?;
            Some((text.parse::<crate::Period>().ok()?.0, span))
        };
        let (min, max) = (period("backoff_min"), period("backoff_max"));
        let Some((_, span)) = max.as_ref().or(min.as_ref()) else { return };
        let (least, most) = Webhook::default_backoff();
        let (least, most) = (min.as_ref().map_or(least, |min| min.0), max.as_ref().map_or(most, |max| max.0));
        if most < least {
            let fix = match &max {
                Some(_) => format!("`backoff_min` is \"{}\"", crate::Period(least)),
                None => format!("`backoff_max` is \"{}\"", crate::Period(most)),
            };
            faults.push(self.fault(span, "`backoff_max` is shorter than `backoff_min`".to_owned(), fix));
        }
    }

    /// The schema says what the keys are; here: that exactly one stands there, and that a secret does not.
    fn secret(&self, table: &DeTable<'_>, faults: &mut Vec<Diagnostic>) {
        let Some((_, value)) = entry(table, "secret") else { return };
        let DeValue::Table(keys) = value.get_ref() else { return };
        match keys.iter().nth(1) {
            None if keys.is_empty() => {
                let fix = "write `{ env = \"NAME\" }`, `{ file = \"PATH\" }` or `{ credential = \"NAME\" }`";
                faults.push(self.fault(&value.span(), "`secret` names no place".to_owned(), fix));
            }
            None => {}
            Some((second, _)) => {
                let fault = self.fault(&second.span(), "`secret` names two places".to_owned(), "keep one of them");
                faults.push(fault);
            }
        }
        for (key, value) in keys {
            let key: &str = key.get_ref();
            let refusal = match (key, value.get_ref().as_str()) {
                (_, Some(text)) if text.starts_with("whsec_") => {
                    faults.push(plain_secret(self.text, key, &value.span()));
                    continue;
                }
                ("env", Some(name)) if name.contains(['=', '\0']) => "a variable's name has no `=`",
                ("credential", Some(name)) if name.contains(['/', '\0']) || name.starts_with('.') => {
                    "a credential's name has no `/` and does not begin with a dot"
                }
                _ => continue,
            };
            faults.push(self.fault(&value.span(), format!("`{key}` cannot be that"), refusal));
        }
    }

    fn expression(&self, table: &DeTable<'_>, faults: &mut Vec<Diagnostic>) {
        let Some(filter) = entry(table, "filter").and_then(|(_, value)| value.get_ref().as_table()) else { return };
        let Some((_, value)) = entry(filter, "where") else { return };
        let Some(expression) = value.get_ref().as_str().filter(|text| !text.is_empty()) else { return };
        let Err(fault) = self.catalog.check_expression(expression) else { return };
        let span = within(&self.text.text, value, expression, fault.column);
        let refusal = Diagnostic::at("E0401", self.text, &span, format!("`where`: {}", fault.message));
        faults.push(match fault.help {
            Some(help) => refusal.suggest(help),
            None => refusal.label("here"),
        });
    }
}

/// A secret that stands in the config itself. The snippet does not show it: [`crate::render`] sees to that.
pub(crate) fn plain_secret(text: &Text, name: &str, span: &Range<usize>) -> Diagnostic {
    Diagnostic::at("E0402", text, span, format!("`{name}` holds a secret as plain text"))
        .label("the config is shown, copied and logged")
        .advise(
            "put it in a file that only the daemon's user can read and write `secret = { file = \"PATH\" }`; or \
             `{ env = \"NAME\" }`, or `{ credential = \"NAME\" }` with systemd",
        )
}

/// A string and where it stands.
fn text_of<'t>(table: &'t DeTable<'_>, name: &str) -> Option<(&'t str, Range<usize>)> {
    let (_, value) = entry(table, name)?;
    Some((value.get_ref().as_str()?, value.span()))
}

/// The character of an expression that is at fault, where it stands in the file; all of it when escapes are in the way.
fn within(file: &str, value: &Spanned<DeValue<'_>>, expression: &str, column: usize) -> Range<usize> {
    let whole = value.span();
    let Some(start) = file.get(whole.clone()).and_then(|raw| raw.find(expression)) else { return whole };
    let start = whole.start + start;
    match expression.char_indices().nth(column.saturating_sub(1)) {
        Some((at, c)) => start + at..start + at + c.len_utf8(),
        // Just behind the end: the closing quote.
        None => start + expression.len()..start + expression.len() + 1,
    }
}

/// Whether events can be posted to it; `Err` is what is wrong and how to mend it.
fn check_url(url: &str) -> Result<(), (&'static str, &'static str)> {
    const FORM: &str = "like \"https://example.org/hooks/headwater\"";
    let rest = match url.split_once("://") {
        Some(("http" | "https", rest)) => rest,
        Some(_) => return Err(("only http and https can be posted to", FORM)),
        None => return Err(("it is no web address", FORM)),
    };
    if url.chars().any(|c| !c.is_ascii_graphic() || matches!(c, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}')) {
        return Err(("a character that no web address has", "write it as %XX"));
    }
    if url.contains('#') {
        return Err(("what follows `#` is never sent", "remove it"));
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(("a name and password before `@` are refused", "the signature tells the receiver who sends"));
    }
    let (host, port) = match authority.rfind(':').filter(|at| !authority[*at..].contains(']')) {
        Some(at) => (&authority[..at], Some(&authority[at + 1..])),
        None => (authority, None),
    };
    if port.is_some_and(|port| !port.bytes().all(|b| b.is_ascii_digit()) || !port.parse::<u16>().is_ok_and(|p| p > 0)) {
        return Err(("its port is no number from 1 to 65535", FORM));
    }
    let bracketed = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    let good = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)),
    };
    if good { Ok(()) } else { Err(("it names no host", FORM)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_can_be_posted_to() {
        for url in [
            "https://example.org/hooks",
            "http://127.0.0.1:8080",
            "http://[::1]:8080/x?y=z",
            "https://a.b-c.example",
            "https://h/%40?user=a@b",
        ] {
            assert_eq!(check_url(url), Ok(()), "{url}");
        }
        for url in [
            "",
            "example.org",
            "ftp://example.org/",
            "https://",
            "https:///x",
            "https://me:pw@example.org/",
            "https://me@example.org/",
            "https://h:0/",
            "https://h:x/",
            "https://h:/",
            "https://h:70000/",
            "https://h/a b",
            "https://h/#x",
            "https://[::1/",
            "https://[zz]/",
            "https://h\n/",
            "https://ü.example/",
            "http://h:+80/",
        ] {
            assert!(check_url(url).is_err(), "{url:?}");
        }
    }
}
