//! Strings, numbers and truth values: their types, their ranges and the formats that we know.

use super::{Keys, Misfit, Walk};
use crate::{Diagnostic, Period, Size, schema::SECRET_FORMAT, text::quote, webhooks::plain_secret};
use serde_json::{Number, Value};
use std::net::{IpAddr, SocketAddr};
use toml::{
    Spanned,
    de::{DeInteger, DeValue},
};

/// What a TOML value is, in words.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "a truth value",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// What a schema wants, in words.
pub(super) fn wanted(keys: &Keys) -> String {
    match keys.get("format").and_then(Value::as_str) {
        Some("period" | "duration") => return "a duration".to_owned(),
        Some("size") => return "a size".to_owned(),
        Some("socket-address") => return "an address".to_owned(),
        Some(SECRET_FORMAT) => return "a reference to a secret".to_owned(),
        _ => {}
    }
    let words: Vec<&str> = types(keys)
        .into_iter()
        .filter_map(|kind| match kind {
            "string" => Some("a string"),
            "integer" => Some("an integer"),
            "number" => Some("a number"),
            "boolean" => Some("true or false"),
            "array" => Some("a list"),
            "object" => Some("a table"),
            _ => None,
        })
        .collect();
    if words.is_empty() { "something else".to_owned() } else { words.join(" or ") }
}

/// A value that fits, when the schema gives no example.
pub(super) fn placeholder(keys: &Keys) -> &'static str {
    match (keys.get("format").and_then(Value::as_str), types(keys).first().copied()) {
        (Some("period" | "duration"), _) => "\"5s\"",
        (Some("size"), _) => "\"64KiB\"",
        (Some("socket-address"), _) => "\"127.0.0.1:8765\"",
        (Some(SECRET_FORMAT), _) => "{ env = \"NAME\" }",
        (_, Some("integer" | "number")) => "1",
        (_, Some("boolean")) => "true",
        (_, Some("array")) => "[]",
        (_, Some("object")) => "{}",
        _ => "\"…\"",
    }
}

