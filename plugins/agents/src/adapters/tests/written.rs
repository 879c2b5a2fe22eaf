//! What the schemas and specifications of the programs say that they send, where it has not been recorded.

use super::*;
use crate::signal::{Ended, TaskStep, Wait};
use std::time::Duration;

/// The fields are those of the schemas in the program; these were not recorded.
#[test]
fn every_hook_of_claude_code_is_known() {
    let permission = Wait::Permission { step: Some("Bash".into()) };
    let failed = Ended::Failed { code: Some("rate_limit".into()), message: Some("try later".into()) };
    let some = |text: &str| Some(text.to_owned());
    for (hook, expected) in [
        (json!({ "hook_event_name": "SessionStart", "source": "resume" }), vec!["resumed".into()]),
        (json!({ "hook_event_name": "SessionStart", "source": "clear" }), vec!["started".into()]),
        (json!({ "hook_event_name": "SessionStart", "source": "compact" }), vec!["heartbeat".into()]),
        (json!({ "hook_event_name": "UserPromptSubmit", "prompt_bytes": 6 }), vec!["prompt of 6".into()]),
        (
            json!({ "hook_event_name": "PostToolUseFailure", "tool_name": "Bash", "error": "no" }),
            vec!["Bash ends Some(false) None".into()],
        ),
        (
            json!({ "hook_event_name": "PostToolUseFailure", "tool_name": "Bash", "error": "no", "is_interrupt": true }),
            vec!["Bash ends Some(false) None".into(), "turn: Interrupted".into()],
        ),
        (
            json!({ "hook_event_name": "PermissionRequest", "tool_name": "Bash" }),
            vec![format!("waiting: {permission:?}")],
        ),
        (json!({ "hook_event_name": "PermissionRequest" }), vec!["waiting: Permission { step: None }".into()]),
        (
            json!({ "hook_event_name": "PermissionRequest", "tool_name": "AskUserQuestion" }),
            vec!["waiting: Answer".into()],
        ),
        (
            json!({ "hook_event_name": "PermissionDenied", "tool_name": "Bash", "tool_use_id": "t" }),
            vec!["Bash ends Some(false) None".into()],
        ),
        (
            json!({ "hook_event_name": "Notification", "notification_type": "permission_prompt", "message": "x" }),
            vec!["waiting: Permission { step: None }".into()],
        ),
        (
            json!({ "hook_event_name": "Notification", "message": "Claude needs your permission to use Bash" }),
            vec!["waiting: Permission { step: None }".into()],
        ),
        (
            json!({ "hook_event_name": "Notification", "notification_type": "idle_prompt" }),
            vec!["waiting: Prompt".into()],
        ),
        (json!({ "hook_event_name": "Notification", "notification_type": "auth_success" }), vec!["heartbeat".into()]),
        (
            json!({ "hook_event_name": "StopFailure", "error": "rate_limit", "error_details": "try later" }),
            vec![format!("turn: {failed:?}")],
        ),
        (
            json!({ "hook_event_name": "SubagentStart", "agent_id": "a", "agent_type": "Explore" }),
            vec!["child started".into()],
        ),
        (json!({ "hook_event_name": "SubagentStop", "agent_id": "a" }), vec!["child gone: None".into()]),
        (
            json!({ "hook_event_name": "PreToolUse", "tool_name": "Read", "agent_id": "a" }),
            vec!["child Read begins".into()],
        ),
        (
            json!({ "hook_event_name": "TaskCreated", "task_id": "1", "task_subject": "tidy" }),
            vec![format!("task: {:?}", TaskStep::Created { description: some("tidy") })],
        ),
        (json!({ "hook_event_name": "TaskCompleted", "task_id": "1" }), vec!["task: Ended(Completed)".into()]),
        (json!({ "hook_event_name": "PreCompact", "trigger": "auto" }), vec!["compact begins".into()]),
        (json!({ "hook_event_name": "PostCompact" }), vec!["compact ends None None".into()]),
        (json!({ "hook_event_name": "Elicitation" }), vec!["waiting: Answer".into()]),
        (json!({ "hook_event_name": "ElicitationResult" }), vec!["working".into()]),
    ] {
        let mut hook = hook;
        hook["session_id"] = "s".into();
        hook["prompt_id"] = "p".into();
        assert_eq!(told(&signals("claude", &hook)), expected, "{hook}");
    }
    for quiet in ["TeammateIdle", "CwdChanged", "FileChanged", "Setup", "WorktreeCreate", "WorktreeRemove"] {
        assert_eq!(told(&signals("claude", &json!({ "hook_event_name": quiet, "session_id": "s" }))), ["heartbeat"]);
    }
}

