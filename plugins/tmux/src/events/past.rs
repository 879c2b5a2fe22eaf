//! What an earlier life of this source has left on the bus: snapshots of what is not there any more, because the server went
//! while nobody watched. They would be told to every late subscriber for ever.

use super::told::TMUX;
use headwater_plugin::{BusEvent, Emitter, Subscription, prelude::*};
use std::{collections::BTreeMap, time::SystemTime};

/// The types of snapshots, and of the events that tell that what they are of was taken away. The last snapshot is also that
/// by which the present begins: whatever is there has been told again before it.
const STATES: [&str; 4] = ["session.state", "window.state", "pane.state", PRESENT];
const ENDS: [&str; 3] = ["session.removed", "window.removed", "pane.removed"];
const PRESENT: &str = "tmux.mode";

/// Reads the past and takes away what the present has not told again: what this source said, of whatever server it was set to
/// watch then, and what was said of the server on this `socket` under whatever name. Other sources watch other servers. It ends
/// when the present begins.
pub(crate) async fn clear(mut past: Subscription, mut emitter: Emitter, socket: String) {
    let began = SystemTime::now();
    let mut left = Left::default();
    let us = loop {
        let event = match past.next().await {
            Some(Delivery::Event(event)) => event,
            Some(_) => continue,
            None => return,
        };
        let Ok(data) = event.data::<Value>() else { continue };
        left.read(&event, &data, began);
        if event.kind == PRESENT && data["socket"] == socket.as_str() && event.time >= began {
            break event.source;
        }
    };
    for (key, state) in left.0.iter().filter(|(_, state)| state.source == us || state.socket == socket) {
        if let Err(error) = emitter.forget(TMUX, state.kind, key).await {
            warn!("what is not there any more cannot be taken away: {error}");
            return;
        }
    }
}

/// Where the past is read.
pub(crate) fn read(ctx: &Context) -> Result<Subscription> {
    let types: Vec<&str> = STATES.into_iter().chain(ENDS).collect();
    ctx.subscribe(&[TMUX], json!({ "from": "earliest", "filter": { "types": types } }))
}

/// What was left, by its keys.
#[derive(Debug, Default)]
struct Left(BTreeMap<String, State>);

/// A snapshot.
#[derive(Debug)]
struct State {
    kind: &'static str,
    /// Who said it.
    source: String,
    /// Of which server.
    socket: String,
    /// The session that it names.
    session: Value,
}

impl Left {
    fn read(&mut self, event: &BusEvent, data: &Value, began: SystemTime) {
        if let Some(kind) = STATES.into_iter().find(|kind| event.kind == *kind)
            && let Some(key) = &event.key
        {
            if event.time < began {
                let socket =
                    data["server"]["socket"].as_str().or(data["socket"].as_str()).unwrap_or_default().to_owned();
                let (source, session) = (event.source.clone(), data["session_id"].clone());
                self.0.insert(key.clone(), State { kind, source, socket, session });
            } else {
                self.0.remove(key);
            }
        }
        if ENDS.contains(&event.kind.as_str())
            && let Some((what, _)) = event.kind.split_once('.')
            && let Some(id) = data[format!("{what}_id")].as_str()
        {
            let key = format!("{what}:{}:{id}", data["server"]["pid"]);
            // A window that one session has lost may still be in another one, of which its snapshot then speaks.
            if self.0.get(&key).is_some_and(|state| state.session == data["session_id"]) {
                self.0.remove(&key);
            }
        }
    }
}