fn types(keys: &Keys) -> Vec<&str> {
    match keys.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Whether the value is of a type that the schema names. One that names none takes all.
pub(super) fn fits_type(keys: &Keys, value: &DeValue<'_>) -> bool {
    let types = types(keys);
    types.is_empty()
        || types.iter().any(|kind| {
            matches!(
                (*kind, value),
                // JSON has no dates: they travel as strings.
                ("string", DeValue::String(_) | DeValue::Datetime(_))
                    | ("integer", DeValue::Integer(_))
                    | ("number", DeValue::Integer(_) | DeValue::Float(_))
                    | ("boolean", DeValue::Boolean(_))
                    | ("array", DeValue::Array(_))
                    | ("object", DeValue::Table(_))
            )
        })
}

impl Walk<'_> {
    pub(super) fn wrong_type(&mut self, keys: &Keys, name: &str, value: &Spanned<DeValue<'_>>) {
        let given = value.get_ref();
        let reference = keys.get("format").and_then(Value::as_str) == Some(SECRET_FORMAT);
        if reference && matches!(given, DeValue::String(_)) {
            return self.push(plain_secret(self.text, name, &value.span()));
        }
        let wanted = wanted(keys);
        let message = format!("`{name}` must be {wanted}, not {}", kind(given));
        let fault = Diagnostic::at(self.code(Misfit::Type), self.text, &value.span(), message);
        let unquoted = |text: &str| match types(keys).first() {
            Some(&"integer") => text.parse::<i64>().is_ok(),
            Some(&"number") => text.parse::<f64>().is_ok(),
            Some(&"boolean") => text == "true" || text == "false",
            _ => false,
        };
        let fault = match (given, wanted.as_str()) {
            (DeValue::String(text), _) if unquoted(text) => fault.suggest(format!("remove the quotes: {text}")),
            (DeValue::Integer(number), "a duration") => {
                fault.suggest(format!("write the unit: \"{0}s\" or \"{0}ms\"", quote(number.as_str())))
            }
            (DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_), "a string") => {
                fault.suggest(format!("put it in quotes: \"{}\"", quote(&self.text.text[value.span()])))
            }
            (DeValue::String(text), "a list") => fault.suggest(format!("put it in brackets: [\"{}\"]", quote(text))),
            (_, "a table") => fault.label("a section of its own belongs here"),
            _ => fault.suggest(format!("write {wanted}, like {}", super::table::example(keys))),
        };
        self.push(fault);
    }

    /// A string, number or truth value whose type is right.
    pub(super) fn scalar(&mut self, keys: &Keys, name: &str, value: &Spanned<DeValue<'_>>) -> Value {
        let plain = self.plain(name, value);
        let before = self.found.len();
        if let Some(text) = plain.as_str() {
            self.string(keys, name, text, value);
        } else if plain.is_number() && keys.get("format").and_then(Value::as_str) == Some("size") {
            match plain.as_u64() {
                Some(bytes) => self.size_range(keys, name, bytes, value),
                None => self.report(Misfit::Value, value.span(), format!("`{name}` cannot be negative")),
            }
        } else if let Some(number) = plain.as_f64() {
            self.range(keys, name, number, &plain, value);
        }
        if self.found.len() > before { Value::Null } else { plain }
    }

    /// The value as JSON. Numbers that JSON does not have are reported.
    pub(super) fn plain(&mut self, name: &str, value: &Spanned<DeValue<'_>>) -> Value {
        let number = match value.get_ref() {
            DeValue::String(text) => return Value::String(text.to_string()),
            DeValue::Boolean(truth) => return Value::Bool(*truth),
            DeValue::Datetime(date) => return Value::String(date.to_string()),
            DeValue::Integer(number) => integer(number),
            DeValue::Float(number) => number.as_str().parse::<f64>().ok().and_then(Number::from_f64),
            DeValue::Array(_) | DeValue::Table(_) => return Value::Null,
        };
        if let Some(number) = number {
            return Value::Number(number);
        }
        let fault = Diagnostic::at(
            self.code(Misfit::Value),
            self.text,
            &value.span(),
            format!("`{name}` is too large a number"),
        );
        self.push(fault.suggest("a number has at most 64 bits, and is neither inf nor nan"));
        Value::Null
    }

    fn string(&mut self, keys: &Keys, name: &str, text: &str, value: &Spanned<DeValue<'_>>) {
        let length = text.chars().count() as u64;
        if let Some(least) = keys.get("minLength").and_then(Value::as_u64).filter(|least| length < *least) {
            let message = if length == 0 { format!("`{name}` is empty") } else { format!("`{name}` is too short") };
            let fix = if least == 1 { "write something".to_owned() } else { format!("at least {least} characters") };
            return self.report_labelled(Misfit::Value, value.span(), message, fix);
        }
        if let Some(most) = keys.get("maxLength").and_then(Value::as_u64).filter(|most| length > *most) {
            let message = format!("`{name}` is too long");
            return self.report_labelled(Misfit::Value, value.span(), message, format!("at most {most} characters"));
        }
        let wrong = |what: String, fix: String| Some((what, fix));
        let fault = match keys.get("format").and_then(Value::as_str) {
            Some("period" | "duration") => match text.parse::<Period>() {
                Ok(period) => return self.period_range(keys, name, period, value),
                Err(error) => wrong(error.to_string(), error.fix()),
            },
            Some("size") => match text.parse::<Size>() {
                Ok(size) => return self.size_range(keys, name, size.0, value),
                Err(error) => wrong(error.to_string(), error.fix().to_owned()),
            },
            Some("socket-address") if text.parse::<SocketAddr>().is_err() => {
                wrong(format!("`{}` is no address", quote(text)), address_fix(text))
            }
            Some("ipv4" | "ipv6") if text.parse::<IpAddr>().is_err() => {
                wrong(format!("`{}` is no IP address", quote(text)), "like \"127.0.0.1\" or \"::1\"".to_owned())
            }
            Some("sha256") if !is_sha256(text) => wrong(
                format!("`{}` is no SHA-256", quote(text)),
                "64 hex digits in lower case, as `sha256sum FILE` prints them".to_owned(),
            ),
            Some("sha256-digest") if !is_sha256_digest(text) => wrong(
                format!("`{}` is no hash", quote(text)),
                "`sha256:` and 64 hex digits, as what you allow shows it".to_owned(),
            ),
            _ => None,
        };
        if let Some((what, fix)) = fault {
            self.report_labelled(Misfit::Value, value.span(), format!("`{name}`: {what}"), fix);
        }
    }

    fn period_range(&mut self, keys: &Keys, name: &str, period: Period, value: &Spanned<DeValue<'_>>) {
        let bound = |key: &str| keys.get(key).and_then(Value::as_str).and_then(|text| text.parse::<Period>().ok());
        if let Some(least) = bound(MIN_PERIOD).filter(|least| period < *least) {
            let message = format!("`{name}` is {period}, which is too short");
            self.report_labelled(Misfit::Value, value.span(), message, format!("at least \"{least}\""));
        } else if let Some(most) = bound(MAX_PERIOD).filter(|most| period > *most) {
            let message = format!("`{name}` is {period}, which is too long");
            self.report_labelled(Misfit::Value, value.span(), message, format!("at most \"{most}\""));
        }
    }

    fn size_range(&mut self, keys: &Keys, name: &str, bytes: u64, value: &Spanned<DeValue<'_>>) {
        let bound = |key: &str| keys.get(key).and_then(Value::as_u64).map(Size);
        let size = Size(bytes);
        if let Some(least) = bound("minimum").filter(|least| size < *least) {
            let message = format!("`{name}` is {size}, which is too small");
            self.report_labelled(Misfit::Value, value.span(), message, format!("at least \"{least}\""));
        } else if let Some(most) = bound("maximum").filter(|most| size > *most) {
            let message = format!("`{name}` is {size}, which is too large");
            self.report_labelled(Misfit::Value, value.span(), message, format!("at most \"{most}\""));
        }
    }

    fn range(&mut self, keys: &Keys, name: &str, number: f64, plain: &Value, value: &Spanned<DeValue<'_>>) {
        let bound = |key: &str| keys.get(key).and_then(Value::as_f64);
        let (least, most) = format_range(keys);
        let least = bound("minimum").into_iter().chain(least).reduce(f64::max);
        let most = bound("maximum").into_iter().chain(most).reduce(f64::min);
        let label = match (least, most, bound("exclusiveMinimum"), bound("exclusiveMaximum")) {
            (Some(least), ..) if number < least => format!("at least {least}"),
            (_, Some(most), ..) if number > most => format!("at most {most}"),
            (_, _, Some(above), _) if number <= above => format!("more than {above}"),
            (_, _, _, Some(below)) if number >= below => format!("less than {below}"),
            _ => match bound("multipleOf") {
                Some(step) if step > 0.0 && (number / step).fract() != 0.0 => format!("a multiple of {step}"),
                _ => return,
            },
        };
        self.report_labelled(Misfit::Value, value.span(), format!("`{name}` cannot be {plain}"), label);
    }
}

