//! Hands the bus's events to a plugin that reads, in a thread of its own: a plugin that takes them slowly must not keep
//! commands, credit and heartbeats waiting.

use crate::link::{event::Deliveries, message::Up, outbox::Outbox};
use headwater_abi::{PluginV1Ref, abi_stable::std_types::RSlice};
use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

/// The pauses between two tries to hand over to a plugin whose queue is full.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(16));

/// The thread's door. The frames that wait are bounded by the daemon, which keeps a window of deliveries under way.
pub(super) struct Deliverer {
    frames: Sender<Vec<u8>>,
    /// Dropped with the door, which ends a pause at once.
    _alive: Sender<()>,
}

impl Deliverer {
    pub(super) fn start(plugin: PluginV1Ref, instance: u64, outbox: Arc<Outbox>) -> std::io::Result<Self> {
        let (frames, waiting) = mpsc::channel::<Vec<u8>>();
        let (alive, ended) = mpsc::channel();
        let run = move || {
            while let Ok(frame) = waiting.recv() {
                if !deliver(plugin, instance, &frame, &outbox, &ended) {
                    return;
                }
            }
        };
        thread::Builder::new().name("hw-deliver".into()).spawn(run)?;
        Ok(Self { frames, _alive: alive })
    }

    pub(super) fn deliver(&self, frame: &[u8]) {
        // Without the thread the instance is ending; the events stay in the log.
        let _ = self.frames.send(frame.to_owned());
    }
}

/// `false`: the instance is ending.
fn deliver(plugin: PluginV1Ref, instance: u64, frame: &[u8], outbox: &Outbox, ended: &Receiver<()>) -> bool {
    let Ok(deliveries) = Deliveries::read(frame) else {
        outbox.log(1, "headwater", "a batch of deliveries could not be read");
        return true;
    };
    let refs = deliveries.refs();
    let mut rest = refs.as_slice();
    let mut pause = PAUSE.0;
    while !rest.is_empty() {
        let taken = ((plugin.deliver())(instance, RSlice::from_slice(rest)) as usize).min(rest.len());
        rest = &rest[taken..];
        if taken > 0 {
            pause = PAUSE.0;
            outbox.must(|buffer| Up::Delivered(taken as u32).write(buffer));
        }
        if !rest.is_empty() {
            match ended.recv_timeout(pause) {
                Err(RecvTimeoutError::Timeout) => pause = (pause * 2).min(PAUSE.1),
                _ => return false,
            }
        }
    }
    true
}
