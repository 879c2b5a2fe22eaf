//! Every event in its documented shape: types and bounds of what is there, and what must be there.

use crate::world::{World, python, sh, signal};
use headwater_testkit::prelude::*;
use std::collections::BTreeSet;

/// Fields that the documented shape always has and that are left out where they are not known: nothing is invented.
const UNKNOWN: [&str; 23] = [
    "mcp_server_status_change.impact.variety_contribution",
    "mcp_server_status_change.impact.systems_affected",
    "mcp_server_status_change.details.initial_performance.avg_response_time_ms",
    "mcp_server_health_alert.metrics.response_time_ms",
    "mcp_server_health_alert.metrics.error_rate",
    "mcp_server_health_alert.metrics.memory_usage_percent",
    "mcp_server_health_alert.metrics.cpu_usage_percent",
    "mcp_server_discovered.servers_found[].version",
    "mcp_server_discovered.servers_found[].description",
    "mcp_server_discovered.servers_found[].capabilities",
    "mcp_server_discovered.servers_found[].compatibility_score",
    "mcp_server_discovered.servers_found[].security_score",
    "mcp_server_discovered.servers_found[].performance_rating",
    "mcp_server_discovered.servers_found[].download_count",
    "mcp_server_discovered.servers_found[].last_updated",
    "mcp_server_discovered.relevance.addresses_gaps",
    "mcp_server_discovered.relevance.potential_variety_improvement",
    "mcp_server_discovered.relevance.integration_effort",
    "error_event.impact.capabilities_affected",
    "error_event.impact.operations_failed",
    "error_event.impact.variety_impact",
    "error_event.context.system_load",
    "error_event.context.recent_changes",
];

fn check(schema: &Value, value: &Value, place: &str) {
    match schema["type"].as_str().unwrap() {
        "object" => {
            let object = value.as_object().unwrap_or_else(|| panic!("{place} is no object: {value}"));
            for key in schema["required"].as_array().into_iter().flatten().map(|key| key.as_str().unwrap()) {
                let path = format!("{place}.{key}");
                assert!(object.contains_key(key) || UNKNOWN.contains(&path.as_str()), "{path} is missing: {value}");
            }
            for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
                if let Some(value) = object.get(key) {
                    check(schema, value, &format!("{place}.{key}"));
                }
            }
        }
        "array" => {
            let list = value.as_array().unwrap_or_else(|| panic!("{place} is no list: {value}"));
            for item in list {
                check(&schema["items"], item, &format!("{place}[]"));
            }
        }
        "string" => {
            let text = value.as_str().unwrap_or_else(|| panic!("{place} is no text: {value}"));
            let known = schema["x-known-values"].as_array();
            assert!(known.is_none_or(|known| known.contains(&json!(text))), "{place}: {text}");
        }
        "boolean" => assert!(value.is_boolean(), "{place}: {value}"),
        kind => {
            let number = value.as_f64().unwrap_or_else(|| panic!("{place} is no number: {value}"));
            assert!(kind == "number" || value.is_u64() || value.is_i64(), "{place} is no whole number: {value}");
            assert!(schema["minimum"].as_f64().is_none_or(|least| number >= least), "{place}: {number}");
            assert!(schema["maximum"].as_f64().is_none_or(|most| number <= most), "{place}: {number}");
        }
    }
}

#[tokio::test]
async fn every_type_of_event_has_its_documented_shape() {
    let schemas: Value = serde_json::from_str(include_str!("events.schemas.json")).unwrap();
    let servers = json!({ "one": python(&[]), "bad": sh("exit 3"), "worse": { "command": "cat" } });
    let mut world = World::with(|_| json!({ "servers": servers, "deadline": "1s" }));
    world.write(&json!({ "files": python(&[]) }));
    let of_one = |event: &TestEvent| event.data["server_id"] == "one" && event.kind == "mcp_server_health_alert";
    let mut seen = BTreeSet::new();
    let (mut last, mut stopped) = (false, false);
    while !last || seen.len() < schemas.as_object().unwrap().len() {
        let event = world.next("an event", |_| true).await;
        last = last || of_one(&event);
        if event.kind == "mcp_server_state"
            && event.data["server_id"] == "one"
            && event.data["status"] == "active"
            && !stopped
            && let Some(pid) = event.data.get("pid")
        {
            signal(pid, "-STOP");
            stopped = true;
        }
        assert!(event.evidence.is_some() || event.forgets.is_some() || event.kind.ends_with("opened"), "{event:?}");
        if let Some(schema) = schemas.get(&event.kind) {
            check(schema, &event.data, &event.kind);
            seen.insert(event.kind);
        }
    }
}
