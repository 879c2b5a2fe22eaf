//! The JSON format: one event as an object, several as a list.

use super::{
    context::{Context, Value, attributes_of, wrong},
    media::Content,
};
use crate::{
    RequestError,
    publish::{MAX_ITEMS, Text, in_item, object, syntax},
    text,
};
use headwater_event::{ChannelName, Draft, Event};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// Appends an event as a JSON object.
pub fn encode(event: &Event, out: &mut Vec<u8>) {
    out.reserve(event.data.as_bytes().len() + 400);
    out.push(b'{');
    let begin = out.len();
    attributes_of(event, |name, value| {
        if out.len() > begin {
            out.push(b',');
        }
        text::string(out, name);
        out.push(b':');
        match value {
            Value::Text(value) => text::string(out, value),
            Value::Bool(value) => text::display(out, value),
        }
    });
    out.extend_from_slice(b",\"datacontenttype\":\"application/json\",\"data\":");
    out.extend_from_slice(event.data.as_bytes());
    out.push(b'}');
}

/// Reads one event. It goes to `channel` unless its extension of this name says otherwise.
pub fn decode_structured(json: &[u8], channel: Option<&ChannelName>) -> Result<Draft, RequestError> {
    object(json)?;
    let members: Members<'_> = serde_json::from_slice(json).map_err(|error| syntax(&error))?;
    members.item(channel, None)
}

/// Reads a list of events, which may be empty. An error names the item.
pub fn decode_batch(json: &[u8], channel: Option<&ChannelName>) -> Result<Vec<Draft>, RequestError> {
    let entries: Vec<&RawValue> = serde_json::from_slice(json).map_err(|error| syntax(&error))?;
    if entries.len() > MAX_ITEMS {
        return Err(RequestError::validation(format!("a batch has at most {MAX_ITEMS} events")));
    }
    let mut items: Vec<Draft> = Vec::with_capacity(entries.len());
    for (index, raw) in entries.into_iter().enumerate() {
        let item = object(raw.get().as_bytes())
            .and_then(|()| serde_json::from_str::<Members<'_>>(raw.get()).map_err(|error| syntax(&error)))
            .and_then(|members| members.item(channel, items.last()))
            .map_err(|error| in_item("batch", index, &error))?;
        items.push(item);
    }
    Ok(items)
}

/// The members of an object as they stand there.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a CloudEvent, which is a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Text(name), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl Members<'_> {
    fn item(self, channel: Option<&ChannelName>, before: Option<&Draft>) -> Result<Draft, RequestError> {
        let mut context = Context::default();
        let mut data: Option<&RawValue> = None;
        for (name, value) in self.0 {
            match &*name {
                "data" if data.is_some() => return Err(wrong(&name, "stands twice")),
                "data" => data = Some(value),
                // Absent and null are the same; bytes cannot be held, and are refused rather than wrapped.
                _ if value.get() == "null" => {}
                "data_base64" => {
                    return Err(RequestError::validation(
                        "CloudEvents member `data_base64`: bytes cannot be held; send JSON or text as `data`",
                    ));
                }
                _ => {
                    let value = attribute(&name, value)?;
                    context.add(name, value)?;
                }
            }
        }
        if Content::of(context.content_type())? == Content::Text
            && data.is_some_and(|data| !data.get().starts_with('"'))
        {
            return Err(RequestError::validation("CloudEvents member `data`: of a text type it is a string"));
        }
        context.item(data, channel, before)
    }
}

