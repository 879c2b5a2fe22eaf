//! The manifest as JSON, against the types it was made from.

use super::*;
use crate::{ConfigType, config};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::PathBuf};

/// Free space of "one" mount point.
///
/// With a \ in it.
#[config]
#[derive(Debug, PartialEq)]
#[serde(rename_all = "kebab-case")]
struct Config {
    /// Where it is mounted.
    mount: PathBuf,
    #[default = "1s"]
    how_often: crate::Period,
    #[default = -3]
    offset: i32,
    #[default = 1_0.50f64]
    share: f64,
    #[default = ["a", "b"]]
    names: Vec<String>,
    #[default = true]
    on: bool,
    big: Option<u64>,
    #[serde(default)]
    table: BTreeMap<String, Unit>,
    #[serde(rename = "type")]
    kind: Unit,
    /// Its own words win.
    r#inner: Option<Inner>,
    #[serde(skip)]
    seen: u8,
}

/// Parts.
#[config]
#[derive(Debug, PartialEq)]
#[serde(default)]
#[derive(Default)]
struct Inner {
    x: u8,
    free: Option<Value>,
}

#[config]
#[derive(Debug, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Unit {
    MegaBytes,
    #[serde(rename = "B")]
    Bytes,
}

const EMPTY: Manifest = Manifest {
    name: "x",
    version: "1.2.3",
    description: "",
    declared: Declared::NONE,
    config: Config::SCHEMA,
    panic: "unwind",
};
const LEN: usize = EMPTY.len();
const BYTES: [u8; LEN] = EMPTY.write();

fn value(manifest: &[u8]) -> Value {
    serde_json::from_slice(manifest).unwrap()
}

#[test]
fn the_schema_of_the_settings_is_written_at_compile_time() {
    let unit = json!({ "type": "string", "enum": ["mega_bytes", "B"] });
    let expected = json!({
        "type": "object",
        "description": "Free space of \"one\" mount point.\n\nWith a \\ in it.",
        "properties": {
            "mount": { "type": "string", "description": "Where it is mounted." },
            "how-often": { "type": "string", "format": "duration", "examples": ["1s"], "default": "1s" },
            "offset": { "type": "integer", "minimum": i32::MIN, "maximum": i32::MAX, "default": -3 },
            "share": { "type": "number", "default": 10.5 },
            "names": { "type": "array", "items": { "type": "string" }, "default": ["a", "b"] },
            "on": { "type": "boolean", "default": true },
            "big": { "type": "integer", "minimum": 0 },
            "table": { "type": "object", "additionalProperties": unit },
            "type": unit,
            "inner": {
                "type": "object",
                "description": "Its own words win.",
                "properties": {
                    "x": { "type": "integer", "minimum": 0, "maximum": 255 },
                    "free": { "$comment": "any value" },
                },
                "required": [],
                "additionalProperties": false,
            },
        },
        "required": ["mount", "type"],
        "additionalProperties": false,
    });
    assert_eq!(value(&BYTES)["config_schema"], expected);
}

/// The schema says what serde does: what it calls optional may be missing, and has the default that it shows.
#[test]
fn the_settings_are_read_as_the_schema_says() {
    let config: Config = serde_json::from_value(json!({ "mount": "/", "type": "B" })).unwrap();
    let expected = Config {
        mount: "/".into(),
        how_often: crate::Period::from_secs(1),
        offset: -3,
        share: 10.5,
        names: vec!["a".into(), "b".into()],
        on: true,
        big: None,
        table: BTreeMap::new(),
        kind: Unit::Bytes,
        inner: None,
        seen: 0,
    };
    assert_eq!(config, expected);
    let inner = json!({ "mount": "/", "type": "mega_bytes", "inner": {} });
    assert_eq!(serde_json::from_value::<Config>(inner).unwrap().inner, Some(Inner::default()));
    let error = serde_json::from_value::<Config>(json!({ "mount": "/", "typ": "B" })).unwrap_err();
    assert!(error.to_string().starts_with("unknown field `typ`"), "{error}");
}

#[test]
fn without_braces_a_plugin_emits_on_the_channel_of_its_name() {
    let manifest = value(&BYTES);
    assert_eq!(manifest["abi"], 1);
    assert_eq!(manifest["emits"], json!(["x"]));
    assert_eq!(manifest["reads"], json!([]));
    assert_eq!(manifest["commands"], json!([]));
    assert_eq!(manifest.get("description"), None);
    assert_eq!(manifest["panic"], "unwind");
    assert!(manifest["rustc"].as_str().unwrap().starts_with("1."), "{}", manifest["rustc"]);
    assert!(manifest["target"].as_str().unwrap().contains('-'), "{}", manifest["target"]);
}

#[test]
fn the_name_is_the_package_without_our_prefix() {
    assert_eq!(plugin_name("headwater-plugin-metrics"), "metrics");
    assert_eq!(plugin_name("headwater-plugin-"), "headwater-plugin-");
    assert_eq!(plugin_name("disk"), "disk");
    assert_eq!(plugin_name("headwater-plugins-disk"), "headwater-plugins-disk");
}

#[test]
fn whole_numbers_are_written_out() {
    for number in [0, 7, 10, -1, i128::from(u64::MAX), i128::from(i64::MIN)] {
        let mut bytes = [0; 40];
        let mut out = Out::new(&mut bytes);
        out.integer(number);
        let len = out.len();
        assert_eq!(std::str::from_utf8(&bytes[..len]).unwrap(), number.to_string());
    }
}

#[test]
#[should_panic(expected = "a channel pattern has letters")]
fn a_pattern_with_a_blank_is_refused() {
    check_patterns(&["disk", "no blanks"]);
}
