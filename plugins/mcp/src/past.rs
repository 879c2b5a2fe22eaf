//! What an earlier life of this source has left on the bus: states of servers that are not there any more. They would be told
//! to every late subscriber for ever.

use crate::emit::SERVERS;
use headwater_plugin::{Subscription, prelude::*};
use std::{collections::BTreeSet, time::SystemTime};

/// The type of the states, and of the event by which the present begins.
const STATE: &str = "mcp_server_state";
const PRESENT: &str = "mcp_source.opened";

/// Reads the past, up to the mark with which the present begins.
#[derive(Debug)]
pub(crate) struct Past {
    reading: Option<Subscription>,
    began: SystemTime,
    left: BTreeSet<String>,
    /// All config files have been read once: what is not known now is not there.
    known: bool,
    marked: bool,
}

impl Past {
    /// Begins to read.
    pub(crate) fn open(ctx: &Context) -> Result<Self> {
        let request = json!({ "from": "earliest", "filter": { "types": [STATE, PRESENT] } });
        let reading = Some(ctx.subscribe(&[SERVERS], request)?);
        Ok(Self { reading, began: SystemTime::now(), left: BTreeSet::new(), known: false, marked: false })
    }

    /// Sets the mark.
    pub(crate) async fn mark(&mut self, ctx: &mut Context) -> Result<()> {
        self.began = SystemTime::now();
        Ok(ctx.event(SERVERS, PRESENT).time(self.began).emit(&json!({})).await?)
    }

    /// All config files have been read once.
    pub(crate) fn present(&mut self) {
        self.known = true;
    }

    /// The states that were left, once: when the past has been read and the present is known. It waits for ever after that.
    /// Cancel-safe.
    pub(crate) async fn next(&mut self) -> Vec<String> {
        loop {
            if self.marked && self.known {
                self.reading = None;
                self.known = false;
                return std::mem::take(&mut self.left).into_iter().collect();
            }
            let Some(reading) = self.reading.as_mut().filter(|_| !self.marked) else {
                std::future::pending::<()>().await;
                continue;
            };
            match reading.next().await {
                Some(Delivery::Event(event)) => self.read(&event),
                Some(_) => {}
                // The source is to stop; others say so.
                None => std::future::pending::<()>().await,
            }
        }
    }

    fn read(&mut self, event: &BusEvent) {
        if let Some(key) = &event.forgets {
            self.left.remove(key);
        }
        match &event.key {
            Some(key) if event.kind == STATE => {
                self.left.insert(key.clone());
            }
            _ if event.kind == PRESENT => self.marked = event.time >= self.began,
            _ => {}
        }
    }
}
