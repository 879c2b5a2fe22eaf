//! From text to a table that knows the place of each key and value; or what is wrong with the TOML itself.

use crate::{Diagnostic, text::Text, text::quote};
use std::ops::Range;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// The most syntax errors shown of one file. After the first few they are echoes of each other.
const MAX_SHOWN: usize = 8;

/// The most syntax errors that are looked at. To explain one may need another parse.
const MAX_LOOKED_AT: usize = 64;

/// Parses a file, or reports all syntax errors that could be told apart.
pub(crate) fn parse(text: &Text) -> Result<DeTable<'_>, Vec<Diagnostic>> {
    let (table, mut errors) = DeTable::parse_recoverable(&text.text);
    let table = table.into_inner();
    if errors.is_empty() {
        return Ok(table);
    }
    errors.sort_by_key(|error| error.span().map(|span| span.start));
    errors.truncate(MAX_LOOKED_AT);
    let mut faults: Vec<Diagnostic> = errors.iter().filter_map(|error| explain(text, &table, error)).collect();
    faults.sort_by_key(|fault| (fault.line, fault.column));
    // Several errors of one line are one mistake.
    faults.dedup_by_key(|fault| fault.line);
    faults.truncate(MAX_SHOWN);
    Err(faults)
}

fn explain(text: &Text, table: &DeTable<'_>, error: &toml::de::Error) -> Option<Diagnostic> {
    let span = error.span().unwrap_or(text.text.len()..text.text.len());
    // The parser's "expected nothing" says: it should have ended here.
    let message = error.message().trim_end_matches(", expected nothing");
    if message == "duplicate key" {
        return duplicate(text, table, span);
    }
    let advice = if message.starts_with("unclosed table") {
        "a section's name ends with `]`"
    } else if message.starts_with("unclosed array") {
        "a list ends with `]`"
    } else if message.contains("key with no value") {
        "write `key = value`"
    } else if message.contains("must be quoted") || message.contains("float") || message.contains("integer") {
        "after every `=` there is a value, and a text stands in quotes"
    } else if message.contains("string") {
        "a text begins and ends with the same quotes, on one line"
    } else if message.contains("boolean") {
        "write true or false, or put the text in quotes"
    } else {
        "the syntax is that of TOML 1.1: https://toml.io"
    };
    Some(Diagnostic::at("E0101", text, &span, message).advise(advice))
}

/// A key or section that stands twice. A source that does is told as such (E0106); the keys in a second section of the
/// same name are only an echo of that.
fn duplicate(text: &Text, table: &DeTable<'_>, span: Range<usize>) -> Option<Diagnostic> {
    let name = quote(&text.text[span.clone()]);
    let line_start = text.text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let header = text.text[line_start..].trim_start().starts_with('[');
    let (before, _) = DeTable::parse_recoverable(&text.text[..line_start]);
    let mut first = None;
    let mut path = Vec::new();
    if header && path_of(table, &span, &mut path) {
        first = lookup(before.get_ref(), &path);
    } else if !header {
        let section = before_section(&text.text[..line_start]);
        if text.text[..section].lines().any(|line| line.trim() == header_at(&text.text, section)) && section > 0 {
            return None;
        }
        last_key(before.get_ref(), &text.text[span.clone()], section, &mut first);
    }
    let mut fault = match path.as_slice() {
        [root, _] if *root == "source" => {
            Diagnostic::at("E0106", text, &span, format!("source `{name}` is defined twice"))
                .advise("give one of them another name, or remove it")
        }
        _ if header => Diagnostic::at("E0101", text, &span, format!("section `{name}` stands twice"))
            .advise("put the keys of both under one of them"),
        _ => Diagnostic::at("E0101", text, &span, format!("key `{name}` stands twice")).advise("remove one of them"),
    };
    fault = fault.label("again here");
    Some(match first {
        Some(first) => fault.also(text, &first, "first here"),
        None => fault,
    })
}

/// Where the last section of a text begins.
fn before_section(text: &str) -> usize {
    text.rfind("\n[").map_or(0, |at| at + 1)
}

fn header_at(text: &str, section: usize) -> &str {
    text[section..].lines().next().unwrap_or_default().trim()
}

/// The keys that lead to the key at `span`.
fn path_of<'a>(table: &'a DeTable<'_>, span: &Range<usize>, path: &mut Vec<&'a str>) -> bool {
    for (key, value) in table {
        path.push(key.get_ref());
        let inner = match value.get_ref() {
            DeValue::Table(inner) => Some(inner),
            _ => None,
        };
        if key.span() == *span || inner.is_some_and(|inner| path_of(inner, span, path)) {
            return true;
        }
        path.pop();
    }
    false
}

fn lookup(table: &DeTable<'_>, path: &[&str]) -> Option<Range<usize>> {
    let (name, rest) = path.split_first()?;
    let (key, value) = entry(table, name)?;
    match (rest, value.get_ref()) {
        ([], _) => Some(key.span()),
        (_, DeValue::Table(inner)) => lookup(inner, rest),
        _ => None,
    }
}

/// A key and its value.
pub(crate) fn entry<'t, 'i>(
    table: &'t DeTable<'i>,
    name: &str,
) -> Option<(&'t Spanned<std::borrow::Cow<'i, str>>, &'t Spanned<DeValue<'i>>)> {
    table.iter().find(|(key, _)| *key.get_ref() == name)
}

fn last_key(table: &DeTable<'_>, name: &str, from: usize, found: &mut Option<Range<usize>>) {
    for (key, value) in table {
        let span = key.span();
        if *key.get_ref() == name && span.start >= from && found.as_ref().is_none_or(|f| f.start < span.start) {
            *found = Some(span);
        }
        if let DeValue::Table(inner) = value.get_ref() {
            last_key(inner, name, from, found);
        }
    }
}
