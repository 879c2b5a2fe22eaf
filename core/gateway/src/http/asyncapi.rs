//! `GET /asyncapi.json`: what this daemon offers at this moment, as an `AsyncAPI` 3 document: its channels, the messages of
//! the native protocol, and the commands of its sources with the schemas of their manifests. Made anew for each request.

use super::{answer, app::App};
use crate::{CommandInfo, SourceInfo};
use axum::{extract::State, http::StatusCode, response::Response};
use headwater_event::{Evidence, Severity};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, fmt::Write, sync::Arc};

/// Channels that are listed. A publisher may have made many thousands, and the document is for people's tools.
const MAX_CHANNELS: usize = 1000;

pub(super) async fn document(State(app): State<Arc<App>>) -> Response {
    let names = app.router.channels().into_iter().map(|info| info.channel.to_string());
    let host = app.options.listen.to_string();
    answer::json(StatusCode::OK, &of(&app.ports.info().version, &host, names, &app.ports.sources()))
}

/// The document.
fn of(version: &str, host: &str, channels: impl Iterator<Item = String>, sources: &[SourceInfo]) -> Value {
    let mut by_address: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for source in sources {
        for address in &source.channels {
            by_address.entry(address.clone()).or_default().push(&source.name);
        }
    }
    for name in channels.take(MAX_CHANNELS) {
        by_address.entry(name).or_default();
    }
    let mut listed = Map::new();
    let mut operations = Map::new();
    for (address, publishers) in &by_address {
        let id = identifier(address);
        listed.insert(id.clone(), channel(address, publishers));
        let messages = json!([{"$ref": format!("#/channels/{id}/messages/event")}]);
        operations.insert(
            format!("deliver_{id}"),
            json!({"action": "send", "channel": {"$ref": format!("#/channels/{id}")}, "messages": messages,
                "summary": format!("events of `{address}`, to whoever subscribes")}),
        );
    }
    let (stream, messages) = stream(sources);
    // No address makes this key.
    listed.insert("_stream".into(), stream);
    let (said, heard): (Vec<_>, Vec<_>) = messages.keys().partition(|name| SAID.contains(&name.as_str()));
    let refer = |names: Vec<&String>| {
        let one = |name: &&String| json!({"$ref": format!("#/channels/_stream/messages/{name}")});
        names.iter().map(one).collect::<Vec<_>>()
    };
    let here = json!({"$ref": "#/channels/_stream"});
    operations.insert("request".into(), json!({"action": "receive", "channel": here, "messages": refer(heard)}));
    operations.insert("notify".into(), json!({"action": "send", "channel": here, "messages": refer(said)}));
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Headwater",
            "version": version,
            "description": "Channels and commands of this daemon at this moment. Each channel's address is what `subscribe` \
                names; a `*` in it stands for any run of characters.",
        },
        "defaultContentType": "application/json",
        "servers": {
            "websocket": {"host": host, "protocol": "ws", "pathname": "/v1/stream"},
            "http": {"host": host, "protocol": "http", "pathname": "/v1/events"},
        },
        "channels": listed,
        "operations": operations,
        "components": {"messages": messages, "schemas": {"event": event_schema(), "gap": gap_schema()}},
    })
}

/// What the daemon says of its own accord; all other messages are a client's.
const SAID: [&str; 2] = ["event", "gap"];

fn channel(address: &str, publishers: &[&str]) -> Value {
    let mut channel = json!({
        "address": address,
        "messages": {"event": {"$ref": "#/components/messages/event"}, "gap": {"$ref": "#/components/messages/gap"}},
    });
    if !publishers.is_empty() {
        channel["description"] = format!("published by {}", publishers.join(", ")).into();
        channel["x-headwater-sources"] = publishers.into();
    }
    channel
}

/// The socket that everything is said on, and all its messages.
fn stream(sources: &[SourceInfo]) -> (Value, Map<String, Value>) {
    let mut messages = Map::new();
    messages.insert("event".into(), message("an event", json!({"$ref": "#/components/schemas/event"})));
    messages.insert("gap".into(), message("events that will not come", json!({"$ref": "#/components/schemas/gap"})));
    messages.insert("subscribe".into(), message("let events come", subscribe_schema()));
    messages.insert("publish".into(), message("publish one event", publish_schema()));
    for source in sources {
        for command in &source.commands {
            let said = command.description.clone().unwrap_or_else(|| format!("a command of `{}`", source.name));
            let mut asked = message(&said, command_schema(&source.name, command));
            if let Some(permission) = &command.permission {
                asked["x-headwater-permission"] = permission.as_str().into();
            }
            messages.insert(format!("command_{}", identifier(&format!("{}/{}", source.name, command.name))), asked);
        }
    }
    let refer = |name: &String| (name.clone(), json!({"$ref": format!("#/components/messages/{name}")}));
    let all: Map<String, Value> = messages.keys().map(refer).collect();
    let text = "the native protocol: requests of the client, and everything that it is sent";
    (json!({"address": "/v1/stream", "description": text, "messages": all}), messages)
}

#[expect(clippy::needless_pass_by_value, reason = "the payload becomes a part of the message")]
fn message(summary: &str, payload: Value) -> Value {
    json!({"summary": summary, "contentType": "application/json", "payload": payload})
}

