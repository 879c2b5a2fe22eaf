//! `POST /mcp`: the way to the MCP server (`crate::mcp`) over Streamable HTTP. It has passed the guard by then, as every
//! route has; here its body is bounded, in size and in time.

use super::{
    app::{App, Peer},
    ingest::{uncompressed, whole},
    problem::Problem,
};
use crate::mcp::Caller;
use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
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
    head.extensions.insert(Caller::new(app.clone(), peer.address.ip()));
    Ok(app.mcp.answer(head, body).await.map(Body::new))
}
