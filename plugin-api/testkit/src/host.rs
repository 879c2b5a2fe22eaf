//! The host's table of functions, as a plugin calls it. A context is the number of a desk.

use crate::{
    desk::{Desk, LogRecord, Outcome},
    event::TestEvent,
};
use headwater_plugin::__private::abi::{
    EventRef, HostV1, HostV1Ref,
    abi_stable::{
        prefix_type::PrefixTypeTrait,
        std_types::{RSlice, RStr},
    },
    state as states,
};
use std::{
    collections::BTreeMap,
    ptr,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

static DESKS: Mutex<BTreeMap<u64, Arc<Desk>>> = Mutex::new(BTreeMap::new());

/// The table, the same for every source.
pub(crate) fn table() -> HostV1Ref {
    static TABLE: OnceLock<HostV1Ref> = OnceLock::new();
    *TABLE.get_or_init(|| HostV1 { publish, subscribe, log, reply, state, query }.leak_into_prefix())
}

/// Sets a desk up; returns its number.
pub(crate) fn open(desk: Arc<Desk>) -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Relaxed);
    DESKS.lock().unwrap_or_else(PoisonError::into_inner).insert(number, desk);
    number
}

/// Clears it away: later calls are dropped.
pub(crate) fn close(number: u64) {
    DESKS.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
}

fn desk(number: u64) -> Option<Arc<Desk>> {
    DESKS.lock().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
}

extern "C" fn publish(ctx: u64, events: RSlice<'_, EventRef<'_>>) -> u32 {
    let Some(desk) = desk(ctx) else { return events.len() as u32 };
    let mut papers = desk.papers();
    let taken = events.iter().take_while(|event| papers.take_event(TestEvent::copy(event))).count();
    drop(papers);
    desk.bell.ring();
    taken as u32
}

extern "C" fn subscribe(ctx: u64, request: RSlice<'_, u8>) -> u32 {
    let Some(desk) = desk(ctx) else { return 1 };
    match serde_json::from_slice(request.as_slice()) {
        Ok(request) => desk.papers().take_subscription(request),
        Err(error) => desk.papers().faults.push(format!("a subscription that is no JSON: {error}")),
    }
    desk.bell.ring();
    0
}

extern "C" fn log(ctx: u64, level: u8, target: RStr<'_>, message: RStr<'_>) {
    let Some(desk) = desk(ctx) else { return };
    desk.papers().take_log(LogRecord { level, target: target.to_string(), message: message.to_string() });
    desk.bell.ring();
}

extern "C" fn reply(ctx: u64, request: u64, answer: RSlice<'_, u8>) {
    let Some(desk) = desk(ctx) else { return };
    match serde_json::from_slice(answer.as_slice()) {
        Ok(answer) => desk.papers().take_answer(request, answer),
        Err(error) => desk.papers().faults.push(format!("an answer that is no JSON: {error}")),
    }
    desk.bell.ring();
}

extern "C" fn state(ctx: u64, state: u32, detail: RStr<'_>) {
    let Some(desk) = desk(ctx) else { return };
    let mut papers = desk.papers();
    match state {
        states::RUNNING => papers.running = true,
        states::STOPPED => papers.outcome = Some(Outcome::Stopped),
        states::FAILED => papers.outcome = Some(Outcome::Failed(detail.to_string())),
        states::PANICKED => papers.outcome = Some(Outcome::Panicked(detail.to_string())),
        other => papers.faults.push(format!("an unknown state {other}: {detail}")),
    }
    drop(papers);
    desk.bell.ring();
}

extern "C" fn query(_: RStr<'_>) -> *const () {
    ptr::null()
}
