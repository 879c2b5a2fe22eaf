//! Agents in panes: who is there by the process, what it does by what it says to the terminal.

use crate::world::{Server, next};
use headwater_testkit::prelude::*;

/// A program named `claude` that says this to its terminal, a step for each line that it reads.
fn agent(server: &Server, steps: &[&str]) -> String {
    let program = server.path("claude");
    let steps: Vec<String> = steps.iter().map(|step| format!("printf '{step}'\nread x\n")).collect();
    std::fs::write(&program, format!("stty -echo\n{}", steps.concat())).unwrap();
    format!("exec -a claude sh {} || exec sh {}", program.display(), program.display())
}

async fn status(run: &mut Run) -> (String, String) {
    let event = next(run, "agent.status").await;
    assert_eq!((event.channel.as_str(), event.evidence), ("tmux", Some(Evidence::Inferred)));
    assert_eq!(
        (&event.data["pane_id"], event.attributes["status"].as_str()),
        (&json!("%1"), event.data["status"].as_str().unwrap())
    );
    let text = |key: &str| event.data[key].as_str().unwrap_or_default().to_owned();
    (text("previous"), text("status"))
}

fn pair(previous: &str, status: &str) -> (String, String) {
    (previous.to_owned(), status.to_owned())
}

#[tokio::test]
async fn an_agent_is_known_by_its_process_and_told_by_its_title() {
    let server = Server::start();
    let mut run = server.read(json!({})).await;
    let script = agent(&server, &["\\033]2;✳ task\\007", "\\033]2;⠂ task\\007", "\\033]2;✳ task\\007"]);
    server.tmux(&["new-window", "-d", "-t", "$0:", "-n", "worker", "bash", "-c", &script]);
    assert_eq!(status(&mut run).await, pair("unknown", "idle"));
    let press = || server.tmux(&["send-keys", "-t", "%1", "-H", "0d"]);
    press();
    let busy = next(&mut run, "agent.status").await;
    assert_eq!((&busy.data["previous"], &busy.data["status"]), (&json!("idle"), &json!("busy")));
    assert_eq!((&busy.data["agent"], &busy.data["agent_type"]), (&json!("claude"), &json!("CLAUDE_AGENT")));
    assert_eq!((&busy.data["evidence_from"], busy.data["rule"].is_string()), (&json!("title"), true));
    let key = format!("pane:{}:%1", server.pid());
    let at_work = |event: &TestEvent| event.retained.as_ref() == Some(&key) && event.data["agent_status"] == "busy";
    let state = run.next_event_where("its state", at_work).await;
    assert_eq!(state.data["agent_pid"], state.data["pid"]);
    let why = run.command("explain", json!({ "pane": "%1" })).await.completed();
    assert_eq!(
        (&why["agent"], &why["status"], &why["decision"]["region"]),
        (&json!("claude"), &json!("busy"), &json!("title"))
    );
    press();
    assert_eq!(status(&mut run).await, pair("busy", "idle"));
    // It is known from the list as well.
    let list = run.command("list", json!({})).await.completed();
    assert_eq!(list["sessions"][0]["windows"][1]["panes"][0]["agent"], "claude");
    press();
    assert_eq!(next(&mut run, "pane.removed").await.data["pane_id"], "%1");
}

/// Harm prevented: who waits for the end of an agent waits for ever, or for another one that was started in its pane.
#[tokio::test]
async fn an_agent_that_says_nothing_is_told_and_what_follows_it_is_another() {
    let server = Server::start();
    let mut run = server.read(json!({ "reconcile": "1s" })).await;
    // The first goes when its line is read, and the second is in its place at once. Both print something that says nothing.
    let quiet = server.path("quiet");
    std::fs::write(&quiet, "stty -echo\necho first\nread x\nexec -a codex sh -c 'echo next; read x; true'\n").unwrap();
    let line = format!("exec -a claude bash {}", quiet.display());
    server.tmux(&["new-window", "-d", "-t", "$0:", "bash", "-c", &line]);
    let known = |agent: &'static str| move |event: &TestEvent| event.data["agent"] == agent && event.retained.is_some();
    run.next_event_where("it is known", known("claude")).await;
    let came = next(&mut run, "agent.status").await;
    assert_eq!((&came.data["agent"], &came.data["status"]), (&json!("claude"), &json!("unknown")));
    assert_eq!((&came.data["evidence_from"], came.data.get("rule")), (&json!("process"), None));
    assert!(came.data["agent_pid"].is_u64() && came.data["agent_started"].is_u64(), "{}", came.data);
    server.tmux(&["send-keys", "-t", "%1", "-H", "0d"]);
    let left = next(&mut run, "agent.status").await;
    assert_eq!((&left.data["left"], &left.data["status"]), (&json!("claude"), &json!("unknown")));
    assert_eq!((left.data.get("agent"), left.data.get("agent_pid")), (None, None));
    run.next_event_where("the next one is known", known("codex")).await;
    let came = next(&mut run, "agent.status").await;
    assert_eq!((&came.data["agent"], &came.data["previous"]), (&json!("codex"), &json!("unknown")));
}

/// A session's name says nothing of who is in it.
#[tokio::test]
async fn a_name_makes_no_agent_and_rules_are_settings() {
    let server = Server::start();
    let rule = json!({ "name": "mine", "agent": "robot", "region": "title", "regex": "^at work$", "state": "busy" });
    let watch = json!({ "agents": [{ "name": "robot", "programs": ["claude"] }], "rules": [rule] });
    let mut run = server.read(json!({ "watch": watch })).await;
    server.tmux(&["new-session", "-d", "-s", "claude", "cat"]);
    let script = agent(&server, &["\\033]2;at work\\007"]);
    server.tmux(&["new-window", "-d", "-t", "$0:", "-n", "x", "bash", "-c", &script]);
    let busy = next(&mut run, "agent.status").await;
    assert_eq!(
        (&busy.data["agent"], &busy.data["rule"], &busy.data["pane_id"]),
        (&json!("robot"), &json!("mine"), &json!("%2"))
    );
    let refused = json!({ "rules": [{ "name": "bad", "region": "title", "regex": "(", "state": "busy" }] });
    let mut bad = Testkit::start::<headwater_plugin_tmux::Tmux>(server.settings(json!({ "watch": refused })));
    assert!(matches!(bad.ended().await, Outcome::Failed(reason) if reason.contains("bad")));
}

#[tokio::test]
async fn the_command_in_the_foreground_is_told() {
    let server = Server::start();
    server.tmux(&["new-window", "-d", "-t", "$0:", "bash", "--norc"]);
    let mut run = server.read(json!({ "reconcile": "1m" })).await;
    server.tmux(&["send-keys", "-t", "%1", "-H", "73", "6c", "65", "65", "70", "20", "36", "30", "0d"]);
    let on = |command: &'static str| {
        move |event: &TestEvent| {
            event.channel == "tmux" && event.kind == "pane.command" && event.data["command"] == command
        }
    };
    let began = run.next_event_where("sleep", on("sleep")).await;
    assert_eq!((&began.data["previous"], began.evidence), (&json!("bash"), Some(Evidence::Polled)));
    server.tmux(&["send-keys", "-t", "%1", "-H", "03"]);
    run.next_event_where("the shell again", on("bash")).await;
}
