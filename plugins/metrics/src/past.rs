//! How things stood before the source was started anew: read from the snapshots that it left on the bus, so that no restart
//! tells of an alert twice, forgets who has silenced one, or leaves a counter degraded for ever that can be read again.
//! Figures are told meanwhile; alerts, and what clients ask about them, wait for it.
//!
//! All of the past has been read when the event comes back that this life of the source has emitted as a mark. It also tells
//! by what name the source goes: what others have left under the same types is passed over.

use crate::{
    alerts::State,
    emit::{MODULE, STATUS},
};
use headwater_plugin::{
    prelude::*,
    tokio::time::{Duration, Instant, timeout_at},
};
use std::collections::{BTreeMap, BTreeSet};

/// Where alerts stand: a channel of their own, which is short.
pub(crate) const CHANNEL: &str = "metrics_alerts";

/// The type of a snapshot.
pub(crate) const STATE: &str = "alert_state";

/// The mark.
const MARK: &str = "alerts.opened";

/// How long alerts wait for the past to be read. Then they go on without it, late is worse than less, and what was left is
/// settled when it comes.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most snapshots that are read; those beyond are passed over: whoever may publish could otherwise fill the memory.
const MOST: usize = 4_096;

/// What there is to say of the past.
#[derive(Debug)]
pub(crate) enum Word {
    /// It is still not read: alerts are to go on without it.
    Late,
    /// This is how things stood.
    Left(Left),
}

/// How things stood.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// The alerts.
    pub(crate) alerts: Vec<State>,
    /// The modules that were told to be degraded, by their names in events.
    pub(crate) degraded: BTreeSet<String>,
}

/// The past, as far as it has been read.
#[derive(Debug)]
pub(crate) struct Past {
    events: Subscription,
    life: String,
    read: Vec<BusEvent>,
    /// Nothing once it has passed.
    deadline: Option<Instant>,
}

impl Past {
    /// Begins to read.
    pub(crate) async fn open(ctx: &mut Context) -> Result<Self> {
        let request = json!({ "snapshots": true, "filter": { "types": [STATE, MARK, STATUS] } });
        let events = ctx.subscribe(&[CHANNEL, MODULE], request)?;
        let life = jiff::Timestamp::now().as_nanosecond().to_string();
        ctx.event(CHANNEL, MARK).evidence(Evidence::Observed).emit(&json!({ "life": life })).await?;
        Ok(Self { events, life, read: Vec::new(), deadline: Some(Instant::now() + PATIENCE) })
    }

    /// The next word. Cancel-safe.
    pub(crate) async fn read(&mut self) -> Word {
        loop {
            let next = self.events.next();
            let delivery = match self.deadline {
                None => Ok(next.await),
                Some(deadline) => timeout_at(deadline, next).await,
            };
            let Ok(delivery) = delivery else {
                warn!("how alerts stood before was not read within {PATIENCE:?}; going on without it for now");
                self.deadline = None;
                return Word::Late;
            };
            match delivery {
                Some(Delivery::Event(event)) if event.kind == MARK => {
                    if event.data::<Value>().is_ok_and(|data| data["life"] == self.life.as_str()) {
                        return Word::Left(left(&event.source, std::mem::take(&mut self.read)));
                    }
                }
                Some(Delivery::Event(event)) if self.read.len() < MOST => self.read.push(event),
                Some(_) => {}
                // The source is to stop; others say so.
                None => std::future::pending().await,
            }
        }
    }
}

/// What this source has left, of all that was read.
fn left(own: &str, read: Vec<BusEvent>) -> Left {
    let mut states: BTreeMap<String, State> = BTreeMap::new();
    let mut degraded = BTreeSet::new();
    for event in read.into_iter().filter(|event| event.source == own) {
        if event.kind == STATUS {
            let Ok(data) = event.data::<Value>() else { continue };
            let Some(module) = data["module"].as_str() else { continue };
            if data["new_status"] == "degraded" {
                degraded.insert(module.to_owned());
            } else {
                degraded.remove(module);
            }
        } else if let Some(gone) = &event.forgets {
            states.remove(gone);
        } else if let (Some(key), Some(state)) = (event.key, State::read(&event.json)) {
            states.insert(key, state);
        }
    }
    Left { alerts: states.into_values().collect(), degraded }
}