fn event_schema() -> Value {
    json!({
        "type": "object",
        "required": ["type", "channel", "timestamp", "message_id", "epoch", "offset", "source", "data"],
        "properties": {
            "type": {"type": "string", "description": "what happened"},
            "channel": {"type": "string"},
            "timestamp": {"type": "string", "format": "date-time", "description": "when it was observed, UTC"},
            "message_id": {"type": "string", "format": "uuid", "description": "the key for de-duplication"},
            "epoch": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
            "offset": {"type": "integer", "minimum": 1, "description": "rises by 1 and never repeats within an epoch"},
            "source": {"type": "string", "description": "who published it"},
            "severity": {"enum": Severity::ALL.map(Severity::as_str)},
            "evidence": {"enum": Evidence::ALL.map(Evidence::as_str)},
            "key": {"type": "string", "description": "it is the snapshot of this channel and key"},
            "forgotten": {"const": true, "description": "the snapshot of this key is gone"},
            "attributes": {"type": "object", "additionalProperties": {"type": "string"}},
            "data": {"description": "the payload, any JSON value"},
        },
    })
}

fn gap_schema() -> Value {
    json!({
        "type": "object",
        "required": ["type", "channel", "epoch", "from", "to", "reason"],
        "properties": {
            "type": {"const": "gap"},
            "channel": {"type": "string"},
            "epoch": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
            "from": {"type": "integer", "description": "the first offset missing"},
            "to": {"type": "integer", "description": "the last offset missing"},
            "reason": {"enum": headwater_event::GapReason::ALL.map(headwater_event::GapReason::as_str)},
        },
    })
}

fn subscribe_schema() -> Value {
    json!({
        "type": "object",
        "required": ["type", "channels"],
        "properties": {
            "type": {"const": "subscribe"},
            "channels": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]},
            "filter": {"type": "object"},
            "from": {"description": "\"latest\", \"earliest\", a position, positions by channel, or a time"},
            "options": {"type": "object"},
            "request_id": {"type": ["string", "number"]},
        },
    })
}

fn publish_schema() -> Value {
    json!({
        "type": "object",
        "required": ["type", "channel", "event"],
        "properties": {
            "type": {"const": "publish"},
            "channel": {"type": "string"},
            "event": {"type": "string", "description": "the event's type"},
            "data": {},
            "severity": {"type": "string"},
            "attributes": {"type": "object", "additionalProperties": {"type": "string"}},
            "key": {"type": "string"},
            "timestamp": {"type": "string", "format": "date-time"},
            "request_id": {"type": ["string", "number"]},
        },
    })
}

fn command_schema(source: &str, command: &CommandInfo) -> Value {
    json!({
        "type": "object",
        "required": ["type", "command", "request_id"],
        "properties": {
            "type": {"const": "command"},
            "command": {"enum": [command.name, format!("{source}/{}", command.name)]},
            "parameters": command.parameters.clone().unwrap_or_else(|| json!({"type": "object"})),
            "request_id": {"type": ["string", "number"]},
        },
    })
}

/// The address as a key that a `$ref` can name: letters, digits, `-` and `_`; what differs in another character differs in
/// the key too.
fn identifier(address: &str) -> String {
    let mut key = String::with_capacity(address.len());
    for byte in address.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => key.push(char::from(byte)),
            b'_' => key.push_str("__"),
            other => write!(key, "_{other:02x}").expect("a string takes all that is written"),
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourceState;
    use std::collections::HashSet;

    fn sources() -> Vec<SourceInfo> {
        vec![SourceInfo {
            name: "disk".into(),
            state: SourceState::Up,
            plugin: Some("disk".into()),
            exec: None,
            version: None,
            isolation: "process",
            pid: None,
            generation: 1,
            restarts: 0,
            events: 0,
            dropped: 0,
            channels: vec!["disk".into(), "disk:*".into()],
            commands: vec![CommandInfo {
                name: "measure".into(),
                permission: Some("control".into()),
                description: None,
                parameters: Some(json!({"type": "object", "properties": {"mount": {"type": "string"}}})),
            }],
            reason: None,
            since: "2026-01-01T00:00:00Z".into(),
        }]
    }

    /// Every `$ref` of the document.
    fn references<'a>(value: &'a Value, into: &mut Vec<&'a str>) {
        match value {
            Value::Object(map) => {
                into.extend(map.get("$ref").and_then(Value::as_str));
                map.values().for_each(|value| references(value, into));
            }
            Value::Array(list) => list.iter().for_each(|value| references(value, into)),
            _ => {}
        }
    }

    #[test]
    fn channels_of_sources_and_of_publishers_are_listed_and_every_reference_leads_somewhere() {
        let document = of("1.0.0", "127.0.0.1:1", ["disk".to_owned(), "other one".to_owned()].into_iter(), &sources());
        let addresses: HashSet<&str> =
            document["channels"].as_object().unwrap().values().map(|c| c["address"].as_str().unwrap()).collect();
        assert_eq!(addresses, HashSet::from(["disk", "disk:*", "other one", "/v1/stream"]));
        assert_eq!(document["channels"]["disk"]["x-headwater-sources"], json!(["disk"]));
        let command = &document["components"]["messages"]["command_disk_2fmeasure"];
        assert_eq!(command["payload"]["properties"]["parameters"]["properties"]["mount"]["type"], "string");
        let mut all = Vec::new();
        references(&document, &mut all);
        assert!(all.len() > 10);
        for reference in all {
            assert!(document.pointer(&reference[1..]).is_some(), "{reference} leads nowhere");
        }
    }

    #[test]
    fn two_addresses_never_share_a_key() {
        let addresses = ["a_b", "a b", "a:b", "a__b", "a_20b", "a", "ä"];
        let keys: HashSet<String> = addresses.iter().map(|address| identifier(address)).collect();
        assert_eq!(keys.len(), addresses.len(), "{keys:?}");
    }
}
