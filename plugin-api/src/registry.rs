//! The instances that live in this library: numbers to the host, never pointers.

use crate::{
    instance::Instance,
    link::{Link, lock},
    log::Level,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

static INSTANCES: Mutex<BTreeMap<u64, Arc<Instance>>> = Mutex::new(BTreeMap::new());

/// Takes an instance in; returns its number, which is never given again.
pub(crate) fn insert(instance: Instance) -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Relaxed);
    lock(&INSTANCES).insert(number, Arc::new(instance));
    number
}

pub(crate) fn get(number: u64) -> Option<Arc<Instance>> {
    lock(&INSTANCES).get(&number).cloned()
}

pub(crate) fn remove(number: u64) {
    lock(&INSTANCES).remove(&number);
}

/// The only instance, where there is one. Called from the panic hook, so it does not wait for the lock.
pub(crate) fn sole() -> Option<Arc<Link>> {
    let instances = INSTANCES.try_lock().ok()?;
    let mut all = instances.values();
    let only = all.next()?;
    all.next().is_none().then(|| Arc::clone(only.link()))
}

/// The level of the most talkative instance.
pub(crate) fn widest_level() -> Level {
    lock(&INSTANCES).values().map(|instance| instance.link().level()).max().unwrap_or(Level::Off)
}
