//! `GET /v1/webhooks`: how the endpoints of other people are doing.

use super::{answer, app::App};
use crate::WebhookInfo;
use axum::{extract::State, http::StatusCode, response::Response};
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
struct Webhooks {
    webhooks: Vec<WebhookInfo>,
}

pub(super) async fn list(State(app): State<Arc<App>>) -> Response {
    answer::json(StatusCode::OK, &Webhooks { webhooks: app.ports.webhooks() })
}