/// Schema keywords of our own: the shortest and the longest period, written as one.
pub(crate) const MIN_PERIOD: &str = "x-minimum";
pub(crate) const MAX_PERIOD: &str = "x-maximum";

/// The range that an integer format stands for. Without it, a `u8` setting of 300 would only fail inside the plugin.
fn format_range(keys: &Keys) -> (Option<f64>, Option<f64>) {
    let range = |least: f64, most: f64| (Some(least), Some(most));
    match keys.get("format").and_then(Value::as_str) {
        Some("int8") => range(i8::MIN.into(), i8::MAX.into()),
        Some("int16") => range(i16::MIN.into(), i16::MAX.into()),
        Some("int32") => range(i32::MIN.into(), i32::MAX.into()),
        Some("uint8") => range(0.0, u8::MAX.into()),
        Some("uint16") => range(0.0, u16::MAX.into()),
        Some("uint32") => range(0.0, u32::MAX.into()),
        Some("uint" | "uint64") => (Some(0.0), None),
        _ => (None, None),
    }
}

fn integer(number: &DeInteger<'_>) -> Option<Number> {
    i64::from_str_radix(number.as_str(), number.radix())
        .map(Number::from)
        .or_else(|_| u64::from_str_radix(number.as_str(), number.radix()).map(Number::from))
        .ok()
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// A hash with its name: `sha256:9f86…`.
fn is_sha256_digest(text: &str) -> bool {
    text.trim().strip_prefix("sha256:").is_some_and(|digits| is_sha256(&digits.to_ascii_lowercase()))
}

fn address_fix(text: &str) -> String {
    if text.parse::<u16>().is_ok() || text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok()) {
        return format!("write \"127.0.0.1:{}\"", text.trim_start_matches(':'));
    }
    if let Some(port) = text.strip_prefix("localhost:").filter(|port| port.parse::<u16>().is_ok()) {
        return format!("write the number: \"127.0.0.1:{port}\"");
    }
    if text.parse::<IpAddr>().is_ok() {
        return format!(
            "the port is missing: \"{}\"",
            SocketAddr::new(text.parse().unwrap_or(IpAddr::from([127, 0, 0, 1])), 8765)
        );
    }
    "an address and a port, like \"127.0.0.1:8765\" or \"[::1]:8765\"".to_owned()
}
