//! The config's schema together with those of the plugins of this machine, so that an editor completes their settings too.
//! `headwater schema config` prints it.

use super::json_schema;
use serde_json::{Map, Value, json};

/// The JSON Schema of the config, where `[source.NAME]` and `plugin = "NAME"` know the settings of these plugins.
pub fn json_schema_with(plugins: impl IntoIterator<Item = (String, Value)>) -> Value {
    let mut schema = json_schema();
    let mut named = Map::new();
    let mut chosen = Vec::new();
    for (name, mut settings) in plugins {
        let place = format!("plugin-{name}");
        let pointer = format!("#/$defs/{}", place.replace('~', "~0").replace('/', "~1"));
        relocate(&mut settings, &pointer);
        if let Some(keys) = settings.as_object_mut() {
            // The host's keys stand in the same table; and what is missing is told by the check, not by the editor.
            for key in ["additionalProperties", "$schema", "$id"] {
                keys.remove(key);
            }
        }
        schema["$defs"][&place] = settings;
        let other = json!({"required": ["plugin"], "properties": {"plugin": {"not": {"const": name}}}});
        let program = json!({"required": ["exec"]});
        let unless = json!({"if": {"anyOf": [other, program]}, "then": true, "else": {"$ref": pointer}});
        named.insert(name.clone(), json!({"allOf": [{"$ref": "#/$defs/SourceTable"}, unless]}));
        chosen.push(json!({
            "if": {"required": ["plugin"], "properties": {"plugin": {"const": name}}},
            "then": {"$ref": pointer},
        }));
    }
    if !chosen.is_empty() {
        schema["properties"]["source"]["properties"] = Value::Object(named);
        schema["$defs"]["SourceTable"]["allOf"] = Value::Array(chosen);
    }
    schema
}

/// References within a schema that moves to `pointer`.
fn relocate(schema: &mut Value, pointer: &str) {
    match schema {
        Value::Object(keys) => {
            for (key, inner) in keys {
                match inner {
                    Value::String(target) if key == "$ref" && target.starts_with('#') => {
                        *target = format!("{pointer}{}", &target[1..]);
                    }
                    _ => relocate(inner, pointer),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| relocate(item, pointer)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_settings_are_known_under_their_names() {
        let settings = json!({
            "type": "object",
            "properties": {"disks": {"type": "array", "items": {"$ref": "#/$defs/Disk"}}},
            "additionalProperties": false,
            "$defs": {"Disk": {"type": "string"}},
        });
        let schema = json_schema_with([("metrics".to_owned(), settings)]);
        let moved = &schema["$defs"]["plugin-metrics"];
        assert_eq!(moved["properties"]["disks"]["items"]["$ref"], "#/$defs/plugin-metrics/$defs/Disk");
        assert_eq!(schema.pointer("/$defs/plugin-metrics/$defs/Disk/type"), Some(&json!("string")));
        assert_eq!(moved.get("additionalProperties"), None, "host keys stand in the same table");
        let own = &schema["properties"]["source"]["properties"]["metrics"]["allOf"];
        assert_eq!(own[1]["else"]["$ref"], "#/$defs/plugin-metrics");
    }

    #[test]
    fn without_plugins_it_is_the_plain_schema() {
        assert_eq!(json_schema_with([]), json_schema());
    }
}
