//! The daemon as the gateway sees it: the implementation of the gateway's ports over the host, the webhooks and the
//! reloader.

use crate::{reload::Reloader, webhooks};
use headwater_config::Isolation;
use headwater_gateway::{
    AnswerSink, BoxFuture, CommandAnswer, CommandCall, CommandInfo, Info, Ports, Refused, ReloadAnswer, ReloadRefused,
    SourceInfo, SourceState, WebhookInfo,
};
use headwater_host::{
    Answer, CommandRefused, CommandTarget, Host, Progress, RestartRefused, SourceState as HostState, SourceStatus,
};
use headwater_protocol::{CommandFailure, ErrorCode};
use headwater_webhooks::Statuses;
use serde_json::{Map, Value, value::RawValue};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Commands, sources, reload and what this daemon is.
pub(crate) struct Daemon {
    host: Arc<Host>,
    webhooks: Statuses,
    reloader: Reloader,
    history_file: Option<String>,
    ready: Arc<AtomicBool>,
}

impl Daemon {
    /// `ready` is set by the assembly when everything has started, and cleared when it ends.
    pub(crate) fn new(
        host: Arc<Host>,
        webhooks: Statuses,
        reloader: Reloader,
        history_file: Option<&Path>,
        ready: Arc<AtomicBool>,
    ) -> Self {
        let history_file = history_file.map(|file| file.display().to_string());
        Self { host, webhooks, reloader, history_file, ready }
    }
}

impl Ports for Daemon {
    fn command(&self, call: CommandCall, answers: AnswerSink) -> Result<(), Refused> {
        let parameters: &RawValue = serde_json::from_slice(&call.parameters)
            .map_err(|error| refused(ErrorCode::Validation, format!("the parameters are no JSON: {error}")))?;
        let target = CommandTarget::parse(&call.target);
        let sink = Box::new(move |answer| answers(convert(answer)));
        match self.host.command(&target, parameters, Some(&call.connection), sink) {
            Ok(accepted) => {
                tracing::debug!(source = accepted.source, command = target.name, connection = %call.connection, "command");
                Ok(())
            }
            Err(error) => Err(refused(code(&error), error.to_string())),
        }
    }

    fn sources(&self) -> Vec<SourceInfo> {
        self.host.statuses().into_iter().map(info).collect()
    }

    fn webhooks(&self) -> Vec<WebhookInfo> {
        self.webhooks.read().into_iter().map(webhooks::info).collect()
    }

    fn restart_source(&self, name: String) -> BoxFuture<Result<(), Refused>> {
        let host = self.host.clone();
        Box::pin(async move {
            host.restart(&name).await.map_err(|error| {
                let code = match error {
                    RestartRefused::Unknown { .. } => ErrorCode::NotFound,
                    RestartRefused::Disabled(_) => ErrorCode::Validation,
                    RestartRefused::Failed { .. } => ErrorCode::Unavailable,
                };
                refused(code, error.to_string())
            })
        })
    }

    fn reload(&self, dry_run: bool) -> BoxFuture<Result<ReloadAnswer, ReloadRefused>> {
        let reloader = self.reloader.clone();
        Box::pin(async move { reloader.reload(dry_run).await })
    }

    fn info(&self) -> Info {
        let status = self.reloader.status();
        Info {
            version: env!("CARGO_PKG_VERSION").into(),
            config_files: status.files,
            sources_dir: status.sources_dir,
            history_file: self.history_file.clone(),
            last_reload_successful: status.successful,
            reloads: status.reloads,
        }
    }

    fn ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }
}

fn refused(code: ErrorCode, message: String) -> Refused {
    Refused { code, message, suggested_action: None }
}

fn code(error: &CommandRefused) -> ErrorCode {
    match error {
        CommandRefused::Unknown { .. } => ErrorCode::UnknownCommand,
        CommandRefused::Ambiguous { .. } => ErrorCode::AmbiguousCommand,
        CommandRefused::Unavailable { .. } => ErrorCode::Unavailable,
        CommandRefused::Busy { .. } => ErrorCode::RateLimit,
        CommandRefused::Malformed(_) => ErrorCode::Validation,
    }
}

fn convert(answer: Answer) -> CommandAnswer {
    match answer {
        Answer::Accepted { message, estimated_completion_ms } => {
            CommandAnswer::Accepted { message, estimated_completion_ms }
        }
        Answer::Progress(progress) => {
            let details = progress.details.as_ref().map(|details| details.get().to_owned());
            CommandAnswer::Progress { progress: steps(&progress), details }
        }
        Answer::Completed { result } => CommandAnswer::Completed { result: result.get().to_owned() },
        Answer::Error(error) => CommandAnswer::Failed(CommandFailure {
            code: match error.error_code.as_str() {
                // The host's own word; the codes on the wire are in capitals.
                "outcome_unknown" => ErrorCode::OutcomeUnknown.as_str().into(),
                _ => error.error_code,
            },
            message: error.message,
            details: error.details.map(|details| details.get().to_owned()),
            suggested_action: error.suggested_action,
        }),
    }
}

/// What is known of the progress, as the wire has it.
fn steps(progress: &Progress) -> String {
    let known = [
        ("current_step", progress.current_step.clone().map(Value::from)),
        ("step_number", progress.step_number.map(Value::from)),
        ("total_steps", progress.total_steps.map(Value::from)),
        ("completion_percent", progress.completion_percent.map(Value::from)),
    ];
    let known: Map<String, Value> =
        known.into_iter().filter_map(|(name, value)| value.map(|value| (name.to_owned(), value))).collect();
    Value::Object(known).to_string()
}

fn info(status: SourceStatus) -> SourceInfo {
    SourceInfo {
        name: status.name,
        state: match status.state {
            HostState::Starting => SourceState::Starting,
            HostState::Up => SourceState::Up,
            HostState::Backoff => SourceState::Backoff,
            HostState::Quarantined => SourceState::Quarantined,
            HostState::Down => SourceState::Down,
            HostState::Disabled => SourceState::Disabled,
        },
        plugin: status.plugin,
        exec: status.exec,
        version: status.version,
        isolation: match status.isolation {
            Isolation::Process => "process",
            Isolation::Thread => "thread",
        },
        pid: status.pid,
        generation: status.generation,
        restarts: status.restarts,
        events: status.events,
        dropped: status.dropped,
        channels: status.channels,
        commands: status.commands.into_iter().map(command).collect(),
        reason: status.reason,
        since: status.since.to_string(),
    }
}

fn command(declared: headwater_host::CommandInfo) -> CommandInfo {
    let headwater_host::CommandInfo { name, permission, description, parameters } = declared;
    CommandInfo { name, permission, description, parameters }
}
