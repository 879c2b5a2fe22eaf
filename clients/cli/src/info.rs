//! What a daemon says of itself, for verbs of the binary that have to know where its config is.

use crate::{Failure, Globals, text::visible};
use headwater_client::{Client, SourceSummary};
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// `GET /v1/info`.
pub async fn daemon_info(globals: &Globals) -> Result<Value, Failure> {
    let token = globals.token.as_deref().filter(|token| !token.is_empty());
    Ok(Client::new(&globals.url, token)?.get_json("/v1/info").await?)
}

/// How long a source that was enabled may take to start.
const START: Duration = Duration::from_secs(10);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(100);

/// Waits until a source that was enabled just now is up, and says so. Fails when it cannot run, or does not within 10 s.
pub async fn source_started(globals: &Globals, name: &str) -> Result<String, Failure> {
    let token = globals.token.as_deref().filter(|token| !token.is_empty());
    let client = Client::new(&globals.url, token)?;
    let until = Instant::now() + START;
    loop {
        let mut found = None;
        for source in client.sources().await? {
            let source: SourceSummary = crate::verbs::read(&source)?;
            found = found.or(Some(source).filter(|source| source.name == name));
        }
        let state = found.as_ref().map_or("not there", |source| source.state.as_str());
        let because = found.as_ref().and_then(|source| source.reason.as_deref()).filter(|reason| !reason.is_empty());
        let because = because.map(|reason| format!(": {reason}")).unwrap_or_default();
        let said = visible(&format!("{name} is {state}{because}")).into_owned();
        match state {
            "up" => return Ok(said),
            // Not before the daemon has read the config, and then started it.
            "starting" | "disabled" | "not there" if Instant::now() < until => sleep(LOOK).await,
            _ => return Err(Failure::Other(format!("{said}; look: headwater source list"))),
        }
    }
}
