//! Each format as its client writes it, and files of other shapes.

use super::*;
use crate::discovery::{
    launch::{Launch, Stdio},
    server::Discovered,
};
use proptest::prelude::*;
use std::path::PathBuf;

const ALL: [(Client, &str, Option<&str>, &str); 9] = [
    (Client::McpJson, "/p/.mcp.json", Some("/p"), include_str!("fixtures/mcp.json")),
    (Client::ClaudeCode, "/home/dev/.claude.json", None, include_str!("fixtures/claude.json")),
    (Client::ClaudeDesktop, "/h/claude_desktop_config.json", None, include_str!("fixtures/claude_desktop_config.json")),
    (Client::Cursor, "/p/.cursor/mcp.json", Some("/p"), include_str!("fixtures/cursor.json")),
    (Client::Vscode, "/p/.vscode/mcp.json", Some("/p"), include_str!("fixtures/vscode.jsonc")),
    (Client::Vscode, "/h/Code/User/settings.json", None, include_str!("fixtures/vscode_settings.jsonc")),
    (Client::Codex, "/h/.codex/config.toml", None, include_str!("fixtures/codex.toml")),
    (Client::Gemini, "/p/.gemini/settings.json", Some("/p"), include_str!("fixtures/gemini.json")),
    (Client::Opencode, "/p/opencode.jsonc", Some("/p"), include_str!("fixtures/opencode.jsonc")),
];

fn at(client: Client, file: &str, project: Option<&str>, text: &str) -> Reading {
    read(&Place { client, file: file.into(), project: project.map(PathBuf::from) }, text.as_bytes())
}

/// A server in one line: name, how it is reached, where, whether it is off.
fn line(server: &Discovered) -> String {
    let launch = match &server.launch {
        Launch::Stdio(Stdio { command, args, env, cwd, .. }) => {
            let names: Vec<_> = env.keys().map(String::as_str).collect();
            let cwd = cwd.as_ref().map(|cwd| format!(" in {}", cwd.display())).unwrap_or_default();
            format!("{command} ×{} [{}]{cwd}", args.len(), names.join(" "))
        }
        Launch::Http(http) => {
            let headers = http.headers.keys().chain(http.headers_from_env.keys());
            format!(
                "{} {} [{}]",
                server.launch.transport(),
                http.place(),
                headers.cloned().collect::<Vec<_>>().join(" ")
            )
        }
    };
    let project = server.origin.project.as_ref().map(|project| format!(" for {}", project.display()));
    let off = if server.disabled { " off" } else { "" };
    format!("{}: {launch}{}{off}", server.name, project.unwrap_or_default())
}

