//! Log records of OTLP/HTTP in its JSON form, made flat: one event for each record. The format is at
//! <https://opentelemetry.io/docs/specs/otlp/>; numbers of 64 bits may be strings in it.

use super::{Text, item, reduce};
use crate::{
    RequestError,
    publish::{MAX_ITEMS, syntax},
};
use headwater_event::{Draft, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// How deep lists and objects may stand in a value of an attribute; what is deeper is absent.
const MAX_DEPTH: usize = 8;

/// The records of one request.
#[derive(Debug)]
pub struct Logs {
    /// An event for each record, in their order.
    pub items: Vec<Draft>,
    /// Records beyond the bound of one request, which are left out.
    pub rejected: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(default)]
    resource_logs: Vec<ResourceLogs>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceLogs {
    #[serde(default)]
    resource: Resource,
    #[serde(default)]
    scope_logs: Vec<ScopeLogs>,
}

#[derive(Default, Deserialize)]
struct Resource {
    #[serde(default)]
    attributes: Vec<Attribute>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScopeLogs {
    #[serde(default)]
    log_records: Vec<LogRecord>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogRecord {
    #[serde(default)]
    time_unix_nano: Value,
    #[serde(default)]
    observed_time_unix_nano: Value,
    #[serde(default)]
    severity_text: Option<String>,
    #[serde(default)]
    event_name: Option<String>,
    #[serde(default)]
    body: Value,
    #[serde(default)]
    attributes: Vec<Attribute>,
}

#[derive(Deserialize)]
struct Attribute {
    #[serde(default)]
    key: String,
    #[serde(default)]
    value: Value,
}

/// The events `hook.otlp` of a request.
pub fn decode_logs(body: &[u8], text: Text) -> Result<Logs, RequestError> {
    crate::publish::object(body)?;
    let request: Request = serde_json::from_slice(body).map_err(|error| syntax(&error))?;
    let mut logs = Logs { items: Vec::new(), rejected: 0 };
    for resource in request.resource_logs {
        let common = flat(resource.resource.attributes);
        for record in resource.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
            if logs.items.len() == MAX_ITEMS {
                logs.rejected += 1;
            } else {
                logs.items.push(event(common.clone(), record, text));
            }
        }
    }
    Ok(logs)
}

fn event(mut members: Map<String, Value>, record: LogRecord, text: Text) -> Draft {
    let time = nanoseconds(&record.time_unix_nano).or_else(|| nanoseconds(&record.observed_time_unix_nano));
    members.extend(flat(record.attributes));
    let body = value(record.body, 0);
    // Among the attributes it is what the program calls it. Codex has its source file and line in the record's own field, and
    // others have but a body.
    let own = record.event_name.filter(|name| !name.is_empty()).map(Value::String);
    if !members.contains_key("event.name")
        && let Some(name) = own.or_else(|| body.clone().filter(Value::is_string))
    {
        members.insert("event.name".into(), name);
    }
    if let Some(body) = body {
        members.insert("body".into(), body);
    }
    if let Some(severity) = record.severity_text.filter(|severity| !severity.is_empty()) {
        members.insert("severity".into(), severity.into());
    }
    if let Some(time) = time {
        members.insert("time".into(), time.to_string().into());
    }
    let payload = Value::Object(members);
    let mut data = Map::new();
    data.insert("payload".into(), if text == Text::Kept { payload } else { reduce(payload) });
    item("otlp", &data, time)
}

fn nanoseconds(value: &Value) -> Option<Timestamp> {
    let nanos = match value {
        Value::String(digits) => digits.parse().ok()?,
        value => value.as_i64()?,
    };
    // Zero stands for a time that is not known.
    (nanos > 0).then_some(Timestamp(nanos))
}

fn flat(attributes: Vec<Attribute>) -> Map<String, Value> {
    let read = |attribute: Attribute| Some((attribute.key, value(attribute.value, 0)?));
    attributes.into_iter().filter_map(read).collect()
}

/// An `AnyValue`: an object with one member, named after the kind.
fn value(any: Value, depth: usize) -> Option<Value> {
    let Value::Object(any) = any else { return None };
    let (kind, inner) = any.into_iter().next()?;
    if depth == MAX_DEPTH {
        return None;
    }
    match (kind.as_str(), inner) {
        ("stringValue" | "bytesValue", text @ Value::String(_)) => Some(text),
        ("boolValue", flag @ Value::Bool(_)) => Some(flag),
        ("intValue" | "doubleValue", number @ Value::Number(_)) => Some(number),
        ("intValue", Value::String(digits)) => digits.parse::<i64>().ok().map(Value::from),
        ("arrayValue", Value::Object(mut list)) => {
            let Some(Value::Array(values)) = list.remove("values") else { return Some(json!([])) };
            Some(values.into_iter().filter_map(|any| value(any, depth + 1)).collect())
        }
        ("kvlistValue", Value::Object(mut list)) => {
            let Some(Value::Array(values)) = list.remove("values") else { return Some(json!({})) };
            let read = |pair: Value| {
                let Value::Object(mut pair) = pair else { return None };
                let Some(Value::String(key)) = pair.remove("key") else { return None };
                Some((key, value(pair.remove("value")?, depth + 1)?))
            };
            Some(Value::Object(values.into_iter().filter_map(read).collect()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payloads(body: &Value, text: Text) -> Vec<Value> {
        let logs = decode_logs(body.to_string().as_bytes(), text).unwrap();
        let payload = |item: Draft| serde_json::from_slice::<Value>(item.data.as_bytes()).unwrap()["payload"].take();
        logs.items.into_iter().map(payload).collect()
    }

    fn request(records: &Value) -> Value {
        let resource = json!({ "attributes": [
            { "key": "service.name", "value": { "stringValue": "claude-code" } },
            { "key": "user.email", "value": { "stringValue": "me@example.com" } },
        ] });
        json!({ "resourceLogs": [{ "resource": resource, "scopeLogs": [{ "scope": {}, "logRecords": records }] }] })
    }

    #[test]
    fn a_record_becomes_flat_and_loses_its_text() {
        let record = json!({
            "timeUnixNano": "1795162077307000000", "body": { "stringValue": "claude_code.user_prompt" },
            "attributes": [
                { "key": "event.name", "value": { "stringValue": "user_prompt" } },
                { "key": "session.id", "value": { "stringValue": "s" } },
                { "key": "event.sequence", "value": { "intValue": "8" } },
                { "key": "cost_usd", "value": { "doubleValue": 0.5 } },
                { "key": "prompt", "value": { "stringValue": "tidy up" } },
                { "key": "tags", "value": { "arrayValue": { "values": [{ "stringValue": "a" }] } } },
            ],
        });
        let whole = &payloads(&request(&json!([record.clone()])), Text::Kept)[0];
        assert_eq!(
            (&whole["prompt"], &whole["tags"], &whole["user.email"]),
            (&json!("tidy up"), &json!(["a"]), &json!("me@example.com"))
        );
        assert_eq!(
            payloads(&request(&json!([record])), Text::Sizes),
            [json!({
                "service.name": "claude-code", "user.email_bytes": 14, "event.name": "user_prompt", "session.id": "s",
                "event.sequence": 8, "cost_usd": 0.5, "prompt_bytes": 7, "tags_bytes": 5, "body_bytes": 23,
                "time": "2026-11-20T08:07:57.307000Z",
            })]
        );
    }

    /// Three requests that Claude Code 2.1 sent to a collector.
    #[test]
    fn what_claude_code_has_sent_is_read_record_by_record() {
        let requests = include_str!("../../tests/fixtures/claude-code-otlp.jsonl");
        let records: Vec<Value> =
            requests.lines().flat_map(|line| payloads(&serde_json::from_str(line).unwrap(), Text::Sizes)).collect();
        assert_eq!(records.len(), 22);
        for (number, record) in records.iter().enumerate() {
            assert_eq!(record["event.sequence"], number);
            assert_eq!(record["service.name"], "claude-code");
            // The program says the time as an attribute as well, and rounds it there.
            let time = |key: &str| Timestamp::parse(record[key].as_str().unwrap()).unwrap().0;
            assert!((time("time") - time("event.timestamp")).abs() <= 1_000_000, "{record}");
            assert!(record["session.id"].is_string() && record["event.name"].is_string(), "{record}");
        }
        assert_eq!(records[15]["tool_name"], "Bash");
        assert_eq!((&records[15]["success"], &records[15]["duration_ms"]), (&json!("true"), &json!("887")));
    }

    #[test]
    fn the_time_of_a_record_is_the_event_s() {
        let records = json!([{ "observedTimeUnixNano": 1_795_162_077_307_000_000_u64 }, { "timeUnixNano": "0" }, { "eventName": "x" }]);
        let logs = decode_logs(request(&records).to_string().as_bytes(), Text::Sizes).unwrap();
        let times: Vec<Timestamp> = logs.items.into_iter().map(|item| item.time).collect();
        assert_eq!(times[0].to_string(), "2026-11-20T08:07:57.307000Z");
        assert!(times[1] > times[0], "a record without a time is of now");
    }

    #[test]
    fn a_name_stands_in_one_of_three_places() {
        let records = json!([
            { "eventName": "a", "attributes": [{ "key": "event.name", "value": { "stringValue": "b" } }] },
            { "eventName": "a", "body": { "stringValue": "c" } },
            { "attributes": [{ "key": "event.name", "value": { "stringValue": "b" } }], "body": { "stringValue": "c" } },
            { "body": { "stringValue": "c" } },
        ]);
        let names: Vec<Value> =
            payloads(&request(&records), Text::Sizes).iter().map(|p| p["event.name"].clone()).collect();
        assert_eq!(names, ["b", "a", "b", "c"]);
    }

    #[test]
    fn what_is_too_much_is_counted_and_what_is_no_request_is_refused() {
        let records: Vec<Value> = vec![json!({}); MAX_ITEMS + 3];
        let logs = decode_logs(request(&records.into()).to_string().as_bytes(), Text::Sizes).unwrap();
        assert_eq!((logs.items.len(), logs.rejected), (MAX_ITEMS, 3));
        assert!(decode_logs(b"{}", Text::Sizes).unwrap().items.is_empty());
        for broken in ["", "[]", "{", r#"{"resourceLogs":7}"#] {
            assert!(decode_logs(broken.as_bytes(), Text::Sizes).is_err(), "{broken}");
        }
        let mut deep = json!({ "stringValue": "x" });
        for _ in 0..20 {
            deep = json!({ "arrayValue": { "values": [deep] } });
        }
        assert_eq!(payloads(&request(&json!([{ "body": deep }])), Text::Sizes).len(), 1);
    }
}
