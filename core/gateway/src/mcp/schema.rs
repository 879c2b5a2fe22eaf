//! JSON Schemas of what tools take and give, as models and their clients are told them: in one piece, without `null` where a
//! member is just left out, and without number formats that JSON Schema does not have.

use rmcp::model::JsonObject;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;
use std::sync::Arc;

/// What a tool takes: an object with these members and no others.
pub(super) fn input<T: JsonSchema>() -> Arc<JsonObject> {
    let mut schema = plain(SchemaSettings::draft2020_12().for_deserialize().into_generator_of::<T>());
    schema.entry("properties").or_insert_with(|| Value::Object(JsonObject::new()));
    schema.insert("additionalProperties".into(), false.into());
    schema.into()
}

/// What a tool gives.
pub(super) fn output<T: JsonSchema>() -> Arc<JsonObject> {
    plain(SchemaSettings::draft2020_12().for_serialize().into_generator_of::<T>()).into()
}

trait Generated {
    fn into_generator_of<T: JsonSchema>(self) -> Value;
}

impl Generated for SchemaSettings {
    fn into_generator_of<T: JsonSchema>(mut self) -> Value {
        self.inline_subschemas = true;
        self.meta_schema = None;
        self.into_generator().into_root_schema_for::<T>().to_value()
    }
}

fn plain(mut schema: Value) -> JsonObject {
    simplify(&mut schema);
    let Value::Object(mut schema) = schema else { return JsonObject::new() };
    schema.remove("title");
    schema
}

fn simplify(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(simplify),
        Value::Object(members) => {
            if let Some(Value::Array(types)) = members.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    members.insert("type".into(), only);
                }
            }
            if let Some(Value::Array(values)) = members.get_mut("enum") {
                values.retain(|value| !value.is_null());
            }
            if let Some(Value::Array(of)) = members.get_mut("anyOf") {
                of.retain(|one| one.get("type").is_none_or(|kind| kind != "null"));
                if of.len() == 1
                    && let Some(Value::Object(only)) = of.pop()
                {
                    members.remove("anyOf");
                    for (name, value) in only {
                        members.entry(name).or_insert(value);
                    }
                }
            }
            if members.get("format").and_then(Value::as_str).is_some_and(|format| {
                format.starts_with("uint") || format.starts_with("int") || matches!(format, "double" | "float")
            }) {
                members.remove("format");
            }
            if members.get("default").is_some_and(Value::is_null) {
                members.remove("default");
            }
            members.values_mut().for_each(simplify);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};
    use serde_json::json;

    /// A door.
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Door {
        /// In centimetres.
        #[schemars(range(min = 1, max = 300))]
        height: Option<u64>,
        colour: Option<Colour>,
        name: String,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Colour {
        Red,
    }

    #[test]
    fn a_schema_is_in_one_piece_and_knows_no_null() {
        assert_eq!(
            Value::Object((*input::<Door>()).clone()),
            json!({
                "type": "object",
                "description": "A door.",
                "properties": {
                    "height": { "description": "In centimetres.", "type": "integer", "minimum": 1, "maximum": 300 },
                    "colour": { "type": "string", "enum": ["red"] },
                    "name": { "type": "string" },
                },
                "required": ["name"],
                "additionalProperties": false,
            })
        );
    }
}