#[test]
fn a_child_has_its_own_id_and_no_task_of_its_own() {
    let hook = json!({
        "hook_event_name": "PreToolUse", "session_id": "s", "prompt_id": "p", "agent_id": "a", "agent_type": "Explore",
        "tool_name": "Read", "tool_use_id": "t",
    });
    let [signal] = &signals("claude", &hook)[..] else { panic!("one signal") };
    assert_eq!((signal.agent.session.as_deref(), signal.agent.parent.as_deref()), (Some("a"), Some("s")));
    assert_eq!((signal.agent.kind.as_deref(), &signal.task), (Some("Explore"), &None));
    let listed = &signals("claude", &json!({ "hook_event_name": "TaskCreated", "session_id": "s", "task_id": "1" }))[0];
    assert_eq!((listed.task.as_deref(), listed.agent.session.as_deref()), (Some("1"), Some("s")));
}

#[test]
fn a_line_of_codex_exec_takes_its_session_from_the_caller() {
    let data = json!({ "payload": { "type": "turn.started" }, "session": "t1", "cwd": "/work" });
    let [signal] = &read("codex_exec", &data, &Unknown::default())[..] else { panic!("one signal") };
    assert_eq!((signal.agent.session.as_deref(), signal.agent.cwd.as_deref()), (Some("t1"), Some("/work")));
    assert_eq!(
        told(&signals("codex", &json!({ "hook_event_name": "Interrupt", "session_id": "s" }))),
        ["turn: Interrupted"]
    );
}

#[test]
fn a_subagent_of_opencode_is_a_child() {
    let created = json!({
        "type": "session.created",
        "properties": { "sessionID": "ses_2", "info": { "id": "ses_2", "parentID": "ses_1", "directory": "/work" } },
    });
    let [signal] = &signals("opencode", &created)[..] else { panic!("one signal") };
    assert_eq!(
        (signal.agent.parent.as_deref(), told(std::slice::from_ref(signal))),
        (Some("ses_1"), vec!["child started".into()])
    );
}

/// Written after the specification's examples; no A2A server has been recorded.
#[test]
fn states_of_a2a_tasks() {
    let update = |state: &str| {
        json!({
            "kind": "status-update", "taskId": "t", "contextId": "c", "final": false,
            "status": { "state": state, "timestamp": "2026-11-20T10:00:00Z" },
        })
    };
    let proto =
        |state: &str| json!({ "statusUpdate": { "taskId": "t", "contextId": "c", "status": { "state": state } } });
    let rejected = Ended::Failed { code: Some("rejected".into()), message: None };
    for (word, name, step) in [
        ("submitted", "TASK_STATE_SUBMITTED", TaskStep::Created { description: None }),
        ("working", "TASK_STATE_WORKING", TaskStep::Started),
        ("input-required", "TASK_STATE_INPUT_REQUIRED", TaskStep::Waiting(Wait::Answer)),
        ("auth-required", "TASK_STATE_AUTH_REQUIRED", TaskStep::Waiting(Wait::Login)),
        ("completed", "TASK_STATE_COMPLETED", TaskStep::Ended(Ended::Completed)),
        ("canceled", "TASK_STATE_CANCELED", TaskStep::Ended(Ended::Interrupted)),
        ("failed", "TASK_STATE_FAILED", TaskStep::Ended(Ended::Failed { code: None, message: None })),
        ("rejected", "TASK_STATE_REJECTED", TaskStep::Ended(rejected)),
    ] {
        let rpc = json!({ "jsonrpc": "2.0", "id": 1, "result": update(word) });
        let task = json!({ "kind": "task", "id": "t", "contextId": "c", "status": { "state": word } });
        for message in [update(word), proto(name), rpc, json!({ "task": task }), task] {
            let [signal] = &signals("a2a", &message)[..] else { panic!("one signal of {message}") };
            assert_eq!((&signal.what, signal.task.as_deref()), (&What::Task(step.clone()), Some("t")), "{message}");
            assert_eq!((signal.agent.program.as_str(), signal.agent.session.as_deref()), ("a2a", Some("c")));
        }
    }
    assert!(signals("a2a", &update("working"))[0].at.is_some());
    let artifact = json!({
        "kind": "artifact-update", "taskId": "t", "contextId": "c", "lastChunk": true,
        "artifact": { "artifactId": "a", "name": "report.md", "parts": [] },
    });
    assert_eq!(told(&signals("a2a", &artifact)), ["report.md ends None None"]);
    let failed = json!({
        "kind": "status-update", "taskId": "t",
        "status": { "state": "failed", "message": { "parts": [{ "kind": "text", "text": "no disk" }] } },
    });
    let Signal { what: What::Task(TaskStep::Ended(Ended::Failed { message, .. })), .. } = &signals("a2a", &failed)[0]
    else {
        panic!("not failed");
    };
    assert_eq!(message.as_deref(), Some("no disk"));
}

