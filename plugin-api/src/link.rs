//! One instance's line to its host: every call of the host's table goes through here.
//!
//! Shared by the instance's context, its emitters, its commands and the functions that the host calls. It decides
//! nothing; it holds what they have in common.

use crate::{Delivery, drops::Drops, log::Level, wire::Answer};
use headwater_abi::{
    EventRef, HostV1Ref,
    abi_stable::std_types::{RSlice, RStr},
};
use serde::Serialize;
use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicU8, atomic::Ordering},
};
use tokio::sync::{Notify, mpsc, watch};

/// A line to the host.
pub(crate) struct Link {
    host: HostV1Ref,
    ctx: u64,
    /// What `try_emit` could not hand over.
    pub(crate) drops: Drops,
    /// Whether the host has asked the instance to stop.
    pub(crate) stop: watch::Sender<bool>,
    /// Where the deliveries of each subscription go.
    pub(crate) subscriptions: Mutex<HashMap<u64, mpsc::Sender<Delivery>>>,
    level: AtomicU8,
    fault: Mutex<Option<String>>,
    faulted: Notify,
}

impl Link {
    pub(crate) fn new(host: HostV1Ref, ctx: u64) -> Self {
        Self {
            host,
            ctx,
            drops: Drops::default(),
            stop: watch::Sender::new(false),
            subscriptions: Mutex::default(),
            level: AtomicU8::new(Level::DEFAULT.number()),
            fault: Mutex::default(),
            faulted: Notify::new(),
        }
    }

    /// Whether the host took the event. `false`: its queue is full.
    pub(crate) fn publish(&self, event: EventRef<'_>) -> bool {
        self.host.publish()(self.ctx, RSlice::from_slice(&[event])) == 1
    }

    /// Passes a subscribe or unsubscribe message on. `false`: the host does not take it.
    pub(crate) fn subscribe(&self, message: &impl Serialize) -> serde_json::Result<bool> {
        let message = serde_json::to_vec(message)?;
        Ok(self.host.subscribe()(self.ctx, RSlice::from_slice(&message)) == 0)
    }

    pub(crate) fn reply(&self, request: u64, answer: &Answer<'_>) {
        let answer = serde_json::to_vec(answer).expect("an answer of texts, numbers and JSON values has a JSON form");
        self.host.reply()(self.ctx, request, RSlice::from_slice(&answer));
    }

    pub(crate) fn log(&self, level: Level, target: &str, message: &str) {
        self.host.log()(self.ctx, level.number(), RStr::from_str(target), RStr::from_str(message));
    }

    pub(crate) fn state(&self, state: u32, detail: &str) {
        self.host.state()(self.ctx, state, RStr::from_str(detail));
    }

    pub(crate) fn level(&self) -> Level {
        Level::from_number(self.level.load(Ordering::Relaxed))
    }

    pub(crate) fn set_level(&self, level: Level) {
        self.level.store(level.number(), Ordering::Relaxed);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Notes a panic on one of the instance's threads; the first one counts.
    pub(crate) fn record_fault(&self, text: &str) {
        lock(&self.fault).get_or_insert_with(|| text.to_owned());
        self.faulted.notify_one();
    }

    /// The first panic, once there was one.
    pub(crate) fn fault(&self) -> Option<String> {
        lock(&self.fault).clone()
    }

    /// Waits until a thread of the instance has panicked.
    pub(crate) async fn faulted(&self) {
        self.faulted.notified().await;
    }

    /// Tells the host what was dropped, when it is time to; `last`: now or never.
    pub(crate) fn announce_drops(&self, last: bool) {
        for (channel, count) in self.drops.take(last) {
            self.reply(0, &Answer::Dropped { channel: &channel, count });
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("ctx", &self.ctx).finish_non_exhaustive()
    }
}

/// The lock, also after a panic of another holder: everything kept under one here is whole between any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
