//! The daemon's log, on standard error: lines for people, or JSON.

use crate::{args::LogFormat, exit};
use std::sync::OnceLock;
use tracing::{Level, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Registry, filter::Targets, layer::SubscriberExt, registry::LookupSpan, reload, util::SubscriberInitExt,
};

static LEVEL: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Starts the log. Called once.
pub(crate) fn start(format: LogFormat, level: &str) {
    let (filter, handle) = reload::Layer::new(filter(level));
    if LEVEL.set(handle).is_err() {
        return;
    }
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Human => registry.with(human()).init(),
        LogFormat::Json => {
            let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(std::io::stderr);
            registry.with(lines).init();
        }
    }
}

fn human<S: Subscriber + for<'a> LookupSpan<'a>>() -> impl tracing_subscriber::Layer<S> {
    tracing_subscriber::fmt::layer()
        .compact()
        .with_target(false)
        .with_ansi(exit::coloured())
        .with_writer(std::io::stderr)
}

/// Sets another level while everything runs.
pub(crate) fn set_level(level: &str) {
    if let Some(handle) = LEVEL.get()
        && let Err(error) = handle.reload(filter(level))
    {
        tracing::warn!(%error, "cannot change the log's level");
    }
}

fn filter(level: &str) -> Targets {
    let level = level.parse::<Level>().map_or(LevelFilter::INFO, LevelFilter::from_level);
    // It tells of each request three times over, with what the client says of itself.
    let requests = if level > LevelFilter::INFO { level } else { level.min(LevelFilter::WARN) };
    Targets::new().with_default(level).with_target("rmcp", requests)
}
