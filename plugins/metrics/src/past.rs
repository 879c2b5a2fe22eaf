//! How alerts stood before the source was started anew: read from the snapshots that it left on the bus, so that no restart
//! tells of an alert twice, or forgets who has silenced one. Figures are told meanwhile; alerts wait for it.
//!
//! All of the past has been read when the event comes back that this life of the source has emitted as a mark.

use crate::alerts::State;
use headwater_plugin::{
    prelude::*,
    tokio::time::{Duration, Instant, timeout_at},
};
use std::collections::BTreeMap;

/// Where they stand: a channel of their own, which is short.
pub(crate) const CHANNEL: &str = "metrics_alerts";

/// The type of a snapshot.
pub(crate) const STATE: &str = "alert_state";

/// The mark.
const MARK: &str = "alerts.opened";

/// How long the past may take to be read. Then alerts begin anew: late is worse than less.
const PATIENCE: Duration = Duration::from_secs(10);

/// The past, as far as it has been read.
#[derive(Debug)]
pub(crate) struct Past {
    events: Subscription,
    life: String,
    states: BTreeMap<String, State>,
    deadline: Instant,
}

impl Past {
    /// Begins to read.
    pub(crate) async fn open(ctx: &mut Context) -> Result<Self> {
        let request = json!({ "from": "earliest", "filter": { "types": [STATE, MARK] } });
        let events = ctx.subscribe(&[CHANNEL], request)?;
        let life = jiff::Timestamp::now().as_nanosecond().to_string();
        ctx.event(CHANNEL, MARK).evidence(Evidence::Observed).emit(&json!({ "life": life })).await?;
        Ok(Self { events, life, states: BTreeMap::new(), deadline: Instant::now() + PATIENCE })
    }

    /// The last state of each alert, when all of it has been read. Cancel-safe.
    pub(crate) async fn read(&mut self) -> Vec<State> {
        loop {
            match timeout_at(self.deadline, self.events.next()).await {
                Ok(Some(Delivery::Event(event))) if event.kind == MARK => {
                    if event.data::<Value>().is_ok_and(|data| data["life"] == self.life.as_str()) {
                        break;
                    }
                }
                // What others than sources publish under the same type is passed over.
                Ok(Some(Delivery::Event(event))) if event.source != "client" => {
                    if let Some(gone) = &event.forgets {
                        self.states.remove(gone);
                    } else if let (Some(key), Some(state)) = (event.key, State::read(&event.json)) {
                        self.states.insert(key, state);
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => {
                    warn!("how alerts stood before was not read within {PATIENCE:?}; going on without it");
                    break;
                }
            }
        }
        std::mem::take(&mut self.states).into_values().collect()
    }
}
