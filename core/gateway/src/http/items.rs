//! The items of a publish body: one object, an array, or one object a line. Bytes in, items out; no sockets.

use super::problem::Problem;
use axum::http::{HeaderMap, header};
use headwater_event::{Draft, Timestamp};
use headwater_protocol::{ErrorCode, RequestError, publish::decode_next};
use serde_json::{Value, json, value::RawValue};

/// Events in one call. Each costs several hundred bytes beside its payload, so that a body of tiny ones would be held
/// twenty-fold.
const MAX_ITEMS: usize = 10_000;

/// Faults that are listed; a body of broken items would otherwise be answered with a longer one.
const MAX_FAULTS: usize = 20;

/// How the items stand in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// One object or an array.
    Json,
    /// One object a line.
    Lines,
}

impl Format {
    /// By the media type. Forms of other sites can send three types without asking first, none of which is here.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut types = headers.get_all(header::CONTENT_TYPE).iter();
        let (value, None) = (types.next()?.to_str().ok()?, types.next()) else { return None };
        let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match &*essence {
            "application/json" => Some(Self::Json),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Some(Self::Lines),
            _ => None,
        }
    }
}

/// An item that cannot be published, and where it stands.
struct Fault {
    item: usize,
    line: Option<usize>,
    error: RequestError,
}

/// All items, or all that is wrong with them.
pub(super) fn decode(format: Format, body: &[u8]) -> Result<Vec<Draft>, Problem> {
    let (mut items, mut faults, now) = (Vec::new(), Vec::new(), Timestamp::now());
    let mut take = |item: usize, line: Option<usize>, text: &str| match decode_next(text, items.last(), now) {
        Ok(decoded) => items.push(decoded),
        Err(error) => faults.push(Fault { item, line, error }),
    };
    let count = match format {
        Format::Json if first_byte(body) == Some(b'[') => {
            let raw: Vec<&RawValue> = serde_json::from_slice(body).map_err(|error| broken(&error))?;
            within(raw.len())?;
            raw.iter().enumerate().for_each(|(item, raw)| take(item, None, raw.get()));
            raw.len()
        }
        Format::Json if first_byte(body).is_none() => 0,
        Format::Json => {
            let raw: &RawValue = serde_json::from_slice(body).map_err(|error| broken(&error))?;
            take(0, None, raw.get());
            1
        }
        Format::Lines => {
            let text = std::str::from_utf8(body).map_err(|error| no_text(body, error.valid_up_to()))?;
            let mut filled = text.split('\n').zip(1..).filter(|(text, _)| !text.trim_ascii().is_empty()).enumerate();
            let mut count = 0;
            for (item, (text, line)) in filled.by_ref().take(MAX_ITEMS) {
                take(item, Some(line), text);
                count += 1;
            }
            within(count + filled.count())?;
            count
        }
    };
    if count == 0 {
        return Err(Problem::new(ErrorCode::Validation, "there is no event in the body"));
    }
    if faults.is_empty() { Ok(items) } else { Err(refused(&faults, count)) }
}

fn first_byte(text: &[u8]) -> Option<u8> {
    text.iter().copied().find(|b| !b.is_ascii_whitespace())
}

/// The body is in another encoding from this byte on.
fn no_text(body: &[u8], from: usize) -> Problem {
    let line = body[..from].split(|byte| *byte == b'\n').count();
    Problem::new(ErrorCode::InvalidJson, format!("line {line} is not UTF-8; nothing was published"))
}

fn within(count: usize) -> Result<(), Problem> {
    if count <= MAX_ITEMS {
        return Ok(());
    }
    Err(Problem::new(
        super::problem::Kind::TOO_LARGE,
        format!("{count} events in one call; send at most {MAX_ITEMS} at once"),
    ))
}

/// The body as a whole is no JSON.
fn broken(error: &serde_json::Error) -> Problem {
    let problem = Problem::new(ErrorCode::InvalidJson, format!("the body: {error}"));
    // What comes of `curl -d @events.ndjson -H 'content-type: application/json'`.
    if error.to_string().starts_with("trailing characters") {
        return problem.with("suggested_action", "send one event a line with content type application/x-ndjson");
    }
    problem
}

