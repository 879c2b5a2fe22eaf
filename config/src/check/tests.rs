//! The walk against schemas as plugins bring them: references, alternatives, formats, and schemas that mean no good.

use super::*;
use crate::text::Text;
use serde_json::json;
use std::path::Path;
use toml::de::DeTable;

/// Walks `toml` with `schema`: the plain value, and each fault as `line:column message | help`.
fn walk(schema: &Value, toml: &str) -> (Value, Vec<String>) {
    let text = Text::new(Path::new("a.toml"), toml);
    let table = DeTable::parse(toml).unwrap();
    let root = Spanned::new(0..0, DeValue::Table(table.into_inner()));
    let mut walk = Walk::new(&text, schema, Subject::Plugin("p"));
    let plain = walk.value(schema, "settings", &root);
    let told = |fault: &Diagnostic| {
        format!("{}:{} {} | {}", fault.line, fault.column, fault.message, fault.help.as_deref().unwrap_or("-"))
    };
    (plain, walk.found.iter().map(told).collect())
}

fn faults(schema: &Value, toml: &str) -> Vec<String> {
    walk(schema, toml).1
}

const NONE: [String; 0] = [];

#[test]
fn values_become_json_as_they_stand() {
    let toml =
        "a = 0xff\nb = 1_000\nc = 1.5\nd = 1979-05-27\ne = [true, { x = 'y' }]\nf.g = 1\nh = 18446744073709551615\n";
    let (plain, found) = walk(&json!(true), toml);
    assert_eq!(found, NONE);
    let all = json!({"a": 255, "b": 1000, "c": 1.5, "d": "1979-05-27", "e": [true, {"x": "y"}], "f": {"g": 1}, "h": u64::MAX});
    assert_eq!(plain, all);
}

#[test]
fn numbers_that_json_does_not_have_are_refused() {
    for toml in ["a = inf", "a = nan", "a = 99999999999999999999999", "a = -99999999999999999999999"] {
        let found = faults(&json!(true), toml);
        assert_eq!(found.len(), 1, "{toml}");
        assert!(found[0].starts_with("1:5 `a` is too large a number"), "{found:?}");
    }
}

#[test]
fn references_are_followed() {
    let schema = json!({
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/port"}, "b": {"$ref": "#/$defs/loop"}},
        "$defs": {"port": {"type": "integer", "format": "uint16"}, "loop": {"$ref": "#/$defs/loop"}},
    });
    assert_eq!(faults(&schema, "a = 70000\nb = 1"), ["1:5 `a` cannot be 70000 | at most 65535"]);
}

#[test]
fn optional_values_are_those_without_null() {
    let schema = json!({"properties": {
        "a": {"type": ["string", "null"]},
        "b": {"anyOf": [{"type": "integer", "minimum": 3}, {"type": "null"}]},
    }});
    assert_eq!(faults(&schema, "a = 'x'\nb = 3"), NONE);
    assert_eq!(
        faults(&schema, "a = 1\nb = 2"),
        ["1:5 `a` must be a string, not an integer | put it in quotes: \"1\"", "2:5 `b` cannot be 2 | at least 3"]
    );
    assert_eq!(faults(&schema, "b = 'x'"), ["1:5 `b` must be an integer, not a string | -"]);
}

#[test]
fn documented_enumerations_are_enumerations() {
    let schema = json!({"properties": {"mode": {"oneOf": [
        {"const": "fast", "description": "…"}, {"const": "slow"}, {"enum": ["off", "none"]},
    ]}}});
    assert_eq!(faults(&schema, "mode = 'none'"), NONE);
    assert_eq!(
        faults(&schema, "mode = 'fats'"),
        ["1:8 `mode` cannot be \"fats\" | did you mean \"fast\"? one of \"fast\", \"slow\", \"off\", \"none\""]
    );
}

/// Without looking at the tag, a typo would be explained by whichever shape has the fewest faults.
#[test]
fn of_several_shapes_the_one_with_the_tag_is_meant() {
    let schema = json!({"properties": {"hook": {"oneOf": [
        {"type": "object", "properties": {"kind": {"const": "http"}, "url": {"type": "string"}}, "required": ["kind", "url"], "additionalProperties": false},
        {"type": "object", "properties": {"kind": {"const": "exec"}, "command": {"type": "string"}}, "required": ["kind"], "additionalProperties": false},
    ]}}});
    assert_eq!(faults(&schema, "hook = { kind = 'http', url = 'x' }"), NONE);
    assert_eq!(
        faults(&schema, "[hook]\nkind = 'http'\nulr = 'x'"),
        [
            "3:1 unknown key `ulr` in the settings of plugin `p` | did you mean `url`?",
            "1:1 missing key `url` in the settings of plugin `p` | add `url = \"…\"`",
        ]
    );
}

#[test]
fn a_value_of_no_shape_is_told_the_shapes() {
    let schema =
        json!({"properties": {"a": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}}});
    assert_eq!(faults(&schema, "a = ['x']"), NONE);
    assert_eq!(faults(&schema, "a = 1"), ["1:5 `a` must be a string or a list, not an integer | -"]);
    assert_eq!(
        faults(&schema, "a = ['x', 2]"),
        ["1:11 `a[1]` must be a string, not an integer | put it in quotes: \"2\""]
    );
}

