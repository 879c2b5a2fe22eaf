//! What the bus is told: where it happened, what changed, and how everything stands.

pub(crate) mod changes;
pub(crate) mod past;
pub(crate) mod place;
pub(crate) mod snapshots;
pub(crate) mod told;
