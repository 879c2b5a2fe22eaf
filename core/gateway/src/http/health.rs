//! `/healthz`, `/readyz` and `/v1/info`: whether the daemon is there, and what it is.

use super::{answer, app::App, problem::Problem};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use headwater_protocol::ErrorCode;
use serde::Serialize;
use std::sync::Arc;

const TEXT: &str = "text/plain; charset=utf-8";

/// That this answer comes is the answer.
pub(super) async fn healthz() -> Response {
    answer::of(StatusCode::OK, TEXT, Body::from("ok\n"))
}

pub(super) async fn readyz(State(app): State<Arc<App>>) -> Response {
    if app.ports.ready() {
        return answer::of(StatusCode::OK, TEXT, Body::from("ready\n"));
    }
    Problem::new(ErrorCode::Unavailable, "the daemon is starting or ending")
        .header(header::RETRY_AFTER, HeaderValue::from_static("1"))
        .into_response()
}

#[derive(Serialize)]
struct InfoAnswer<'a> {
    version: &'a str,
    config_files: &'a [String],
    sources_dir: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    history_file: Option<&'a str>,
    last_reload_successful: bool,
    reloads: u64,
    pid: u32,
    uptime_seconds: u64,
    url: String,
}

pub(super) async fn info(State(app): State<Arc<App>>) -> Response {
    let info = app.ports.info();
    let document = InfoAnswer {
        version: &info.version,
        config_files: &info.config_files,
        sources_dir: &info.sources_dir,
        history_file: info.history_file.as_deref(),
        last_reload_successful: info.last_reload_successful,
        reloads: info.reloads,
        pid: std::process::id(),
        uptime_seconds: app.uptime().as_secs(),
        url: format!("http://{}", app.options.listen),
    };
    answer::json(StatusCode::OK, &document)
}
