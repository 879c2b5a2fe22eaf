//! Panics of the author's code: kept on this side of the boundary, and told with their message and place.

use crate::{current, link::Link, log::Level, registry};
use std::{
    any::Any,
    backtrace::{Backtrace, BacktraceStatus},
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind},
    sync::{Arc, Once},
};

thread_local! {
    /// What the last panic on this thread said, and where.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
    /// Whether this thread is inside [`guard`], on a call of the host.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Hears every panic of this library from now on.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let text = describe(info);
            let told = current::with(Arc::clone).inspect(|link| {
                tell(link, &text);
                // Also from a task that nobody waits for: half a source is worse than one that starts again.
                link.record_fault(&text);
            });
            if told.is_none() && !GUARDED.get() {
                // A thread of the author's own, or in a test a thread that is not ours at all.
                if let Some(link) = registry::sole() {
                    tell(&link, &text);
                }
                previous(info);
            }
            LAST.set(Some(text));
        }));
    });
}

fn tell(link: &Link, text: &str) {
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        link.log(Level::Error, "panic", &format!("{text}\n{backtrace}"));
    } else {
        link.log(Level::Error, "panic", text);
    }
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let message = message(info.payload());
    info.location().map_or_else(|| message.clone(), |place| format!("{message}, at {place}"))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a text".into())
}

/// Runs `f`; a panic in it becomes its text, with the place.
pub(crate) fn caught<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    LAST.take();
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
        let text = LAST.take().unwrap_or_else(|| message(&*payload));
        // A payload whose drop panics would tear down the process from here: it is never dropped.
        std::mem::forget(payload);
        text
    })
}

/// Runs a call of the host: no panic leaves it.
pub(crate) fn guard<T>(f: impl FnOnce() -> T, on_panic: impl FnOnce(String) -> T) -> T {
    let outer = GUARDED.replace(true);
    let result = caught(f);
    GUARDED.set(outer);
    result.unwrap_or_else(on_panic)
}
