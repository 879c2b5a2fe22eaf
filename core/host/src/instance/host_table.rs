//! `HostV1`, as plugins see it: the functions that they call, from any thread of theirs.
//!
//! A plugin holds a number, not a pointer. A call with a number that is gone (an instance that was given up but whose
//! thread lives on) is dropped, and looks to the plugin like success.

use crate::link::{message::Up, outbox::Outbox};
use headwater_abi::{
    EventRef, HostV1, HostV1Ref,
    abi_stable::{
        prefix_type::PrefixTypeTrait,
        std_types::{RSlice, RStr},
    },
};
use std::{
    borrow::Cow,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

/// A log record longer than this is cut. Nobody reads more, and the outbox holds only so much.
const MAX_RECORD: usize = 8 << 10;

/// By number less one. Numbers are not used again, so a late call cannot reach another instance; a place costs 8 bytes.
static CONTEXTS: RwLock<Vec<Option<Arc<Outbox>>>> = RwLock::new(Vec::new());

/// A number that a plugin may call the host with, while this lives.
pub(super) struct Context {
    pub(super) number: u64,
}

impl Context {
    pub(super) fn new(outbox: Arc<Outbox>) -> Self {
        let mut contexts = CONTEXTS.write().unwrap_or_else(PoisonError::into_inner);
        contexts.push(Some(outbox));
        Self { number: contexts.len() as u64 }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let mut contexts = CONTEXTS.write().unwrap_or_else(PoisonError::into_inner);
        contexts[self.number as usize - 1] = None;
    }
}

/// The table that is handed to `create`.
pub(super) fn table() -> HostV1Ref {
    static TABLE: OnceLock<HostV1Ref> = OnceLock::new();
    *TABLE.get_or_init(|| HostV1 { publish, subscribe, log, reply, state, query }.leak_into_prefix())
}

/// Runs `act` with the outbox of a context; `default` when it is gone. A panic may not cross into the plugin.
fn with<T: Copy>(context: u64, default: T, act: impl FnOnce(&Outbox) -> T) -> T {
    let outbox = {
        let contexts = CONTEXTS.read().unwrap_or_else(PoisonError::into_inner);
        context.checked_sub(1).and_then(|index| contexts.get(index as usize)?.clone())
    };
    let Some(outbox) = outbox else { return default };
    catch_unwind(AssertUnwindSafe(|| act(&outbox))).unwrap_or(default)
}

extern "C" fn publish(context: u64, events: RSlice<'_, EventRef<'_>>) -> u32 {
    with(context, events.len() as u32, |outbox| outbox.publish(events.as_slice()))
}

extern "C" fn subscribe(context: u64, request: RSlice<'_, u8>) -> u32 {
    with(context, 0, |outbox| u32::from(outbox.push(|buffer| Up::Subscribe(request.as_slice()).write(buffer)).is_err()))
}

extern "C" fn log(context: u64, level: u8, target: RStr<'_>, message: RStr<'_>) {
    with(context, (), |outbox| outbox.log(level, &cut(target.as_str(), 256), &cut(message.as_str(), MAX_RECORD)));
}

extern "C" fn reply(context: u64, request: u64, answer: RSlice<'_, u8>) {
    with(context, (), |outbox| answer_with(outbox, request, answer.as_slice()));
}

extern "C" fn state(context: u64, state: u32, detail: RStr<'_>) {
    with(context, (), |outbox| {
        outbox.must(|buffer| Up::State { state, detail: cut(detail.as_str(), MAX_RECORD) }.write(buffer));
    });
}

extern "C" fn query(_name: RStr<'_>) -> *const () {
    ptr::null()
}

/// Sends an answer; one that has no room becomes an error, so that the asker does not wait for nothing.
fn answer_with(outbox: &Outbox, request: u64, json: &[u8]) {
    const LARGEST: usize = 4 << 20;
    let fits = json.len() <= LARGEST && outbox.push(|buffer| Up::Reply { request, json }.write(buffer)).is_ok();
    if !fits {
        let message = format!("the source's answer of {} bytes could not be passed on", json.len());
        error(outbox, request, "INTERNAL_ERROR", &message);
    }
}

/// Answers a request with an error of the host's own.
pub(super) fn error(outbox: &Outbox, request: u64, code: &str, message: &str) {
    let json = serde_json::json!({ "status": "error", "error_code": code, "message": message }).to_string();
    outbox.must(|buffer| Up::Reply { request, json: json.as_bytes() }.write(buffer));
}

fn cut(text: &str, length: usize) -> Cow<'_, str> {
    if text.len() <= length {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}…", &text[..text.floor_char_boundary(length)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{assembler::Assembler, event::tests::event};

    #[test]
    fn a_call_with_a_number_that_is_gone_is_dropped() {
        let outbox = Arc::new(Outbox::default());
        outbox.grant(10);
        let events = [event("tmux", b"{}", &[])];
        let context = Context::new(outbox.clone());
        let number = context.number;
        let publish_one = || (table().publish())(number, RSlice::from_slice(&events));
        assert_eq!(publish_one(), 1);
        let mut chunk = Vec::new();
        assert!(outbox.take_blocking(&mut chunk));
        drop(context);
        assert_eq!(publish_one(), 1, "it must not spin");
        outbox.close();
        assert!(!outbox.take_blocking(&mut chunk), "and nothing came");
    }

    #[test]
    fn an_answer_that_is_too_large_becomes_an_error() {
        let outbox = Arc::new(Outbox::default());
        let context = Context::new(outbox.clone());
        let answer = vec![b' '; 5 << 20];
        (table().reply())(context.number, 7, RSlice::from_slice(&answer));
        let mut chunk = Vec::new();
        outbox.take_blocking(&mut chunk);
        let mut assembler = Assembler::default();
        assembler.swap(&mut chunk);
        let Some(Ok(Up::Reply { request: 7, json })) = assembler.next().unwrap().map(Up::read) else {
            panic!("an answer comes")
        };
        let json = String::from_utf8_lossy(json);
        assert!(json.contains("INTERNAL_ERROR") && json.contains("5242880 bytes"), "{json}");
    }

    #[test]
    fn long_records_are_cut_at_a_character() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("aä", 2), "a…");
    }
}
