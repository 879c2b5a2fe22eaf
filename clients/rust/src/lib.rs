//! The Rust client of a Headwater daemon: HTTP calls and the event stream.
//!
//! [`Client`] knows where the daemon is and makes the calls; [`Stream`] is one WebSocket connection; [`Follow`] is a
//! subscription that outlives connections. The command line is built on these three. No runtime is started here: all
//! of it runs on the caller's tokio runtime, a current-thread one included, and nothing is spawned.
//!
//! ```no_run
//! # async fn example() -> Result<(), headwater_client::Error> {
//! use headwater_client::{Client, Item, Subscription};
//!
//! let client = Client::new("http://127.0.0.1:8765", None)?;
//! let mut stream = client.stream().await?;
//! stream.subscribe(&Subscription::to(["tmux", "workflow:*"])).await?;
//! while let Item::Event(event) = stream.next().await {
//!     println!("{}", event.line());
//! }
//! # Ok(())
//! # }
//! ```

mod answers;
mod backoff;
mod calls;
mod client;
mod close;
mod connect;
mod endpoint;
mod error;
mod event;
mod exchange;
mod follow;
mod history;
mod item;
mod message;
mod places;
mod socket;
mod stream;
mod subscription;

pub use answers::{ChannelSummary, Exec, FailedSource, FailedWebhook, Published, PublishedAt, Reloaded, SourceSummary};
pub use backoff::Backoff;
pub use client::Client;
pub use close::Closed;
pub use endpoint::Endpoint;
pub use error::{Error, Problem};
pub use event::{Event, Fields};
pub use exchange::{Exchange, Reached};
pub use follow::{Follow, Followed};
pub use history::{History, HistoryPage, HistoryQuery};
pub use item::{Answer, FailedChannel, Gap, Item, Lag, Notice, Step};
pub use places::Places;
pub use stream::{Stream, Subscribed};
pub use subscription::{Start, Subscription};
