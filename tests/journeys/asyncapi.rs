//! `/asyncapi.json` is read by other people's generators: the reference parser has to find no fault in it.

use headwater_tests::{World, built, node_modules};
use serde_json::Value;
use tokio::process::Command;

/// Prints the faults that the `AsyncAPI` initiative's own parser finds, by severity: 0 is an error, 1 a warning.
const PARSE: &str = r"
const { Parser } = require('@asyncapi/parser');
let text = '';
process.stdin.on('data', (part) => { text += part; }).on('end', async () => {
  const { document, diagnostics } = await new Parser().parse(text);
  const faults = diagnostics.filter((d) => d.severity <= 1).map((d) => `${d.severity} ${d.path.join('.')}: ${d.message}`);
  const channels = document ? document.allChannels().all().map((c) => c.address()) : [];
  console.log(JSON.stringify({ parsed: document !== undefined, channels, faults }));
});
";

#[tokio::test]
async fn the_reference_parser_finds_no_fault_in_the_description() {
    let daemon = World::new()
        .plugin("metrics", &built("libheadwater_plugin_metrics.so"), "interval = \"1s\"")
        .plugin("counter", &built("libheadwater_plugin_counter.so"), "")
        .start()
        .await;
    daemon.source_is("metrics", "up").await;
    let posted = daemon.post("/v1/events", "application/json", r#"{"channel":"a:b_c","type":"t"}"#).await;
    assert_eq!(posted.status, 202);
    let document = daemon.get("/asyncapi.json").await;
    assert_eq!(document.status, 200);
    std::fs::write(daemon.path("asyncapi.json"), &document.body).unwrap();
    let output = Command::new("node")
        .args(["-e", PARSE])
        .env("NODE_PATH", node_modules())
        .stdin(std::fs::File::open(daemon.path("asyncapi.json")).unwrap())
        .output()
        .await
        .expect("node is installed by `cargo xtask test`");
    assert!(output.status.success(), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&said["parsed"], &said["faults"]), (&true.into(), &serde_json::json!([])), "{said}");
    let channels: Vec<&str> = said["channels"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for expected in ["performance_metrics", "a:b_c", "/v1/stream"] {
        assert!(channels.contains(&expected), "{expected} is missing in {channels:?}");
    }
}
