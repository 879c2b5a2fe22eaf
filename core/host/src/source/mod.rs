//! A source: one configured plugin or program, its task, and all that the task does.

pub(crate) mod backoff;
pub(crate) mod command;
mod file;
pub(crate) mod gate;
mod generation;
mod line;
mod plugin_run;
mod program_run;
pub(crate) mod pump;
pub(crate) mod reading;
mod said;
pub(crate) mod shared;
mod switch;
pub(crate) mod task;
pub(crate) mod watch;
