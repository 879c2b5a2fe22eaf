//! Reading the bus by pulling: logs, the store below them, gaps, and waiting for more.
//!
//! A [`Follower`] is a set of cursors and gives its events when it is asked; one that nobody asks costs no more than that.
//! HTTP streams, webhooks and sources that read the bus are built on it. It knows no dialect and no socket, and does not
//! publish.

mod bell;
mod cursor;
mod errand;
mod follow;
mod follower;
mod hub;

pub use follow::{Follow, FollowError, Item, Lag, Page, Until};
pub use follower::Follower;
/// Where a channel begins.
pub use headwater_router::From;
pub use hub::Followers;
