//! A source: one configured plugin or program, its task, and all that the task does.

pub(crate) mod gate;
