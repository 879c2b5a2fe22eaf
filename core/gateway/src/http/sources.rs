//! `/v1/sources`: what the sources do, and a new start for one of them.

use super::{answer, app::App, problem::Problem};
use crate::SourceInfo;
use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
    response::Response,
};
use headwater_protocol::ErrorCode;
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
struct Sources {
    sources: Vec<SourceInfo>,
}

pub(super) async fn list(State(app): State<Arc<App>>) -> Response {
    answer::json(StatusCode::OK, &Sources { sources: app.ports.sources() })
}

#[derive(Serialize)]
struct Restarted {
    status: &'static str,
}

pub(super) async fn restart(
    State(app): State<Arc<App>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let Path(name) = name.map_err(|error| Problem::new(ErrorCode::Validation, error.body_text()))?;
    app.to_its_end(app.ports.restart_source(name)).await??;
    Ok(answer::json(StatusCode::OK, &Restarted { status: "restarted" }))
}
