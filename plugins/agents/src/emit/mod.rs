//! From what has happened in the registry to events in the documented shapes, and to the answers of `get_status`. What is
//! not known is left out, also where the shape's authors always had it.

mod events;
mod fields;
mod snapshot;
mod status;

pub(crate) use events::{Event, Keep, events, hive};
pub(crate) use fields::Fields;
pub(crate) use snapshot::{AgentState, TaskState};
pub(crate) use status::{agent_answer, status, task_answer};
