//! What an earlier life of this source has left on the bus: snapshots of what is not there any more, because the server went
//! while nobody watched. They would be told to every late subscriber for ever.

use super::told::TMUX;
use headwater_plugin::{BusEvent, Emitter, Subscription, prelude::*};
use std::{collections::BTreeMap, time::SystemTime};

/// The types of snapshots; of the events that tell that they were taken away; and of the one by which the present begins:
/// whatever is there has been told again before it.
const STATES: [&str; 3] = ["session.state", "window.state", "pane.state"];
const ENDS: [&str; 3] = ["session.removed", "window.removed", "pane.removed"];
const PRESENT: &str = "tmux.mode";

/// Reads the past and takes away what the present has not told again. `socket` is that of our server: another source may
/// watch another one. It ends when the present begins.
pub(crate) async fn clear(mut past: Subscription, mut emitter: Emitter, socket: String) {
    let began = SystemTime::now();
    let mut left = Left::default();
    while let Some(delivery) = past.next().await {
        let Delivery::Event(event) = delivery else { continue };
        let Ok(data) = event.data::<Value>() else { continue };
        if data["server"]["socket"] == socket.as_str() {
            left.read(&event, &data, began);
        }
        if event.kind == PRESENT && data["socket"] == socket.as_str() && event.time >= began {
            break;
        }
    }
    for (key, kind) in left.0 {
        if let Err(error) = emitter.forget(TMUX, kind, &key).await {
            warn!("what is not there any more cannot be taken away: {error}");
            return;
        }
    }
}

/// Where the past is read.
pub(crate) fn read(ctx: &Context) -> Result<Subscription> {
    let types: Vec<&str> = STATES.into_iter().chain(ENDS).chain([PRESENT]).collect();
    ctx.subscribe(&[TMUX], json!({ "from": "earliest", "filter": { "types": types } }))
}

/// The keys of what was left, each with its type.
#[derive(Debug, Default)]
struct Left(BTreeMap<String, &'static str>);

impl Left {
    fn read(&mut self, event: &BusEvent, data: &Value, began: SystemTime) {
        if let Some(kind) = STATES.into_iter().find(|kind| event.kind == *kind)
            && let Some(key) = &event.key
        {
            if event.time < began {
                self.0.insert(key.clone(), kind);
            } else {
                self.0.remove(key);
            }
        }
        if ENDS.contains(&event.kind.as_str())
            && let Some((what, _)) = event.kind.split_once('.')
            && let Some(id) = data[format!("{what}_id")].as_str()
        {
            self.0.remove(&format!("{what}:{}:{id}", data["server"]["pid"]));
        }
    }
}