#[test]
fn each_client_is_read_as_it_writes() {
    let wanted: [&[&str]; 9] = [
        &[
            "asana: sse https://mcp.asana.com/sse [] for /p",
            "context7: http https://mcp.context7.com/mcp [CONTEXT7_API_KEY] for /p",
            "github: docker ×6 [GITHUB_PERSONAL_ACCESS_TOKEN] in /p for /p",
            "memory: npx ×2 [] in /p for /p",
        ],
        &[
            "playwright: npx ×1 []",
            "playwright: npx ×1 [] in /home/dev/shop for /home/dev/shop off",
            "postgres: uvx ×2 [DATABASE_URI] in /home/dev/shop for /home/dev/shop",
            "sentry: http https://mcp.sentry.dev/mcp [Authorization]",
        ],
        &["filesystem: npx ×4 []"],
        &[
            "linear: http https://mcp.linear.app/sse [Authorization] for /p",
            "tools: ${workspaceFolder}/bin/tools ×2 [API_KEY] in /p for /p",
        ],
        &[
            "github: http https://api.githubcopilot.com/mcp/ [] for /p",
            "local: ./server.py ×0 [] in /p/tools for /p",
            "perplexity: npx ×2 [PERPLEXITY_API_KEY] in /p for /p",
        ],
        &["time: uvx ×2 []"],
        &[
            "docs: npx ×2 [API_KEY]",
            "figma: http https://mcp.figma.com/mcp [X-Figma-Region Authorization X-Trace]",
            "old: /opt/old/server ×0 [] off",
        ],
        &[
            "legacy: sse http://localhost:8080/sse [] for /p off",
            "python: python ×4 [API_KEY DATABASE_URL] in /p/./mcp-servers/python for /p",
            "remote: http http://localhost:3000/mcp [X-Custom] for /p off",
        ],
        &[
            "everything: npx ×2 [KEY] in /p for /p",
            "jira: http https://jira.example.com/mcp [Authorization] for /p off",
        ],
    ];
    for ((client, file, project, text), wanted) in ALL.into_iter().zip(wanted) {
        let reading = at(client, file, project, text);
        assert_eq!(reading.problems, [], "{file}");
        let mut lines: Vec<_> = reading.servers.iter().map(line).collect();
        lines.sort();
        assert_eq!(lines, wanted, "{file}");
        let ids: std::collections::BTreeSet<_> = reading.servers.iter().map(|server| &server.id).collect();
        assert_eq!(ids.len(), reading.servers.len(), "{file}: an id is one server's");
    }
}

#[test]
fn a_description_is_what_the_file_says() {
    let reading = at(Client::Gemini, "/p/.gemini/settings.json", None, include_str!("fixtures/gemini.json"));
    let described: Vec<_> = reading.servers.iter().filter_map(|server| server.description.as_deref()).collect();
    assert_eq!(described, ["Queries of the warehouse"]);
}

