//! Media types: which form a body has, and what data it holds.

use crate::RequestError;

/// In which form a request holds CloudEvents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One event as a JSON object: `application/cloudevents+json`.
    Structured,
    /// A JSON array of them: `application/cloudevents-batch+json`.
    Batch,
    /// One event in headers, its data in the body.
    Binary,
}

impl Mode {
    /// The form of a request with this content type, where it holds CloudEvents at all; `marked`: it has a
    /// `ce-specversion` header. Forms that are not JSON are refused.
    pub fn of(content_type: Option<&str>, marked: bool) -> Result<Option<Self>, RequestError> {
        let (essence, _) = split(content_type.unwrap_or_default());
        Ok(match essence.as_str() {
            "application/cloudevents+json" => Some(Self::Structured),
            "application/cloudevents-batch+json" => Some(Self::Batch),
            other if other.starts_with("application/cloudevents") => {
                return Err(RequestError::validation(format!(
                    "CloudEvents as `{other}` are not understood; send application/cloudevents+json"
                )));
            }
            _ => marked.then_some(Self::Binary),
        })
    }
}

/// What `datacontenttype` says about the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A JSON value.
    Json,
    /// UTF-8 text, which becomes a JSON string.
    Text,
}

impl Content {
    /// Without a type data is JSON. Other data cannot be held, and is refused rather than wrapped: a reader could not
    /// tell a wrapped payload from one that looks like it.
    pub(super) fn of(datacontenttype: Option<&str>) -> Result<Self, RequestError> {
        let Some(given) = datacontenttype else { return Ok(Self::Json) };
        let (essence, charset) = split(given);
        let refuse = |why: &str| {
            Err(RequestError::validation(format!("CloudEvents attribute `datacontenttype`: `{given}` {why}")))
        };
        if charset.is_some_and(|charset| !matches!(charset.as_str(), "utf-8" | "us-ascii")) {
            return refuse("is no UTF-8");
        }
        match essence.split_once('/') {
            Some((_, subtype)) if subtype == "json" || subtype.ends_with("+json") => Ok(Self::Json),
            Some(("text", _)) => Ok(Self::Text),
            _ => refuse("is neither JSON nor text; data is one of the two"),
        }
    }
}

/// A media type without its parameters, and the charset among them, both in lower case.
fn split(media_type: &str) -> (String, Option<String>) {
    let mut parts = media_type.split(';');
    let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let charset = parts.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("charset").then(|| value.to_ascii_lowercase())
    });
    (essence, charset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_tells_the_form() {
        for (content_type, marked, mode) in [
            (Some("application/cloudevents+json"), false, Some(Mode::Structured)),
            (Some("Application/CloudEvents+JSON; charset=UTF-8"), true, Some(Mode::Structured)),
            (Some("application/cloudevents-batch+json"), false, Some(Mode::Batch)),
            (Some("application/json"), true, Some(Mode::Binary)),
            (None, true, Some(Mode::Binary)),
            (Some("application/json"), false, None),
            (None, false, None),
        ] {
            assert_eq!(Mode::of(content_type, marked).unwrap(), mode, "{content_type:?}");
        }
        let error = Mode::of(Some("application/cloudevents+avro"), true).unwrap_err();
        assert!(error.message.contains("avro"), "{error}");
    }

    #[test]
    fn data_is_json_or_text() {
        for (given, content) in [
            (None, Content::Json),
            (Some("application/json"), Content::Json),
            (Some("text/json"), Content::Json),
            (Some("application/vnd.x+json; charset=\"UTF-8\""), Content::Json),
            (Some("text/plain"), Content::Text),
            (Some("TEXT/csv; header=present"), Content::Text),
        ] {
            assert_eq!(Content::of(given).unwrap(), content, "{given:?}");
        }
        for refused in ["application/xml", "image/png", "json", "", "text/plain; charset=latin1", "application/jsonx"] {
            let error = Content::of(Some(refused)).unwrap_err();
            assert!(error.message.contains("`datacontenttype`"), "{refused}: {error}");
        }
    }
}
