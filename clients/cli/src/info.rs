//! What a daemon says of itself, for verbs of the binary that have to know where its config is.

use crate::{Failure, Globals};
use headwater_client::Client;
use serde_json::Value;

/// `GET /v1/info`.
pub async fn daemon_info(globals: &Globals) -> Result<Value, Failure> {
    let token = globals.token.as_deref().filter(|token| !token.is_empty());
    Ok(Client::new(&globals.url, token)?.get_json("/v1/info").await?)
}
