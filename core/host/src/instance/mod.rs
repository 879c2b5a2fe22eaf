//! The instance's end of the link: one plugin instance and the loop that hosts it, in a child process or in a thread
//! of the daemon. Nothing here knows tokio or the bus; all that a plugin says goes into the link's outbox.

pub(crate) mod child;
mod deliverer;
mod host_table;
pub(crate) mod inlet;
pub(crate) mod serve;
