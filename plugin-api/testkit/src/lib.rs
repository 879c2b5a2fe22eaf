//! Run a source in a test, with no daemon.
//!
//! The source runs as it would in the daemon: through the very table of functions that its plugin exports, on its own
//! thread and runtime. The test plays the host: it reads the events, asks commands, delivers events of the bus, fills the
//! queue, and asks the source to stop. Whatever it waits for must come within [`PATIENCE`]; otherwise the test fails and
//! says what the source did instead.
//!
//! ```
//! use headwater_testkit::prelude::*;
//! # use headwater_plugin::prelude::*;
//! # #[config] struct Config { #[default = "5s"] every: Period }
//! # struct Ticks;
//! # impl Source for Ticks {
//! #     type Config = Config;
//! #     async fn run(config: Config, mut ctx: Context) -> Result<()> {
//! #         while let Some(turn) = ctx.every(config.every).await {
//! #             ctx.emit("headwater-testkit", "tick", &json!({ "n": 1 })).await?;
//! #             turn.complete(1);
//! #         }
//! #         Ok(())
//! #     }
//! # }
//! # export_source!(Ticks);
//! # fn main() {
//! #     tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(it_ticks());
//! # }
//! # async fn it_ticks() {
//! let mut run = Testkit::start::<Ticks>(json!({ "every": "1s" }));
//! let event = run.next_event().await;
//! assert_eq!((event.kind.as_str(), &event.data["n"]), ("tick", &json!(1)));
//! assert_eq!(run.command("count", json!({})).await.completed(), json!(1));
//! assert_eq!(run.stop().await, Outcome::Stopped);
//! # }
//! ```

mod answers;
mod desk;
mod event;
mod host;
mod run;
mod waiting;

pub use answers::Answers;
pub use desk::{LogRecord, Outcome};
pub use event::{BusEvent, TestEvent};
pub use run::{Run, Testkit};
pub use waiting::PATIENCE;

/// What a test needs: the testkit, `json!`, `Value`, and `tokio` for `#[tokio::test]`.
pub mod prelude {
    pub use crate::{Answers, BusEvent, LogRecord, Outcome, Run, TestEvent, Testkit};
    pub use headwater_plugin::{
        Evidence, Severity,
        serde_json::{self, Value, json},
        tokio,
    };
}
