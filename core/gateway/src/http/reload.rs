//! `POST /v1/reload`: the same as saving the config, with the answer in hand.

use super::{
    answer,
    app::App,
    channels::bad_query,
    problem::{Kind, Problem},
};
use crate::{FailedSource, FailedWebhook, ReloadAnswer, ReloadRefused};
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Unknown keys are refused: `?dryrun=true` must not apply what its author only wanted to see.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct How {
    #[serde(default)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Reloaded {
    status: &'static str,
    dry_run: bool,
    reload: u64,
    changes: Vec<String>,
    restarted: Vec<String>,
    kept: Vec<String>,
    failed: Vec<FailedSource>,
    failed_webhooks: Vec<FailedWebhook>,
    clients_dropped: u64,
    took_ms: u64,
}

pub(super) async fn reload(
    State(app): State<Arc<App>>,
    query: Result<Query<How>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(How { dry_run }) = query.map_err(|error| bad_query(&error))?;
    let done = app.to_its_end(app.ports.reload(dry_run)).await?.map_err(rejected)?;
    Ok(answer::json(StatusCode::OK, &told(done, dry_run)))
}

fn told(done: ReloadAnswer, dry_run: bool) -> Reloaded {
    let failed = !(done.failed.is_empty() && done.failed_webhooks.is_empty());
    let untouched = done.changes.is_empty() && done.restarted.is_empty() && !failed;
    let status = match (untouched, dry_run) {
        (true, _) => "unchanged",
        (false, true) => "would_apply",
        (false, false) => "applied",
    };
    Reloaded {
        status,
        dry_run,
        reload: done.reload,
        changes: done.changes,
        restarted: done.restarted,
        kept: done.kept,
        failed: done.failed,
        failed_webhooks: done.failed_webhooks,
        clients_dropped: done.clients_dropped,
        took_ms: done.took_ms,
    }
}

fn rejected(refused: ReloadRefused) -> Problem {
    let errors = serde_json::to_value(&refused.errors).unwrap_or(Value::Null);
    let detail = match &*refused.errors {
        [] => "the config cannot be loaded".to_owned(),
        [one] => one.message.clone(),
        [first, rest @ ..] => format!("{} (and {} more)", first.message, rest.len()),
    };
    Problem::new(Kind::CONFIG_REJECTED, detail).with("diagnostics", refused.diagnostics).with("errors", errors)
}
