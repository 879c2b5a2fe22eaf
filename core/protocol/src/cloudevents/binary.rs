//! The HTTP binding's binary mode: attributes in headers, the data in the body.

use super::{
    context::{Context, Value, attributes_of, wrong},
    media::Content,
};
use crate::{RequestError, percent, publish::syntax};
use headwater_event::{ChannelName, Draft, Event};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What the name of a header that holds an attribute begins with.
const PREFIX: &str = "ce-";

/// The headers of an event, `content-type` included; the body is its payload.
pub fn headers(event: &Event) -> Vec<(String, String)> {
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    attributes_of(event, |name, value| {
        let mut encoded = String::new();
        match value {
            Value::Text(value) => {
                let stands = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'%');
                percent::encode(&mut encoded, value, stands);
            }
            Value::Bool(value) => encoded.push_str(if value { "true" } else { "false" }),
        }
        headers.push((format!("{PREFIX}{name}"), encoded));
    });
    headers
}

/// Reads an event from headers and a body. Headers that are no CloudEvents attributes are passed over. It goes to
/// `channel` unless its extension of this name says otherwise.
pub fn decode_binary<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    body: &[u8],
    channel: Option<&ChannelName>,
) -> Result<Draft, RequestError> {
    let mut context = Context::default();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        if name == "content-type" {
            let value = String::from_utf8_lossy(value).into_owned();
            context.add("datacontenttype".into(), value.into())?;
        } else if let Some(name) = name.strip_prefix(PREFIX) {
            match name {
                "datacontenttype" => return Err(wrong(name, "is the header `content-type`")),
                "data" => return Err(wrong(name, "is the body")),
                _ => context.add(name.to_owned().into(), value_of(name, value)?.into())?,
            }
        }
    }
    let content = Content::of(context.content_type())?;
    let text = match content {
        _ if body.is_empty() => None,
        Content::Json => {
            let text = std::str::from_utf8(body).map_err(|_| no_utf8())?;
            Some(Cow::Borrowed(text))
        }
        Content::Text => {
            let text = std::str::from_utf8(body).map_err(|_| no_utf8())?;
            Some(Cow::Owned(serde_json::to_string(text).expect("a string serialises into memory")))
        }
    };
    let data: Option<&RawValue> =
        text.as_deref().map(serde_json::from_str).transpose().map_err(|error| syntax(&error))?;
    context.item(data, channel, None)
}

fn no_utf8() -> RequestError {
    RequestError::validation("the body is no UTF-8")
}

/// The attribute that a header holds: quoted strings are unquoted, then `%XX` is decoded, once.
fn value_of(name: &str, header: &[u8]) -> Result<String, RequestError> {
    let unquoted = unquoted(header);
    // Some SDKs encode nothing. Where a `%` begins no escape, the header is one of theirs and holds none.
    let bytes = percent::decode(&unquoted).unwrap_or_else(|| unquoted.into_owned());
    String::from_utf8(bytes).map_err(|_| wrong(name, "is no UTF-8"))
}

