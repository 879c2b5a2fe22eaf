//! `POST /mcp`: the way to the MCP server (`crate::mcp`) over Streamable HTTP. It has passed the guard by then, as every
//! route has; here its body is bounded, in size and in time.

use super::{
    app::{App, Peer},
    ingest::{uncompressed, whole},
    problem::Problem,
};
use crate::mcp::{Caller, withdrawn};
use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
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
    let answer = app.mcp.answer(head, body).await;
    // rmcp checks a notice and does no more with it.
    if let Some(id) = withdrawn
        && answer.status() == StatusCode::ACCEPTED
    {
        app.calls.withdraw(address, id);
    }
    Ok(answer.map(Body::new))
}
