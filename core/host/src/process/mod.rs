//! Child processes of the daemon: started, watched, their output kept, ended in words.

mod ending;
mod output;
mod running;
mod spawner;

pub(crate) use output::Output;
pub(crate) use running::Process;
pub(crate) use spawner::Spawner;
