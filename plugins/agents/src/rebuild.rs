//! The registry as it was before the source ended: read from the snapshots and events that it left on the bus, so that no
//! restart, of the source or of the daemon, loses an agent.
//!
//! All of the past has been read when an event comes back that this life of the source has emitted itself. What others
//! than sources publish under the same types is passed over.

use crate::{
    emit::{AgentState, TaskState},
    machine::TaskStatus,
    registry::Registry,
};
use headwater_plugin::{
    prelude::*,
    tokio::time::{Duration, Instant, timeout_at},
};
use jiff::Timestamp;

/// The event that marks the end of the past. One on each channel, since each is read in its own order.
const MARK: &str = "registry.opened";

/// Where the past stands.
const CHANNELS: [&str; 2] = ["agent", "task"];

/// What of it is read.
const TYPES: [&str; 7] =
    ["agent_state", "agent_removed", "task_state", "task_completed", "task_failed", "task_cancelled", MARK];

/// How long the past may take to be read. Then the source goes on with what it has: late is worse than less.
const PATIENCE: Duration = Duration::from_secs(20);

/// Reads the past into `registry`. The answer is the time of the newest thing in it: what was published since then has not
/// been read.
pub(crate) async fn rebuild(registry: &mut Registry, ctx: &mut Context) -> Result<Option<Timestamp>> {
    let mut past = ctx.subscribe(&CHANNELS, json!({ "from": "earliest", "filter": { "types": TYPES } }))?;
    let life = uuid::Uuid::now_v7().to_string();
    for channel in CHANNELS {
        ctx.event(channel, MARK).evidence(Evidence::Observed).emit(&json!({ "life": life })).await?;
    }
    let mut newest = None;
    let mut ended = [false; CHANNELS.len()];
    let deadline = Instant::now() + PATIENCE;
    while ended.contains(&false) {
        match timeout_at(deadline, past.next()).await {
            Ok(Some(Delivery::Event(event))) if event.kind == MARK => {
                let ours = event.data::<Value>().is_ok_and(|data| data["life"] == life.as_str());
                if let Some(index) = CHANNELS.iter().position(|channel| ours && *channel == event.channel) {
                    ended[index] = true;
                }
            }
            Ok(Some(Delivery::Event(event))) if event.source != "client" => {
                newest = newest.max(read(registry, &event));
            }
            Ok(Some(Delivery::Gap(gap))) => {
                warn!(channel = gap.channel, lost = gap.to.saturating_sub(gap.from) + 1, "a part of the past is lost");
            }
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(_) => {
                warn!("the past was not read within {PATIENCE:?}; going on with what is known");
                break;
            }
        }
    }
    Ok(newest)
}

/// One event of the past: when it happened, where it was understood.
fn read(registry: &mut Registry, event: &BusEvent) -> Option<Timestamp> {
    let at = Timestamp::try_from(event.time).ok()?;
    match event.kind.as_str() {
        // A snapshot that was taken away has no data.
        "agent_state" => {
            let agent = event.data::<AgentState>().ok()?.agent()?;
            let seen = agent.last_seen;
            registry.restore_agent(agent);
            Some(seen)
        }
        "task_state" => {
            registry.restore_task(event.data::<TaskState>().ok()?.task()?);
            None
        }
        kind => {
            let data: Value = event.data().ok()?;
            let retry = data["retry_scheduled"] == true;
            let status = match kind {
                "agent_removed" => {
                    let reason = data["reason"].as_str().unwrap_or_default();
                    let evidence = event.evidence.unwrap_or(Evidence::Observed);
                    registry.restore_removal(data["agent_id"].as_str()?, reason, at, evidence);
                    return Some(at);
                }
                "task_completed" => TaskStatus::Completed,
                "task_cancelled" => TaskStatus::Cancelled,
                "task_failed" if !retry => TaskStatus::Failed { retry },
                _ => return None,
            };
            registry.restore_end(&data["task_id"].as_str()?.to_owned().into(), status, at);
            None
        }
    }
}
