//! What real programs have sent. The recordings of Claude Code 2.1, Codex 0.169 and opencode 1.18 were made with a small
//! mock of the models' interfaces; private paths are replaced.

use super::*;

#[test]
fn a_session_of_claude_code() {
    let signals: Vec<Signal> =
        recorded_lines!("claude-code-hooks.jsonl").iter().flat_map(|hook| signals("claude", hook)).collect();
    assert_eq!(
        told(&signals),
        [
            "started",
            "prompt of 6",
            "Bash begins",
            "Bash ends Some(true) Some(1.083s)",
            "heartbeat",
            "heartbeat",
            "turn: Completed",
            "prompt of 12",
            "gone: Some(\"prompt_input_exit\")",
        ]
    );
    let first = Some("8e3436e5-fab0-4ed0-8a20-1ea12f9a3f33");
    let second = Some("693b2fb8-50e7-459e-acc5-8e1464aa931a");
    assert_eq!(tasks(&signals), [None, first, first, first, first, first, first, second, second]);
    for signal in &signals {
        assert_eq!(signal.agent.program, "claude");
        assert_eq!(signal.agent.session.as_deref(), Some("08fd3f3f-1a82-402f-8a54-583df9994433"));
        assert_eq!((signal.agent.cwd.as_deref(), &signal.agent.parent), (Some("/home/dev/project"), &None));
    }
    assert_eq!(signals[0].agent.model.as_deref(), Some("claude-opus-4-8[1m]"));
}

#[test]
fn codex_by_hooks_by_notify_and_by_exec() {
    let hooks: Vec<Signal> =
        recorded_lines!("codex-hooks.jsonl").iter().flat_map(|hook| signals("codex", hook)).collect();
    assert_eq!(told(&hooks), ["started", "prompt of 2", "turn: Completed"]);
    let notices: Vec<Signal> =
        recorded_lines!("codex-notify.jsonl").iter().flat_map(|notice| signals("codex_notify", notice)).collect();
    assert_eq!(told(&notices), ["turn: Completed", "turn: Completed"]);
    // The recordings are of the same session: two emitters, one agent and one task.
    assert_eq!((&hooks[2].agent.session, &hooks[2].task), (&notices[1].agent.session, &notices[1].task));
    assert_eq!(hooks[2].agent.program, notices[1].agent.program);
    let lines: Vec<Signal> =
        recorded_lines!("codex-exec.jsonl").iter().flat_map(|line| signals("codex_exec", line)).collect();
    assert_eq!(told(&lines)[..5], ["started", "heartbeat", "prompt", "heartbeat", "turn: Completed"]);
    assert_eq!(
        told(&lines)[5..12],
        [
            "started",
            "heartbeat",
            "prompt",
            "command begins",
            "command ends Some(true) None",
            "heartbeat",
            "turn: Completed",
        ]
    );
    assert!(told(&lines)[16].starts_with("turn: Failed"), "{:?}", told(&lines));
    assert_eq!(lines.len(), 17);
}

#[test]
fn sessions_of_opencode() {
    let signals: Vec<Signal> =
        recorded_lines!("opencode-events.jsonl").iter().flat_map(|event| signals("opencode", event)).collect();
    let of = |number: usize| {
        let mut sessions: Vec<&str> = Vec::new();
        for signal in &signals {
            let session = signal.agent.session.as_deref().unwrap();
            if !sessions.contains(&session) {
                sessions.push(session);
            }
        }
        let own: Vec<Signal> = signals
            .iter()
            .filter(|signal| signal.agent.session.as_deref() == Some(sessions[number]))
            .cloned()
            .collect();
        let mut told = told(&own);
        told.retain(|line| line != "heartbeat");
        told.dedup();
        told
    };
    let permission = "waiting: Permission { step: Some(\"bash\") }";
    assert_eq!(
        of(0),
        [
            "started",
            "prompt",
            "working",
            "turn: Completed",
            "prompt",
            "working",
            "bash begins",
            permission,
            "working",
            "bash begins",
            "bash ends Some(true) Some(327ms)",
            "working",
            "turn: Completed",
            "gone: Some(\"deleted\")",
        ]
    );
    // Interrupted, and failed: the end is told before the words that the session is idle.
    assert_eq!(
        of(1),
        ["started", "prompt", "working", "turn: Interrupted", "turn: Completed", "gone: Some(\"deleted\")"]
    );
    let failed = &of(2)[3];
    assert!(failed.starts_with("turn: Failed { code: Some(\"APIError\")"), "{failed}");
    let prompt = signals.iter().find(|signal| matches!(signal.what, What::Prompt { .. })).unwrap();
    assert_eq!(
        (prompt.task.as_deref(), prompt.agent.model.as_deref()),
        (Some("msg_1f9c9930a001LTI8Jse4H1V4GV"), Some("m1"))
    );
    assert!(prompt.at.is_some());
    assert_eq!(signals[0].agent.cwd.as_deref(), Some("/home/dev/project"));
}

/// As the gateway had made them flat and reduced them.
#[test]
fn log_records_of_claude_code_and_codex() {
    let records = recorded_lines!("otlp-records.jsonl");
    let of = |service: &str| -> Vec<Signal> {
        let records =
            records.iter().filter(|record| record["service.name"] == service && record["event.name"].is_string());
        records.flat_map(|record| signals("otlp", record)).collect()
    };
    let claude = of("claude-code");
    assert_eq!(
        told(&claude),
        ["prompt", "working", "heartbeat", "Bash ends Some(true) Some(866ms)", "heartbeat", "heartbeat"]
    );
    assert!(
        claude.iter().all(|signal| signal.task.is_some() && signal.at.is_some() && signal.agent.program == "claude")
    );
    let codex = of("codex_exec");
    let mut said = told(&codex);
    said.retain(|line| line != "heartbeat");
    assert_eq!(said, ["started", "working", "exec_command ends Some(true) Some(435ms)"]);
    assert!(
        codex.iter().all(|signal| signal.agent.session == codex[0].agent.session && signal.agent.program == "codex")
    );
    // Lines of Codex's own log come the same way, and belong to no session.
    let unknown = Unknown::default();
    let noise = records.last().unwrap();
    assert!(read("otlp", &json!({ "payload": noise }), &unknown).is_empty());
    assert_eq!(unknown.total(), 1);
}
