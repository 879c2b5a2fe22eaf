//! How a server is, from what is known of its calls. Pure: samples and times go in, changes come out; who asks the servers
//! and who tells the bus stand elsewhere.

mod machine;
mod score;
mod status;
#[cfg(test)]
mod tests;
mod track;
mod window;

pub use machine::Machine;
pub use score::score;
pub use status::{Cause, Change, Kind, Outcome, Sample, Status};
pub use track::Track;
pub use window::{Summary, Window};
