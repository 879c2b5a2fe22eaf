//! `POST /mcp`: the way to the MCP server (`crate::mcp`) over Streamable HTTP. It has passed the guard by then, as every
//! route has; here its body is bounded, in size and in time.

use super::{
    answer::json,
    app::{App, Peer},
    ingest::{uncompressed, whole},
    problem::Problem,
};
use crate::mcp::{Caller, withdrawn};
use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use serde::de::IgnoredAny;
use std::sync::Arc;

pub(super) async fn serve(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<Response, Problem> {
    let (mut head, body) = request.into_parts();
    uncompressed(&head.headers)?;
    let body = whole(body, &head.headers, app.options.max_ingest_bytes).await?;
    let address = peer.address.ip();
    head.extensions.insert(Caller::new(app.clone(), address));
    let withdrawn = withdrawn(&body);
    let (is_json, text) = (says_json(&head.headers), body.clone());
    let answer = app.mcp.answer(head, body).await;
    // rmcp says the same of a body that is no message as of one of another media type.
    if is_json && answer.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        return Ok(no_message(&text));
    }
    // rmcp checks a notice and does no more with it.
    if let Some(id) = withdrawn
        && answer.status() == StatusCode::ACCEPTED
    {
        app.calls.withdraw(address, id);
    }
    Ok(answer.map(Body::new))
}

/// Whether the body is said to be JSON, as rmcp sees it.
fn says_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = media_type.and_then(|media_type| media_type.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// The answer to a body that is no message, as JSON-RPC 2.0 wants it: whose it is nobody knows.
fn no_message(body: &[u8]) -> Response {
    let (code, message) = match serde_json::from_slice::<IgnoredAny>(body) {
        Ok(_) => (-32600, "Invalid Request: the body is no JSON-RPC message".to_owned()),
        Err(error) => (-32700, format!("Parse error: the body is no JSON: {error}")),
    };
    let error = serde_json::json!({ "code": code, "message": message });
    json(StatusCode::BAD_REQUEST, &serde_json::json!({ "jsonrpc": "2.0", "id": null, "error": error }))
}
