//! The JSON that crosses the ABI. Here it grows: the tables of functions never do.
//!
//! From the host, by `send(instance, request, json)`:
//!
//! | message | answer |
//! |---|---|
//! | `{"kind":"heartbeat"}` | `{"status":"alive"}`, given by the instance's own runtime: a source that blocks it is silent |
//! | `{"kind":"command","name":"measure","parameters":{…},"caller":"…"?}` | any number of accepted and progress, then completed or error |
//! | `{"kind":"log_level","level":"info"}` | none. Below it nothing is formatted; `off`, `error`, `warn`, `info`, `debug`, `trace` |
//! | `{"kind":"notice","subscription":1,"notice":{…}}` | none. A native message about a subscription, such as `gap` |
//! | any other kind | error `UNKNOWN_COMMAND`, when the request has a number |
//!
//! To the host, by `reply(ctx, request, json)`:
//!
//! | answer | fields |
//! |---|---|
//! | `{"status":"accepted"}` | `message`?, `estimated_completion_ms`? |
//! | `{"status":"progress"}` | `current_step`?, `step_number`?, `total_steps`?, `completion_percent`?, `details`? |
//! | `{"status":"completed"}` | `result`: any JSON |
//! | `{"status":"error"}` | `error_code`, `message`, `details`?, `suggested_action`? |
//! | `{"status":"alive"}` | |
//! | `{"status":"dropped"}` | `channel`, `count`: events that `try_emit` dropped; with request 0, at most once a second. The host logs and publishes it |
//!
//! To the host, by `subscribe(ctx, json)`: the body of a native subscribe message with the plugin's own number,
//! `{"subscription":1,"channels":["agents"],"filter":{…}?,"from":…?,"options":{…}?}`; and
//! `{"subscription":1,"unsubscribe":true}` when the source wants no more of it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

/// What the host sends.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Message {
    Heartbeat,
    Command {
        name: String,
        #[serde(default)]
        parameters: Option<Value>,
        #[serde(default)]
        caller: Option<String>,
    },
    LogLevel {
        level: String,
    },
    Notice {
        subscription: u64,
        notice: Value,
    },
    #[serde(other)]
    Unknown,
}

/// What the plugin answers.
#[derive(Debug, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub(crate) enum Answer<'a> {
    Alive,
    Accepted(Acceptance<'a>),
    Progress(crate::Progress),
    Completed { result: &'a RawValue },
    Error(&'a crate::Failure),
    Dropped { channel: &'a str, count: u64 },
}

#[derive(Debug, Serialize)]
pub(crate) struct Acceptance<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) estimated_completion_ms: Option<u64>,
}

/// What the plugin asks of the bus.
#[derive(Debug, Serialize)]
pub(crate) struct Subscribe<'a> {
    pub(crate) subscription: u64,
    pub(crate) channels: &'a [&'a str],
    #[serde(flatten)]
    pub(crate) request: &'a Map<String, Value>,
}

/// What the plugin no longer wants.
#[derive(Debug, Serialize)]
pub(crate) struct Unsubscribe {
    pub(crate) subscription: u64,
    pub(crate) unsubscribe: bool,
}