/// The records as the gateway flattens them.
#[test]
fn log_records_by_the_names_in_the_documentation() {
    let record = |name: &str, more: Value| {
        let mut record = json!({
            "service.name": "claude-code", "service.version": "2.1.197", "event.name": name, "session.id": "s",
            "prompt.id": "p", "time": "2026-11-20T08:07:57.307Z",
        });
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        record
    };
    let tool = json!({ "tool_name": "Bash", "tool_use_id": "toolu_01A", "success": "true", "duration_ms": "887" });
    for (name, more, expected) in [
        ("user_prompt", json!({ "prompt_length": "6" }), "prompt"),
        ("tool_decision", json!({ "decision": "accept" }), "working"),
        ("tool_result", tool, "Bash ends Some(true) Some(887ms)"),
        ("api_request", json!({ "model": "m" }), "heartbeat"),
        ("hook_execution_complete", json!({}), "heartbeat"),
    ] {
        let signals = signals("otlp", &record(name, more));
        assert_eq!(told(&signals), [expected], "{name}");
        let signal = &signals[0];
        assert_eq!((signal.agent.program.as_str(), signal.task.as_deref()), ("claude", Some("p")));
        assert_eq!(signal.agent.version.as_deref(), Some("2.1.197"));
        assert!(signal.at.is_some());
    }
    let codex = json!({
        "service.name": "codex_cli_rs", "event.name": "codex.tool_result", "conversation.id": "c", "call_id": "1",
        "tool_name": "shell", "success": "false", "duration_ms": "12",
    });
    assert_eq!(told(&signals("otlp", &codex)), ["shell ends Some(false) Some(12ms)"]);
}

#[test]
fn a_report_is_an_event_of_its_own() {
    for report in [
        json!({ "type": "task_progress", "task_id": "t", "agent_id": "a", "progress": 0.5 }),
        json!({ "type": "task_progress", "data": { "task_id": "t", "agent_id": "a", "progress": 0.5 } }),
    ] {
        let [signal] = &signals("report", &report)[..] else { panic!("one signal") };
        let What::Report { kind, data } = &signal.what else { panic!("a report") };
        assert_eq!(
            (kind.as_str(), &data["progress"], data.contains_key("type")),
            ("task_progress", &json!(0.5), false)
        );
        assert_eq!((signal.task.as_deref(), signal.agent.session.as_deref()), (Some("t"), Some("a")));
    }
}

#[test]
fn times_are_kept() {
    let signal = &signals("report", &json!({ "type": "x", "timestamp": "1970-01-01T00:00:07Z" }))[0];
    assert_eq!(signal.at, Some(std::time::UNIX_EPOCH + Duration::from_secs(7)));
}
