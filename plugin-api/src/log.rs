//! Forwarding the author's log records to the host. A level that the host does not want is never formatted.
//!
//! Spans are not forwarded: a record carries its own fields, the host adds the source's name.

use crate::{current, link::Link, registry};
use std::fmt::{self, Write as _};
use tracing_core::{
    Event, Interest, LevelFilter, Metadata, Subscriber,
    dispatcher::{self, Dispatch},
    field::{Field, Visit},
    span,
};

/// A longer message is cut: a record is a line for people, and the host's queue has bounds.
const LONGEST: usize = 16 * 1024;

/// How much a record matters, or how much is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Level {
    /// Until the host says otherwise.
    pub(crate) const DEFAULT: Self = Self::Info;

    pub(crate) const fn number(self) -> u8 {
        self as u8
    }

    pub(crate) const fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Off,
            1 => Self::Error,
            2 => Self::Warn,
            3 => Self::Info,
            4 => Self::Debug,
            _ => Self::Trace,
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "off" => Self::Off,
            "error" => Self::Error,
            "warn" | "warning" => Self::Warn,
            "info" => Self::Info,
            "debug" => Self::Debug,
            "trace" => Self::Trace,
            _ => return None,
        })
    }

    fn of(level: tracing_core::Level) -> Self {
        match level {
            tracing_core::Level::ERROR => Self::Error,
            tracing_core::Level::WARN => Self::Warn,
            tracing_core::Level::INFO => Self::Info,
            tracing_core::Level::DEBUG => Self::Debug,
            tracing_core::Level::TRACE => Self::Trace,
        }
    }

    fn filter(self) -> LevelFilter {
        match self {
            Self::Off => LevelFilter::OFF,
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

/// Makes the forwarder this library's subscriber. In a plugin it is the only one; in a test another may be there first,
/// and then it gets the records.
pub(crate) fn install() {
    let _ = dispatcher::set_global_default(Dispatch::new(Forwarder));
}

/// Lets every log statement ask again whether it is wanted; called after a level or the set of instances changed.
pub(crate) fn levels_changed() {
    tracing_core::callsite::rebuild_interest_cache();
}

struct Forwarder;

/// Calls `f` with the instance that this thread works for. A thread of the author's own works for the only instance,
/// where there is only one.
fn with_link<T>(f: impl Fn(&Link) -> T) -> Option<T> {
    current::with(|link| f(link)).or_else(|| registry::sole().map(|link| f(&link)))
}

impl Subscriber for Forwarder {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // Instances in one process may want different levels.
        Interest::sometimes()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(registry::widest_level().filter())
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let level = Level::of(*metadata.level());
        metadata.is_event() && with_link(|link| level <= link.level()).unwrap_or(false)
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let metadata = event.metadata();
        let message = text.finish();
        with_link(|link| link.log(Level::of(*metadata.level()), metadata.target(), &message));
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// `message name=value name=value`
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn finish(mut self) -> String {
        self.message.push_str(&self.fields);
        if self.message.len() > LONGEST {
            self.message.truncate(self.message.floor_char_boundary(LONGEST));
            self.message.push('…');
        }
        self.message
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
