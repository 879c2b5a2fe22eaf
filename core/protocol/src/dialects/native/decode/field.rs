//! Fields read one by one, so that what is wrong is named with its range. serde alone would name a line and a column.

use crate::RequestError;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{fmt::Display, ops::RangeInclusive};

/// A field as it stands in the message; absent and `null` are the same.
pub(super) type Field<'a> = Option<&'a RawValue>;

/// Reads a field of any type; `what` says what it is.
pub(super) fn read<'a, T: Deserialize<'a>>(
    place: &str,
    field: Field<'a>,
    what: impl Display,
) -> Result<Option<T>, RequestError> {
    let Some(raw) = field else { return Ok(None) };
    serde_json::from_str(raw.get()).map_err(|_| RequestError::validation(format!("{place} is {what}")))
}

/// Reads a whole number in a range.
pub(super) fn number(place: &str, field: Field<'_>, range: RangeInclusive<u64>) -> Result<Option<u64>, RequestError> {
    let what = format!("a whole number from {} to {}", range.start(), range.end());
    match read::<u64>(place, field, &what)? {
        Some(number) if !range.contains(&number) => Err(RequestError::validation(format!("{place} is {what}"))),
        number => Ok(number),
    }
}

/// Reads one of a few words.
pub(super) fn word<T: Copy>(place: &str, field: Field<'_>, words: &[(&str, T)]) -> Result<Option<T>, RequestError> {
    let names: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    let what = names.join(" or ");
    let Some(given) = read::<String>(place, field, &what)? else { return Ok(None) };
    match words.iter().find(|(word, _)| *word == given) {
        Some((_, value)) => Ok(Some(*value)),
        None => Err(RequestError::validation(format!("{place} is {what}"))),
    }
}

/// Reads text of at most so many bytes.
pub(super) fn text(place: &str, field: Field<'_>, longest: usize) -> Result<Option<String>, RequestError> {
    let what = format!("text of 1 to {longest} bytes");
    match read::<String>(place, field, &what)? {
        Some(text) if text.is_empty() || text.len() > longest => {
            Err(RequestError::validation(format!("{place} is {what}")))
        }
        text => Ok(text),
    }
}

/// Reads a list of at most so many texts of at most so many bytes.
pub(super) fn texts(place: &str, field: Field<'_>, most: usize, longest: usize) -> Result<Vec<String>, RequestError> {
    let what = format!("a list of at most {most} texts of 1 to {longest} bytes");
    let list = read::<Vec<String>>(place, field, &what)?.unwrap_or_default();
    if list.len() > most || list.iter().any(|text| text.is_empty() || text.len() > longest) {
        return Err(RequestError::validation(format!("{place} is {what}")));
    }
    Ok(list)
}

/// Refuses what is no object: serde would read a list as the fields in order.
pub(super) fn is_object(place: &str, raw: &RawValue) -> Result<(), RequestError> {
    if raw.get().starts_with('{') { Ok(()) } else { Err(RequestError::validation(format!("{place} is an object"))) }
}