/// A string, or the canonical text of a boolean or an integer.
fn attribute<'a>(name: &str, value: &'a RawValue) -> Result<Cow<'a, str>, RequestError> {
    let raw = value.get();
    match raw.as_bytes() {
        [b'"', ..] => serde_json::from_str::<Text<'_>>(raw).map(|Text(text)| text).map_err(|error| syntax(&error)),
        b"true" | b"false" => Ok(Cow::Borrowed(raw)),
        [b'-' | b'0'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => Ok(Cow::Borrowed(raw)),
        _ => Err(wrong(name, "is a string, a boolean or an integer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;
    use headwater_event::{Draft, Retention, Severity, Timestamp};

    fn channel() -> ChannelName {
        ChannelName::new("default").unwrap()
    }

    fn draft(json: &str) -> Draft {
        decode_structured(json.as_bytes(), Some(&channel())).unwrap()
    }

    fn attribute_of<'a>(draft: &'a Draft, name: &str) -> Option<&'a str> {
        draft.attributes.iter().find(|(n, _)| &**n == name).map(|(_, value)| &**value)
    }

    /// The examples of the JSON format, 3.2, but for those whose data cannot be held.
    #[test]
    fn the_specification_s_examples_are_read() {
        let object = draft(
            r#"{"specversion" : "1.0", "type" : "com.example.someevent", "source" : "/mycontext", "subject": null,
                "id" : "C234-1234-1234", "time" : "2018-04-05T17:31:00Z", "comexampleextension1" : "value",
                "comexampleothervalue" : 5, "datacontenttype" : "application/json",
                "data" : {"appinfoA" : "abc", "appinfoB" : 123, "appinfoC" : true}}"#,
        );
        assert_eq!((&*object.kind, object.channel.as_str()), ("com.example.someevent", "default"));
        assert_eq!(object.time, Timestamp::parse("2018-04-05T17:31:00Z").unwrap());
        let attributes: Vec<(&str, &str)> = object.attributes.iter().map(|(n, v)| (&**n, &**v)).collect();
        assert_eq!(
            attributes,
            [
                ("comexampleextension1", "value"),
                ("comexampleothervalue", "5"),
                ("id", "C234-1234-1234"),
                ("source", "/mycontext")
            ]
        );
        let text = draft(r#"{"specversion":"1.0","type":"t","source":"/c","id":"D","data":"I'm just a string"}"#);
        assert_eq!(text.data.as_bytes(), br#""I'm just a string""#);
    }

    #[test]
    fn what_an_event_has_a_place_for_goes_there() {
        let full = draft(
            r#"{"specversion":"1.0","type":"t","source":"/c","id":"1","channel":"own","severity":"high","key":"k",
                "subject":"k","epoch":"0000000000000001","offset":"7","evidence":"polled","forgotten":true,
                "dataschema":"http://x/y","attributes":"{\"Pane\":\"%1\"}"}"#,
        );
        assert_eq!((full.channel.as_str(), full.severity), ("own", Some(Severity::Error)));
        assert_eq!(
            (&full.retention, full.evidence, full.data.as_bytes()),
            (&Retention::Keep("k".into()), None, &b"null"[..])
        );
        for (name, value) in
            [("Pane", Some("%1")), ("dataschema", Some("http://x/y")), ("subject", None), ("offset", None)]
        {
            assert_eq!(attribute_of(&full, name), value, "{name}");
        }
        let subject = draft(r#"{"specversion":"1.0","type":"t","source":"/c","id":"1","subject":"s"}"#);
        assert_eq!(attribute_of(&subject, "subject"), Some("s"));
        // What has come by another daemon keeps saying where it came from first.
        let passed = draft(
            r#"{"specversion":"1.0","type":"t","source":"/headwater/client","id":"9","attributes":"{\"id\":\"1\",\"source\":\"/c\"}"}"#,
        );
        assert_eq!((attribute_of(&passed, "id"), attribute_of(&passed, "source")), (Some("1"), Some("/c")));
    }

    #[test]
    fn the_same_source_and_id_are_the_same_event() {
        let key = |source: &str, id: &str, kind: &str| {
            let json = format!(r#"{{"specversion":"1.0","type":"{kind}","source":"{source}","id":"{id}"}}"#);
            let item = decode_structured(json.as_bytes(), Some(&channel())).unwrap();
            item.idempotency_key.as_deref().map(str::to_owned).unwrap()
        };
        assert_eq!(key("/a", "1", "t"), key("/a", "1", "u"));
        assert_ne!(key("/a", "1", "t"), key("/a", "2", "t"));
        assert_ne!(key("/a", "1", "t"), key("/b", "1", "t"));
        assert_ne!(key("/a", "b 1", "t"), key("/ab", "1", "t"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let event = |rest: &str| format!(r#"{{"specversion":"1.0","type":"t","source":"/c","id":"1",{rest}}}"#);
        let long =
            event(&format!(r#""datacontenttype":"application/json","channel":"a","id2":"{}""#, "x".repeat(2000)));
        let longid = format!(r#"{{"specversion":"1.0","type":"t","source":"/c","id":"{}"}}"#, "x".repeat(600));
        for (json, word) in [
            (r#"{"type":"t","source":"/c","id":"1"}"#.to_owned(), "`specversion`: is missing"),
            (r#"{"specversion":"0.3","type":"t","source":"/c","id":"1"}"#.into(), "`0.3` is not understood"),
            (r#"{"specversion":"1.0","source":"/c","id":"1"}"#.into(), "`type`: is missing"),
            (r#"{"specversion":"1.0","type":"","source":"/c","id":"1"}"#.into(), "`type`: is empty"),
            (r#"{"specversion":"1.0","type":"t","id":"1"}"#.into(), "`source`: is missing"),
            (r#"{"specversion":"1.0","type":"t","source":null,"id":"1"}"#.into(), "`source`: is missing"),
            (r#"{"specversion":"1.0","type":"t","source":"/a b","id":"1"}"#.into(), "`source`: is a URI"),
            (r#"{"specversion":"1.0","type":"t","source":"/c"}"#.into(), "`id`: is missing"),
            (r#"{"specversion":"1.0","type":"t","source":"/c","id":""}"#.into(), "`id`: is empty"),
            (longid, "511"),
            (long, "longer than 1024"),
            (event(r#""id":"2""#), "`id`: stands twice"),
            (event(r#""Upper":"x""#), "`Upper`: an attribute's name"),
            (event(r#""with_line":"x""#), "`with_line`: an attribute's name"),
            (event(r#""":"x""#), "``: an attribute's name"),
            (event(r#""ext":{}"#), "`ext`: is a string, a boolean"),
            (event(r#""ext":1.5"#), "`ext`: is a string, a boolean"),
            (event(r#""ext":1e3"#), "`ext`: is a string, a boolean"),
            (event(r#""time":"now""#), "`time`"),
            (event(r#""subject":"""#), "`subject`: is empty"),
            (event(r#""severity":"loud""#), "severity"),
            (event(r#""channel":"a b""#), "column 2"),
            (event(r#""attributes":"x""#), "`attributes`: is the text"),
            (event(r#""ext":"a","attributes":"{\"ext\":\"b\"}""#), "`ext`: stands in `attributes` too"),
            (event(r#""data":1,"data":2"#), "`data`: stands twice"),
            (event(r#""data_base64":"AAAA""#), "`data_base64`"),
            (event(r#""datacontenttype":"application/xml","data":"<x/>""#), "`datacontenttype`: `application/xml`"),
            (event(r#""datacontenttype":"text/plain","data":{}"#), "`data`: of a text type"),
        ] {
            let error = decode_structured(json.as_bytes(), Some(&channel())).unwrap_err();
            assert!(error.message.contains(word) && error.code == ErrorCode::Validation, "{json}: {error}");
        }
        let no_channel = decode_structured(event(r#""data":1"#).as_bytes(), None).unwrap_err();
        assert!(no_channel.message.contains("`channel`: is missing"), "{no_channel}");
        for broken in ["", "{", "[]", "7", r#"{"specversion":"1.0"} x"#] {
            assert_eq!(
                decode_structured(broken.as_bytes(), None).unwrap_err().code,
                ErrorCode::InvalidJson,
                "{broken}"
            );
        }
    }

    #[test]
    fn text_stays_text() {
        let text = draft(
            r#"{"specversion":"1.0","type":"t","source":"/c","id":"1","datacontenttype":"text/csv","data":"a,b\n1,2"}"#,
        );
        assert_eq!(text.data.as_bytes(), br#""a,b\n1,2""#);
        let none = draft(r#"{"specversion":"1.0","type":"t","source":"/c","id":"1","datacontenttype":"text/csv"}"#);
        assert_eq!(none.data.as_bytes(), b"null");
    }

    #[test]
    fn a_batch_is_a_list_and_names_the_wrong_item() {
        let one = r#"{"specversion":"1.0","type":"t","source":"/c","id":"1"}"#;
        let batch = |json: &str| decode_batch(json.as_bytes(), Some(&channel()));
        assert_eq!(batch("[]").unwrap().len(), 0);
        assert_eq!(batch(&format!("[{one},{one}]")).unwrap().len(), 2);
        for (json, word) in [
            (format!("[{one},{{}}]"), "batch, item 1: CloudEvents attribute `specversion`"),
            (format!("[{one},[]]"), "batch, item 1: a JSON object"),
            (format!("[{}]", vec![one; 1001].join(",")), "at most 1000"),
        ] {
            let error = batch(&json).unwrap_err();
            assert!(error.message.contains(word), "{error}");
        }
        assert!(batch(one).is_err());
        assert_eq!(batch("[{").unwrap_err().code, ErrorCode::InvalidJson);
    }
}