#[test]
fn free_keys_may_have_a_schema_of_their_own() {
    let schema = json!({"properties": {"labels": {"type": "object", "additionalProperties": {"type": "string"}}}});
    assert_eq!(faults(&schema, "labels = { a = 'x', \"b c\" = 1 }").len(), 1);
}

#[test]
fn parts_add_up() {
    let schema = json!({
        "allOf": [{"properties": {"a": {"type": "string"}}}, {"properties": {"b": {"type": "integer"}}}],
        "unevaluatedProperties": false,
    });
    assert_eq!(faults(&schema, "a = 'x'\nb = 1"), NONE);
    assert_eq!(faults(&schema, "a = 1\nc = 2").len(), 2);
}

#[test]
fn lists_have_lengths_and_positions() {
    let schema = json!({"properties": {
        "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]},
        "some": {"type": "array", "minItems": 1, "maxItems": 2},
        "set": {"type": "array", "uniqueItems": true},
    }});
    assert_eq!(faults(&schema, "pair = ['a', 1]\nsome = [1]\nset = [1, 2]"), NONE);
    assert_eq!(
        faults(&schema, "pair = [1, 1]\nset = [1, 2, 1]\nsome = []"),
        [
            "1:9 `pair[0]` must be a string, not an integer | put it in quotes: \"1\"",
            "2:14 `set` holds the same entry twice | -",
            "3:8 `some` has too few entries | at least 1",
        ]
    );
    assert_eq!(faults(&schema, "some = [1, 2, 3]"), ["1:8 `some` has too many entries | at most 2"]);
}

#[test]
fn numbers_and_texts_have_bounds() {
    let schema = json!({"properties": {
        "above": {"type": "number", "exclusiveMinimum": 0},
        "below": {"type": "number", "exclusiveMaximum": 1},
        "step": {"type": "integer", "multipleOf": 5},
        "text": {"type": "string", "minLength": 1, "maxLength": 3},
        "ip": {"type": "string", "format": "ipv4"},
    }});
    assert_eq!(faults(&schema, "above = 0.1\nbelow = 0.9\nstep = 10\ntext = 'äöü'\nip = '10.0.0.1'"), NONE);
    let found = faults(&schema, "above = 0\nbelow = 1.0\nip = 'x'\nstep = 7\ntext = ''");
    let fixes: Vec<&str> = found.iter().map(|f| f.split(" | ").nth(1).unwrap()).collect();
    assert_eq!(
        fixes,
        ["more than 0", "less than 1", "like \"127.0.0.1\" or \"::1\"", "a multiple of 5", "write something"]
    );
    assert_eq!(faults(&schema, "text = 'four'"), ["1:8 `text` is too long | at most 3 characters"]);
}

#[test]
fn what_is_not_understood_accepts_everything() {
    for schema in [
        json!({"type": "object", "patternProperties": {"^x-": true}, "additionalProperties": false}),
        json!({"properties": {"a": {"pattern": "^[0-9]+$", "if": {"const": 1}, "not": {}}}}),
        json!({"type": "object", "properties": []}),
        json!({"anyOf": "nonsense", "required": "a", "enum": 3, "minimum": "x"}),
        json!(null),
        json!([]),
        json!({"$ref": "https://example.org/schema"}),
    ] {
        assert_eq!(faults(&schema, "a = 'b'"), NONE, "{schema}");
    }
}

/// A schema comes with a plugin. One that branches for ever must not hang the daemon at a reload.
#[test]
fn a_schema_that_grows_without_end_is_given_up() {
    let branch = json!({"properties": {"a": {"$ref": "#"}, "b": {"type": "integer"}}, "required": ["b"]});
    let schema = json!({"anyOf": vec![branch; 8]});
    let toml = format!("{}a = 1", "a.".repeat(70));
    let begun = std::time::Instant::now();
    let (_, found) = walk(&schema, &toml);
    assert!(found.len() <= MAX_FAULTS);
    assert!(begun.elapsed() < std::time::Duration::from_secs(30), "{:?}", begun.elapsed());
}

/// Harm prevented: a hash that was cut off took its source down, five times, into quarantine.
#[test]
fn a_hash_with_its_name_is_whole() {
    let schema =
        json!({"properties": {"spawn": {"additionalProperties": {"format": "sha256-digest", "type": "string"}}}});
    let whole = format!("sha256:{}", "9F".repeat(32));
    assert_eq!(faults(&schema, &format!("spawn.a = '{whole}'")), NONE);
    for wrong in ["sha256:9f86", &whole[7..], &format!("{whole}0"), ""] {
        let found = faults(&schema, &format!("spawn.a = '{wrong}'"));
        assert_eq!(found.len(), 1, "{wrong}");
        assert!(found[0].starts_with("1:11 `a`: ") && found[0].contains("64 hex digits"), "{found:?}");
    }
}