fn unquoted(header: &[u8]) -> Cow<'_, [u8]> {
    let Some(inner) = header.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) else {
        return Cow::Borrowed(header);
    };
    let mut bytes = inner.iter();
    let mut out = Vec::with_capacity(inner.len());
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\\' => out.extend(bytes.next()),
            _ => out.push(byte),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;
    use headwater_event::Draft;

    fn item(headers: &[(&str, &str)], body: &str) -> Result<Draft, RequestError> {
        let required = [("ce-specversion", "1.0"), ("ce-type", "t"), ("ce-source", "/c"), ("ce-id", "1")];
        let headers = required.iter().chain(headers).map(|(name, value)| (*name, value.as_bytes()));
        decode_binary(headers, body.as_bytes(), Some(&ChannelName::new("default").unwrap()))
    }

    fn draft(headers: &[(&str, &str)], body: &str) -> Draft {
        item(headers, body).unwrap()
    }

    fn subject(header: &str) -> Result<String, RequestError> {
        let draft = item(&[("ce-subject", header)], "")?;
        Ok(draft.attributes.iter().find(|(name, _)| &**name == "subject").unwrap().1.to_string())
    }

    #[test]
    fn attributes_stand_in_headers_and_data_in_the_body() {
        let event = draft(
            &[
                ("Content-Type", "application/json; charset=utf-8"),
                ("CE-Time", "2018-04-05T03:56:24Z"),
                ("ce-channel", "own"),
                ("ce-comexampleext", "5"),
                ("user-agent", "curl"),
            ],
            r#"{"a": 1}"#,
        );
        assert_eq!((event.channel.as_str(), &*event.kind, event.data.as_bytes()), ("own", "t", &br#"{"a": 1}"#[..]));
        assert_eq!(event.time.to_string(), "2018-04-05T03:56:24.000000Z");
        let attributes: Vec<(&str, &str)> = event.attributes.iter().map(|(n, v)| (&**n, &**v)).collect();
        assert_eq!(attributes, [("comexampleext", "5"), ("id", "1"), ("source", "/c")]);
    }

    /// HTTP binding, 3.1.3.2: quoted strings first, then one round of percent-decoding.
    #[test]
    fn header_values_are_decoded_as_the_binding_says() {
        for (header, value) in [
            ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro \u{20ac} \u{1f600}"),
            ("Euro%20%e2%82%ac", "Euro \u{20ac}"),
            ("%41b", "Ab"),
            ("%2541", "%41"),
            ("\"with space\"", "with space"),
            (r#""a \"b\" \\ %20""#, r#"a "b" \  "#),
            ("plain", "plain"),
            ("50% done", "50% done"),
            ("Euro \u{20ac}", "Euro \u{20ac}"),
        ] {
            assert_eq!(subject(header).unwrap(), value, "{header}");
        }
        let error = subject("%C0%A0").unwrap_err();
        assert!(error.message.contains("no UTF-8") && error.message.contains("`subject`"), "{error}");
    }

    #[test]
    fn the_body_is_what_the_content_type_says() {
        for (content_type, body, data) in [
            ("application/json", "[1, 2]", "[1, 2]"),
            ("application/json", "", "null"),
            ("application/json", r#""quoted""#, r#""quoted""#),
            ("text/plain", "a \"b\"\n", r#""a \"b\"\n""#),
            ("text/plain", "", "null"),
        ] {
            let event = draft(&[("content-type", content_type)], body);
            assert_eq!(event.data.as_bytes(), data.as_bytes(), "{content_type}: {body}");
        }
        assert_eq!(draft(&[], "7").data.as_bytes(), b"7");
        for (headers, body, word) in [
            (&[("content-type", "application/x-www-form-urlencoded")][..], "a=1", "x-www-form-urlencoded"),
            (&[("content-type", "image/png")][..], "x", "`datacontenttype`: `image/png`"),
            (&[("ce-datacontenttype", "application/json")][..], "1", "is the header `content-type`"),
            (&[("ce-data", "1")][..], "1", "is the body"),
            (&[("ce-with-dash", "1")][..], "1", "`with-dash`: an attribute's name"),
            (&[("ce-id", "2")][..], "1", "`id`: stands twice"),
            (&[("CE-ID", "2")][..], "1", "`id`: stands twice"),
        ] {
            let error = item(headers, body).unwrap_err();
            assert!(error.message.contains(word) && error.code == ErrorCode::Validation, "{headers:?}: {error}");
        }
        assert_eq!(item(&[("content-type", "application/json")], "{").unwrap_err().code, ErrorCode::InvalidJson);
        let bytes = decode_binary([("content-type", &b"text/plain"[..])], b"\xff", None);
        assert!(bytes.unwrap_err().message.contains("UTF-8"));
    }
}