fn refused(faults: &[Fault], count: usize) -> Problem {
    let told: Vec<Value> = faults
        .iter()
        .take(MAX_FAULTS)
        .map(|fault| {
            let mut told = json!({
                "item": fault.item, "code": fault.error.code.as_str(), "message": fault.error.message,
            });
            if let Some(line) = fault.line {
                told["line"] = line.into();
            }
            told
        })
        .collect();
    let first = &faults[0];
    let place = match (first.line, count) {
        (Some(line), _) => format!("item {} (line {line}): ", first.item),
        (None, 1) => String::new(),
        (None, _) => format!("item {}: ", first.item),
    };
    let more = match faults.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more of {count} items)"),
    };
    Problem::new(first.error.code, format!("{place}{}{more}; nothing was published", first.error.message))
        .with("item", first.item)
        .with("errors", told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    const GOOD: &str = r#"{"channel":"a","type":"t","data":1}"#;

    fn fault(format: Format, body: &str) -> Problem {
        decode(format, body.as_bytes()).expect_err(body)
    }

    #[test]
    fn one_an_array_and_lines_are_read() {
        for (format, body, count) in [
            (Format::Json, GOOD.to_owned(), 1),
            (Format::Json, format!(" \n[{GOOD},\n{GOOD}] "), 2),
            (Format::Lines, format!("{GOOD}\n\r\n  \n{GOOD}\r\n{GOOD}"), 3),
        ] {
            assert_eq!(decode(format, body.as_bytes()).unwrap().len(), count, "{body}");
        }
    }

    #[test]
    fn a_bad_item_is_named_with_its_place_and_refuses_all() {
        let problem = fault(Format::Json, &format!(r#"[{GOOD},{{"type":"t"}}]"#));
        assert!(problem.detail().starts_with("item 1: `channel` is missing"), "{}", problem.detail());
        assert_eq!(*problem.member("item").unwrap(), 1);
        let problem = fault(Format::Lines, &format!("{GOOD}\n\n{{\"channel\":\"a b\",\"type\":\"t\"}}\n{{\n"));
        assert!(problem.detail().starts_with("item 1 (line 3): `channel`"), "{}", problem.detail());
        assert!(problem.detail().contains("and 1 more of 3 items"), "{}", problem.detail());
        assert_eq!(problem.member("errors").unwrap()[1]["line"], 4);
        assert_eq!(problem.member("errors").unwrap()[1]["code"], "INVALID_JSON");
    }

    #[test]
    fn faults_are_listed_up_to_a_bound() {
        let problem = fault(Format::Lines, &"{}\n".repeat(500));
        assert_eq!(problem.member("errors").unwrap().as_array().unwrap().len(), MAX_FAULTS);
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        for (format, body) in [(Format::Json, ""), (Format::Json, " \n"), (Format::Json, "[]"), (Format::Lines, "\n\n")]
        {
            assert_eq!(fault(format, body).kind(), ErrorCode::Validation.into(), "{body:?}");
        }
        let many = format!("[{}1]", "1,".repeat(MAX_ITEMS));
        assert_eq!(fault(Format::Json, &many).kind(), super::super::problem::Kind::TOO_LARGE);
        assert_eq!(fault(Format::Lines, &"1\n".repeat(MAX_ITEMS + 1)).kind(), super::super::problem::Kind::TOO_LARGE);
    }

    #[test]
    fn broken_json_is_told_with_line_and_column() {
        let problem = fault(Format::Json, "[\n{]");
        assert_eq!(problem.kind(), ErrorCode::InvalidJson.into());
        assert!(problem.detail().contains("line 2"), "{}", problem.detail());
        let problem = fault(Format::Json, &format!("{GOOD}\n{GOOD}"));
        assert!(problem.member("suggested_action").unwrap().as_str().unwrap().contains("x-ndjson"));
        // Another encoding than UTF-8.
        assert!(decode(Format::Json, b"{\"channel\":\"\xff\"}").is_err());
        let problem = decode(Format::Lines, &[GOOD.as_bytes(), b"\n\"\xff\""].concat()).expect_err("no UTF-8");
        assert!(problem.detail().starts_with("line 2 is not UTF-8"), "{}", problem.detail());
    }

    #[test]
    fn only_json_types_are_read() {
        let of = |types: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in types {
                headers.append(header::CONTENT_TYPE, HeaderValue::from_str(value).unwrap());
            }
            Format::of(&headers)
        };
        assert_eq!(of(&["application/json"]), Some(Format::Json));
        assert_eq!(of(&["Application/JSON; charset=utf-8"]), Some(Format::Json));
        assert_eq!(of(&["application/x-ndjson"]), Some(Format::Lines));
        for types in [
            &[][..],
            &["text/plain"],
            &["application/x-www-form-urlencoded"],
            &["multipart/form-data; boundary=x"],
            &["text/plain; application/json"],
            &["text/json"],
            &["application/jsonx"],
            &["application/json", "text/plain"],
            &["application/json,text/plain"],
        ] {
            assert_eq!(of(types), None, "{types:?}");
        }
    }
}