#[test]
fn another_shape_is_named_with_its_place_and_costs_the_rest_nothing() {
    for (client, text, place, reason, servers) in [
        (Client::McpJson, r#"{"mcpServers": []}"#, "mcpServers", "a list", 0),
        (Client::McpJson, r#"{"mcpServers": {"a": "x", "b": {"command": "y"}}}"#, "mcpServers.a", "a string", 1),
        (Client::McpJson, r#"{"mcpServers": {"a": {}}}"#, "mcpServers.a", "neither `command` nor `url`", 0),
        (Client::McpJson, r#"{"mcpServers": {"a": {"command": 7}}}"#, "mcpServers.a.command", "a number", 0),
        (Client::McpJson, r#"{"mcpServers": {"a": {"command": "  "}}}"#, "mcpServers.a.command", "no program", 0),
        (
            Client::McpJson,
            r#"{"mcpServers": {"a": {"command": "x", "args": "y"}}}"#,
            "mcpServers.a.args",
            "a string",
            0,
        ),
        (
            Client::McpJson,
            r#"{"mcpServers": {"a": {"command": "x", "args": [[]]}}}"#,
            "mcpServers.a.args[0]",
            "list",
            0,
        ),
        (
            Client::McpJson,
            r#"{"mcpServers": {"a": {"command": "x", "env": {"K": {}}}}}"#,
            "mcpServers.a.env.K",
            "object",
            0,
        ),
        (
            Client::McpJson,
            r#"{"mcpServers": {"a": {"type": "carrier-pigeon"}}}"#,
            "mcpServers.a.type",
            "stdio, http",
            0,
        ),
        (Client::McpJson, r#"{"servers": {}}"#, "", "no `mcpServers`", 0),
        (Client::McpJson, "[]", "", "a list, not an object", 0),
        (Client::ClaudeCode, r#"{"projects": {"/p": {"mcpServers": 1}}}"#, "projects./p.mcpServers", "a number", 0),
        (Client::ClaudeCode, r#"{"projects": 1, "mcpServers": {"b": {"url": "u"}}}"#, "projects", "a number", 1),
        (Client::Vscode, r#"{"mcpServers": {}}"#, "", "no `servers`", 0),
        (Client::Codex, "[mcp_servers.a]\nargs = []", "mcp_servers.a", "neither", 0),
        (Client::Codex, "mcp_servers = 1", "mcp_servers", "a number", 0),
        (Client::Gemini, r#"{"mcpServers": {"a": {"timeout": 1}}}"#, "mcpServers.a", "none of", 0),
        (Client::Opencode, r#"{"mcp": {"a": {"type": "local", "command": []}}}"#, "mcp.a.command", "no program", 0),
        (Client::Opencode, r#"{"mcp": {"a": {"type": "local", "command": "x"}}}"#, "mcp.a.command", "a string", 0),
        (Client::Opencode, r#"{"mcp": {"a": {"command": ["x"]}}}"#, "mcp.a.type", "missing", 0),
    ] {
        let reading = at(client, "/f", None, text);
        let [problem] = &reading.problems[..] else { panic!("{text}: {:?}", reading.problems) };
        assert_eq!(problem.place, place, "{text}");
        assert!(problem.reason.contains(reason), "{text}: {}", problem.reason);
        assert_eq!(reading.servers.len(), servers, "{text}");
    }
}

#[test]
fn a_broken_file_says_where_and_nothing_of_what_stands_there() {
    for (client, text, place) in [
        (Client::McpJson, "{\n  \"mcpServers\": s3cret }", "line 2, column 17"),
        (Client::McpJson, "{\"mcpServers\": {\"a\": {\"env\": {\"K\": \"s3cret\"", "line 1, column 43"),
        (Client::Codex, "a = 1\n[mcp_servers.a]\nenv = { K = s3cret }", "line 3, column 13"),
        (Client::Codex, "[mcp_servers.a]\ncommand = \"s3cret", "line 2, column "),
    ] {
        let reading = at(client, "/f", None, text);
        assert!(reading.broken && reading.servers.is_empty(), "{text}");
        let [problem] = &reading.problems[..] else { panic!("{reading:?}") };
        assert!(problem.place.starts_with(place), "{text}: {problem:?}");
        assert!(!problem.reason.contains("s3cret"), "{problem:?}");
    }
    assert!(read(&Place { client: Client::Codex, file: "/f".into(), project: None }, b"a = \xff").broken);
    for (client, text) in [(Client::McpJson, ""), (Client::Gemini, " \n"), (Client::Codex, ""), (Client::Vscode, "{}")]
    {
        assert_eq!(at(client, "/f", None, text), Reading::default(), "an empty file names no servers");
    }
}

#[test]
fn no_secret_leaves_by_a_debug_form() {
    assert!(ALL.iter().filter(|(_, _, _, text)| text.contains("s3cret")).count() > 4, "there are some");
    for (client, file, project, text) in ALL {
        let shown = format!("{:?}", at(client, file, project, text));
        assert!(!shown.contains("s3cret"), "{file}: {shown}");
    }
}

#[test]
fn a_file_of_a_thousand_servers_is_taken_for_something_else() {
    let entries: Vec<_> = (0..1_000).map(|n| format!("\"s{n}\": {{\"command\": \"x\"}}")).collect();
    let reading = at(Client::McpJson, "/f", None, &format!("{{\"mcpServers\": {{{}}}}}", entries.join(",")));
    assert_eq!((reading.servers.len(), reading.problems.len()), (MOST, 1));
}

proptest! {
    #[test]
    fn no_text_makes_a_reader_panic(which in 0..ALL.len(), at_byte in any::<prop::sample::Index>(), cut in any::<bool>(),
        junk in prop::collection::vec(any::<u8>(), 0..8)) {
        let (client, file, project, text) = ALL[which];
        let mut bytes = text.as_bytes().to_vec();
        let at = at_byte.index(bytes.len());
        if cut { bytes.truncate(at); }
        bytes.splice(at..at, junk);
        read(&Place { client, file: file.into(), project: project.map(PathBuf::from) }, &bytes);
    }
}
