//! All that most sources need, by one `use headwater_plugin::prelude::*`.

pub use crate::{
    BusEvent, Command, Context, Delivery, Emitter, Error, Evidence, Failure, Gap, Period, Position, Progress, Result,
    Severity, Source, Subscription, Turn, config, export_source, payload,
    serde_json::{self, Value, json},
    tokio,
    tracing::{debug, error, info, trace, warn},
};
