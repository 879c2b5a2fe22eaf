//! Ten agents on one screen: two real ones, and eight of whom hooks and commands tell as those of real ones do.

use super::{Program, Scene, story::Word};
use expect_test::expect_file;
use headwater_tests::eventually;
use serde_json::{Value, json};

/// Hooks of Claude Code and Codex, in the pane of which session.
const HOOKS: [(&str, &str, &[&str]); 6] = [
    ("claude", "web", &["SessionStart", "UserPromptSubmit", "PreToolUse", "PermissionRequest"]),
    ("claude", "ci", &["SessionStart", "UserPromptSubmit", "StopFailure"]),
    ("claude", "db", &["SessionStart", "UserPromptSubmit", "PreToolUse"]),
    ("codex", "api", &["SessionStart", "UserPromptSubmit", "PreToolUse"]),
    ("claude", "docs", &["SessionStart", "UserPromptSubmit", "Stop"]),
    ("codex", "search", &["SessionStart", "UserPromptSubmit", "SessionEnd"]),
];

impl Scene {
    /// A session of tmux in which nothing of note runs; its pane.
    async fn session(&self, name: &str) -> String {
        self.tmux()
            .run(&["new-session", "-d", "-s", name, "-x", "80", "-y", "24", "-P", "-F", "#{pane_id}", "cat"])
            .await
    }

    /// A hook that an agent of this program runs in this pane.
    async fn hook(&self, program: &str, name: &str, pane: &str, event: &str) {
        let mut payload = json!({"hook_event_name": event, "session_id": name, "cwd": format!("/home/dev/{name}")});
        let more = match event {
            "UserPromptSubmit" => json!({"prompt": "Mend it"}),
            "PreToolUse" | "PermissionRequest" => json!({"tool_name": "Bash", "tool_input": {"command": "make"}}),
            "StopFailure" => json!({"error": "rate_limit"}),
            _ => json!({}),
        };
        payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        for turn in ["prompt_id", "turn_id"] {
            payload[turn] = format!("{name}-1").into();
        }
        let server = format!("{},{},0", self.tmux().socket().display(), self.tmux().pid().await);
        let data = json!({"payload": payload, "tmux": {"pane": pane, "server": server}});
        let path = format!("/v1/hooks/{program}");
        let answer = self.daemon().post(&path, "application/json", &data.to_string()).await;
        assert_eq!(answer.status, 202, "{data}");
    }

    /// A command of the source.
    async fn command(&self, name: &str, parameters: Value) -> Value {
        let mut client = self.daemon().client().await;
        let command = format!("agents/{name}");
        client.send(&json!({"type": "command", "command": command, "parameters": parameters, "request_id": 1})).await;
        let answer = client.next_that(|answer| answer["status"] != "accepted").await;
        assert_eq!(answer["type"], "command_completed", "{name}: {answer}");
        answer["result"].clone()
    }
}

#[tokio::test]
async fn ten_agents_stand_on_one_screen() {
    let mut scene = Scene::new().await;
    scene.start(Program::Codex).await;
    scene.trusts().await;
    scene.ready().await;
    scene.says("say hello").await;
    scene.until(&[Word::Event("task_completed")]).await;
    scene.start(Program::Claude).await;
    scene.ready().await;
    scene.says("run touch made").await;
    scene.asks().await;
    for (program, name, events) in HOOKS {
        let pane = scene.session(name).await;
        for event in events {
            scene.hook(program, name, &pane, event).await;
        }
    }
    // Agents of somebody's own program: one has something to do, the other has not.
    let planner = scene.command("create_agent", json!({"name": "planner", "type": "planner"})).await;
    let task = scene.command("create_task", json!({"description": "plan the week", "type": "plan"})).await;
    let (agent, task) = (&planner["agent"]["id"], &task["task"]["id"]);
    scene.command("assign_task", json!({"task_id": task, "agent_id": agent})).await;
    scene.command("report", json!({"type": "task_started", "data": {"task_id": task, "agent_id": agent}})).await;
    scene.command("create_agent", json!({"name": "release-notes-reviewer"})).await;
    let wanted = ["active", "active", "active", "dead", "failed", "idle", "idle", "idle", "waiting", "waiting"];
    eventually("all ten are as they will stay", async || {
        let agents = scene.agents().await;
        let mut statuses: Vec<_> = agents.iter().filter_map(|agent| agent["status"].as_str()).collect();
        statuses.sort_unstable();
        // What a pane shows may come before the hook that says why, and hooks before what tmux says of a pane.
        let told = |agent: &Value| {
            (agent["status"] != "waiting" || agent["reason"] != "seen")
                && (agent["pane"].is_null() || agent["pane"]["session"].is_string())
        };
        (statuses == wanted && agents.iter().all(told)).then_some(())
    })
    .await;

    let url = format!("HEADWATER_URL=http://{}", scene.daemon().address());
    let program = headwater_tests::headwater_bin().display().to_string();
    let line = format!("'{program}' agents; exec cat");
    let screen = ["new-session", "-d", "-s", "screen", "-x", "80", "-y", "24", "-P", "-F", "#{pane_id}"];
    let pane = scene.tmux().run(&[&screen[..], &["-e", &url, "-e", "TZ=UTC", "sh", "-c", &line]].concat()).await;
    let screen = eventually("the table is drawn", async || {
        let screen = scene.tmux().run(&["capture-pane", "-p", "-t", &pane]).await;
        screen.ends_with(" dead").then_some(screen)
    });
    let screen = without_times(&screen.await);
    let world = scene.daemon().path("").file_name().unwrap().display().to_string();
    expect_file!["../../golden/agents/ten.txt"].assert_eq(&screen.replace(&world, "…"));
}

/// The table with placeholders in the two columns of times, as wide as they are.
fn without_times(screen: &str) -> String {
    let mut lines: Vec<String> = screen.lines().map(str::to_owned).collect();
    let (since, length) = (lines[0].find("SINCE").unwrap(), lines[0].find("FOR").unwrap() + "FOR".len());
    let rows = 1..lines.len() - 1;
    for line in &mut lines[rows] {
        line.replace_range(since..length, "hh:mm    ?");
    }
    lines.join("\n") + "\n"
}
