//! A daemon for the gateway to stand before: it says what a test tells it to, and remembers what it was asked.

use headwater_gateway::{
    AnswerSink, BoxFuture, CommandAnswer, CommandCall, CommandInfo, Info, Ports, Refused, ReloadAnswer, ReloadError,
    ReloadRefused, SourceInfo, SourceState, WebhookInfo, WebhookPosition,
};
use headwater_protocol::{CommandFailure, ErrorCode};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};
use tokio::sync::Semaphore;

/// What the daemon is and was asked.
pub(crate) struct TestPorts {
    /// The answer of `ready`.
    pub(crate) ready: AtomicBool,
    /// Whether the config is good.
    pub(crate) good: AtomicBool,
    /// The changes that a reload finds.
    pub(crate) changes: Mutex<Vec<String>>,
    /// What was asked for.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
    /// Commands that do not end.
    pub(crate) hanging: Mutex<Vec<AnswerSink>>,
    /// A reload takes one permit; without one it waits.
    pub(crate) reloads: Arc<Semaphore>,
}

impl TestPorts {
    pub(crate) fn new() -> Self {
        Self {
            ready: AtomicBool::new(true),
            good: AtomicBool::new(true),
            changes: Mutex::default(),
            asked: Arc::default(),
            hanging: Mutex::default(),
            reloads: Arc::new(Semaphore::new(1000)),
        }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn note(&self, what: String) {
        self.asked.lock().unwrap().push(what);
    }
}

impl Ports for TestPorts {
    fn command(&self, call: CommandCall, answers: AnswerSink) -> Result<(), Refused> {
        assert_ne!(call.target, "panic", "a test asked for it");
        self.note(format!("{} {}", call.target, String::from_utf8_lossy(&call.parameters)));
        let step = || CommandAnswer::Progress { progress: r#"{"current_step":"half"}"#.into(), details: None };
        match call.target.as_str() {
            "metrics/measure" => {
                answers(CommandAnswer::Accepted { message: Some("at once".into()), estimated_completion_ms: None });
                answers(step());
                answers(CommandAnswer::Completed { result: r#"{"measured":7}"#.into() });
                return Ok(());
            }
            "break" => {
                answers(CommandAnswer::Failed(CommandFailure {
                    code: "DISK_FULL".into(),
                    message: "there is no room".into(),
                    details: Some(r#"{"free":0}"#.into()),
                    suggested_action: Some("make some".into()),
                }));
                return Ok(());
            }
            // It never ends, or its source dies.
            "hang" => {
                answers(step());
                self.hanging.lock().unwrap().push(answers);
                return Ok(());
            }
            "die" => return Ok(()),
            _ => {}
        }
        let message = format!("no source has the command `{}`", call.target);
        Err(Refused { code: ErrorCode::UnknownCommand, message, suggested_action: None })
    }

    fn sources(&self) -> Vec<SourceInfo> {
        let source = |name: &str, state| SourceInfo {
            name: name.into(),
            state,
            plugin: Some(name.into()),
            exec: None,
            version: Some("1.0.0".into()),
            isolation: "process",
            pid: (state == SourceState::Up).then_some(4711),
            generation: 3,
            restarts: 2,
            events: 40,
            dropped: 1,
            channels: vec![format!("{name}_*")],
            commands: vec![CommandInfo {
                name: "measure".into(),
                permission: None,
                description: Some("Measures now.".into()),
                parameters: Some(serde_json::json!({ "type": "object" })),
            }],
            reason: (state == SourceState::Quarantined).then(|| "it failed 5 times".into()),
            since: "2026-01-01T00:00:00Z".into(),
        };
        vec![source("metrics", SourceState::Up), source("tmux", SourceState::Quarantined)]
    }

    fn webhooks(&self) -> Vec<WebhookInfo> {
        vec![WebhookInfo {
            name: "deploys".into(),
            state: "retrying",
            url: "https://example.org/".into(),
            delivered: 5,
            failures: 2,
            attempts: Some(2),
            last_error: Some("it answered 500".into()),
            positions: vec![WebhookPosition { channel: "a".into(), epoch: "00000000000000ff".into(), offset: 5 }],
            ..WebhookInfo::default()
        }]
    }

    fn restart_source(&self, name: String) -> BoxFuture<Result<(), Refused>> {
        self.note(format!("restart {name}"));
        let known = name == "metrics";
        Box::pin(async move {
            if known {
                return Ok(());
            }
            Err(Refused {
                code: ErrorCode::NotFound,
                message: format!("no source `{name}`"),
                suggested_action: Some("headwater source list".into()),
            })
        })
    }

    fn reload(&self, dry_run: bool) -> BoxFuture<Result<ReloadAnswer, ReloadRefused>> {
        self.note(format!("reload dry_run={dry_run}"));
        let (good, changes) = (self.good.load(Ordering::Relaxed), self.changes.lock().unwrap().clone());
        let (reloads, asked) = (self.reloads.clone(), self.asked.clone());
        Box::pin(async move {
            reloads.acquire().await.unwrap().forget();
            asked.lock().unwrap().push("reloaded".into());
            if good {
                let restarted = changes.iter().map(|_| "metrics".to_owned()).collect();
                let kept = vec!["tmux".into()];
                let failed = Vec::new();
                return Ok(ReloadAnswer {
                    reload: 2,
                    changes,
                    restarted,
                    kept,
                    failed,
                    took_ms: 4,
                    ..ReloadAnswer::default()
                });
            }
            Err(ReloadRefused {
                diagnostics: "error[E0102]: unknown key `intervall`\n --> headwater.toml:10:1\n".into(),
                errors: vec![ReloadError {
                    code: "E0102".into(),
                    file: "headwater.toml".into(),
                    line: Some(10),
                    column: Some(1),
                    message: "unknown key `intervall`".into(),
                    help: Some("did you mean `interval`?".into()),
                }],
            })
        })
    }

    fn info(&self) -> Info {
        Info {
            version: "0.1.0-test".into(),
            config_files: vec!["config/headwater.toml".into()],
            sources_dir: "config/sources.d".into(),
            history_file: None,
            last_reload_successful: true,
            reloads: 1,
        }
    }

    fn ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }
}
