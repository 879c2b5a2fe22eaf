//! Config files as people have them, and as they should not be.

use super::{Scene, Word};
use expect_test::expect_file;
use headwater_tests::World;
use serde_json::json;

/// VS Code's, with all that its parser allows and others do not.
const COMMENTED: &str = r#"// What the team uses.
{
    "inputs": [{ "id": "key", "type": "promptString", "password": true }],
    "servers": {
        /* The one that everybody has: https://example.org/*not a comment's end */
        "memory": {
            "command": "npx", // from npm
            "args": ["-y", "@modelcontextprotocol/server-memory"],
            "env": { "TOKEN": "swordfish-of-a-comment", },
        },
        "asks": { "command": "npx", "args": ["search"], "env": { "KEY": "${input:key}" } },
        "far": { "type": "http", "url": "https://example.org/mcp?key=swordfish-of-a-query" },
    },
}
"#;

/// Something that no client writes, with a secret in it.
const SHAPES: [&str; 3] = [
    r#"{"mcpServers": ["swordfish-of-a-list"]}"#,
    r#"{"mcpServers": {"git": {"command": 5, "env": {"KEY": "swordfish-of-an-entry"}}}}"#,
    r#"{"mcpServers": {"git": {"command": "swordfish-of-a-torn-file"#,
];

/// Waits until all files have been looked at after what was written before: each look reads all of them.
async fn looked(scene: &mut Scene, number: usize) {
    let name = format!("look-{number}");
    scene.write(".cursor/mcp.json", &json!({ "mcpServers": { name.as_str(): { "command": "true" } } }).to_string());
    scene.until(&[(name.as_str(), Word::Found)]).await;
}

#[tokio::test]
async fn files_are_read_as_they_are_and_each_trouble_is_told_once() {
    let mut scene = Scene::new(World::new(), "sweep = \"1s\"").await;
    scene.part("VS Code's file has comments, commas after the last entry, questions and secrets.");
    scene.write(".vscode/mcp.json", COMMENTED);
    scene.until(&["memory", "asks", "far"].map(|name| (name, Word::Found))).await;

    scene.part("A file is written again and again; nothing of its servers changes.");
    for number in 0..6 {
        let spaces = " ".repeat(number);
        let text =
            format!("{{\"projects\": {number}, {spaces}\"mcpServers\": {{\"same\": {{\"command\": \"true\"}}}}}}");
        scene.write(".mcp.json", &text);
        looked(&mut scene, number).await;
    }
    let told = |name: &str| scene.count(|event| Word::Found.is(name, event));
    assert_eq!((told("same"), told("memory")), (1, 0));

    scene.part("Another file has a shape that nobody knows, and goes on having it, however often it is written.");
    scene.write(".gemini/settings.json", SHAPES[0]);
    scene.until(&[("", Word::Error("config_not_understood"))]).await;
    for number in 6..12 {
        scene.write(".gemini/settings.json", SHAPES[number % SHAPES.len()]);
        looked(&mut scene, number).await;
    }
    assert_eq!(scene.count(|event| event["type"] == "error_event"), 1);

    scene.part("It is mended.");
    scene.write(".gemini/settings.json", r#"{"mcpServers": {"git": {"command": "git-server"}}}"#);
    scene.until(&[("git", Word::Found)]).await;
    scene.without("look-");
    scene.is(&expect_file!["../../golden/mcp/files.txt"]);
    let told = scene.daemon.headwater(&["history", "mcp_servers", "--since", "1h"]).await;
    let errors = scene.daemon.headwater(&["history", "error_alerts", "--since", "1h"]).await;
    let all = format!("{told:?} {errors:?} {:?} {}", scene.listed().await, scene.daemon.log());
    assert!(all.contains("config_not_understood") && !all.contains("swordfish"), "{all}");
}
