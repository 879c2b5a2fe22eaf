//! What an author implements.

use crate::{Context, schema::ConfigType};

/// Any error. `?` makes one of whatever has `std::error::Error`, and of a string: `Err("no such mount".into())`.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The result of what a source does.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// A source of events.
///
/// Each configured source is one call of [`run`](Source::run), on a thread and a current-thread tokio runtime of its
/// own. It returns when [`Context::command`] or [`Context::every`] gives `None`: the host asks it to stop. When it
/// returns an error or panics, in `run` or in a task that it spawned, the source has failed: the host starts it again.
#[diagnostic::on_unimplemented(message = "`{Self}` is no source", note = "write `impl Source for {Self}`")]
pub trait Source: 'static {
    /// The settings: a `#[config]` type.
    type Config: ConfigType + Send + 'static;

    /// Runs until it is asked to stop.
    fn run(config: Self::Config, ctx: Context) -> impl Future<Output = Result<()>>;
}
