//! `list_commands` and `run_command`: what sources can be asked to do, and asking them. At most once: a command is never sent
//! again.

use super::{
    arguments::{self, within, wrong},
    fault::Fault,
    tools::{Call, Outcome, answer},
};
use crate::{
    AnswerSink, CommandAnswer, CommandCall, CommandInfo, SourceInfo,
    metrics::{Metrics, is_fault},
};
use headwater_protocol::{CommandFailure, ErrorCode};
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, sleep_until},
};

/// Calls that wait for a command's outcome at the same moment, of all MCP clients together. A command that takes longer than
/// somebody waits for it is not among them any more: it is one of those that its source has, which the host bounds.
pub(crate) const COMMANDS: usize = 64;
/// How long the outcome is waited for, in seconds: usually, and at most.
const USUAL_WAIT: u64 = 30;
const LONGEST_WAIT: u64 = 290;

/// What a model can do about a command that is not taken, where nobody said.
const HINT: &str = "list_commands tells which sources take which commands, with their parameters";

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListArguments {
    /// Only this source.
    source: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Listed {
    sources: Vec<Source>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Source {
    #[serde(rename = "source")]
    name: String,
    /// up, starting, down, backoff, quarantined or disabled.
    state: String,
    /// Why it is not up.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    commands: Vec<Described>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Described {
    command: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// The permission that it needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    permission: Option<String>,
    /// The JSON Schema of its parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Value>,
}

impl From<SourceInfo> for Source {
    fn from(source: SourceInfo) -> Self {
        let describe = |command: CommandInfo| Described {
            command: command.name,
            description: command.description,
            permission: command.permission,
            parameters: command.parameters,
        };
        Self {
            name: source.name,
            state: source.state.as_str().to_owned(),
            reason: source.reason,
            commands: source.commands.into_iter().map(describe).collect(),
        }
    }
}

pub(super) fn list(call: &Call) -> Outcome {
    let asked: ListArguments = arguments::read(&call.arguments)?;
    let mut sources = call.client.app.ports().sources();
    if let Some(name) = &asked.source {
        let names: Vec<String> = sources.iter().map(|source| source.name.clone()).collect();
        sources.retain(|source| source.name == *name);
        if sources.is_empty() {
            let why = format!("there is no source `{name}`; there are {}", names.join(", "));
            return Err(Fault::new(ErrorCode::NotFound, why));
        }
    }
    Ok(answer(&Listed { sources: sources.into_iter().map(Source::from).collect() }))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RunArguments {
    /// The source, where several have this command; `list_commands` tells.
    source: Option<String>,
    /// The command's name.
    command: String,
    /// Its parameters, as its schema has them.
    #[serde(default)]
    parameters: JsonObject,
    /// How long to wait for the outcome, in seconds, 1 to 290. Default 30. Clients have limits of their own for a call,
    /// often 60.
    #[schemars(range(min = 1, max = 290))]
    timeout_seconds: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Ran {
    status: Status,
    /// What the source says it came to; any JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
    /// What the source said when it took the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// While it is running: how far it was, as the source said last.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Value>,
    /// How long it was waited for.
    took_seconds: f64,
}

#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    Completed,
    Running,
}

pub(super) async fn run(call: Call) -> Outcome {
    let asked: RunArguments = arguments::read(&call.arguments)?;
    let patience = Duration::from_secs(within("timeout_seconds", asked.timeout_seconds, USUAL_WAIT, 1..=LONGEST_WAIT)?);
    if asked.command.is_empty() {
        return Err(wrong("`command` is empty; list_commands tells which there are"));
    }
    let target = match &asked.source {
        Some(source) => format!("{source}/{}", asked.command),
        None => asked.command,
    };
    let app = &call.client.app;
    let _place = app.commands.try_acquire().map_err(|_| {
        let why = format!(
            "there are {COMMANDS} calls that wait for a command, as many as there may be; come back in some seconds"
        );
        Fault::new(ErrorCode::RateLimit, why)
    })?;
    let parameters = serde_json::to_vec(&asked.parameters).expect("invariant: parameters have only strings as keys");
    let (flight, ended) = Flight::begin(app.metrics.clone());
    let (answers, heard) = listen(flight.clone());
    let connection = format!("mcp {}", call.client.address).into();
    let command = CommandCall { target, parameters: parameters.into(), connection };
    if let Err(refused) = app.ports().command(command, answers) {
        flight.over(is_fault(refused.code.as_str()));
        return Err(Fault::from(refused).or(HINT));
    }
    // From here on it is its source's.
    drop(flight);
    let begun = Instant::now();
    let outcome = outcome(begun + patience, ended, heard.clone(), &call).await;
    let took_seconds = (begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    let Heard { message, progress, .. } = heard.borrow().clone();
    let ran = match outcome {
        None => Ran { status: Status::Running, result: None, message, progress, took_seconds },
        Some(Ok(result)) => {
            Ran { status: Status::Completed, result: Some(value(&result)), message, progress: None, took_seconds }
        }
        Some(Err(failure)) => return Err(failure.into()),
    };
    Ok(answer(&ran))
}

/// What a command has said while it was under way.
#[derive(Clone, Debug, Default)]
struct Heard {
    message: Option<String>,
    /// Of the last progress.
    progress: Option<Value>,
    steps: u64,
}

type Ended = Result<String, CommandFailure>;

/// A command, until its last answer. Then it is counted, whether somebody still waits for it or not.
struct Flight {
    metrics: Arc<Metrics>,
    began: Instant,
    end: Mutex<Option<oneshot::Sender<Ended>>>,
}

impl Flight {
    fn begin(metrics: Arc<Metrics>) -> (Arc<Self>, oneshot::Receiver<Ended>) {
        let (end, ended) = oneshot::channel();
        (Arc::new(Self { metrics, began: Instant::now(), end: Mutex::new(Some(end)) }), ended)
    }

    /// It is over, by a fault of the daemon or its source or not. Where its last answer goes, the first time.
    fn over(&self, fault: bool) -> Option<oneshot::Sender<Ended>> {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner).take();
        if end.is_some() {
            self.metrics.commanded(self.began.elapsed(), fault);
        }
        end
    }

    fn end(&self, outcome: Ended) {
        let fault = outcome.as_ref().is_err_and(|failure| is_fault(&failure.code));
        if let Some(end) = self.over(fault) {
            // Nobody may be waiting any more.
            let _ = end.send(outcome);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        // Its source has gone without a word.
        self.over(true);
    }
}

/// Where a command's answers go: the last one, and what came before it, of which only the latest is held.
fn listen(flight: Arc<Flight>) -> (AnswerSink, watch::Receiver<Heard>) {
    let (tell, heard) = watch::channel(Heard::default());
    let answers: AnswerSink = Arc::new(move |answer| match answer {
        CommandAnswer::Accepted { message, .. } => tell.send_modify(|heard| heard.message = message),
        CommandAnswer::Progress { progress, details } => tell.send_modify(|heard| {
            let mut said = value(&progress);
            if let (Value::Object(members), Some(details)) = (&mut said, details) {
                members.insert("details".into(), value(&details));
            }
            heard.progress = Some(said);
            heard.steps += 1;
        }),
        CommandAnswer::Completed { result } => flight.end(Ok(result)),
        CommandAnswer::Failed(failure) => flight.end(Err(failure)),
    });
    (answers, heard)
}

/// What the command comes to; `None` when the time is up, or the call withdrawn.
async fn outcome(
    deadline: Instant,
    mut ended: oneshot::Receiver<Ended>,
    mut heard: watch::Receiver<Heard>,
    call: &Call,
) -> Option<Ended> {
    loop {
        tokio::select! {
            biased;
            outcome = &mut ended => {
                let unknown = |_| CommandFailure {
                    code: ErrorCode::OutcomeUnknown.as_str().to_owned(),
                    message: "the source ended before it answered; whether the command was carried out is not known".into(),
                    details: None,
                    suggested_action: None,
                };
                return Some(outcome.map_err(unknown).flatten());
            }
            () = sleep_until(deadline) => return None,
            () = call.withdrawn.cancelled() => return None,
            Ok(()) = heard.changed() => {
                let Heard { steps, progress: said, message } = heard.borrow_and_update().clone();
                let words = said.map(|said| said["current_step"].as_str().unwrap_or("at work").to_owned());
                call.progress.tell(steps as f64, None, words.or(message).unwrap_or_else(|| "accepted".into())).await;
            }
        }
    }
}

/// What a source says: a JSON value, or text that it took for one.
fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}
