//! Who calls a tool, and what it may do.

use super::fault::Fault;
use crate::{Permission, http::App};
use headwater_protocol::ErrorCode;
use std::{fmt, net::IpAddr, sync::Arc};

/// The other side of a request, in its extensions.
#[derive(Clone)]
pub(crate) enum Caller {
    /// A client of this daemon.
    Client(Client),
    /// Somebody who asks where no daemon is.
    Absent(Arc<str>),
}

/// A client of this daemon.
#[derive(Clone)]
pub(crate) struct Client {
    pub(super) app: Arc<App>,
    /// Whose events are counted together.
    pub(super) address: IpAddr,
}

impl Caller {
    /// A client at this address.
    pub(crate) fn new(app: Arc<App>, address: IpAddr) -> Self {
        Self::Client(Client { app, address })
    }

    /// Nobody's client, and why.
    pub(super) fn absent(why: &str) -> Self {
        Self::Absent(why.into())
    }

    /// The client, if it may do this.
    pub(super) fn allowed(self, permission: Permission) -> Result<Client, Fault> {
        match self {
            Self::Client(client) if may(&client, permission) => Ok(client),
            Self::Client(_) => Err(Fault::new(ErrorCode::AuthenticationFailed, "this client may not do that")),
            Self::Absent(why) => {
                Err(Fault::new(ErrorCode::Unavailable, &*why).then("ask the person to start it: headwater up"))
            }
        }
    }
}

/// Whoever gets past the guard may do everything, here as over HTTP and WebSocket. This is the place where tokens will be
/// asked.
fn may(_client: &Client, _permission: Permission) -> bool {
    true
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(Client { address, .. }) => f.debug_tuple("Client").field(address).finish(),
            Self::Absent(why) => f.debug_tuple("Absent").field(why).finish(),
        }
    }
}
