//! Events sent to other people's HTTP endpoints: signed as [Standard Webhooks](https://www.standardwebhooks.com) says,
//! repeated until they are taken, and read from the bus like any other reader, so that an endpoint may be away for as long
//! as the history holds.
//!
//! The assembly starts [`Webhooks`] and applies each config to them. They know no config file and no router.

mod backoff;
mod bookmark;
mod delivery;
mod endpoint;
mod letter;
mod post;
mod secret;
mod spec;
mod status;
mod webhooks;

pub use backoff::Backoff;
pub use endpoint::{Endpoint, EndpointError};
pub use secret::{SecretError, SecretSource, Secrets};
pub use spec::WebhookSpec;
pub use status::{Counts, WebhookState, WebhookStatus};
pub use webhooks::{Applied, Publish, Statuses, Webhooks};
