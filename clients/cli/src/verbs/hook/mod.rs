//! `headwater hook`: what agents run at each step (`run`), and bringing that into their settings (`install`,
//! `uninstall`, `status`).
//!
//! `run` uses `caller`, `post`, `spool` and `stream` and nothing else of this crate; the others use the rest.

mod caller;
mod diff;
mod entries;
mod file;
pub(crate) mod install;
mod notify;
mod places;
mod post;
mod program;
pub(crate) mod run;
mod settings;
mod spans;
mod spool;
pub(crate) mod status;
mod stream;

pub(crate) use caller::started;
