//! The listening socket: bound with a long queue, accepting without ever spinning. `gateway.rs` asks it for connections;
//! what is done with them it does not know.

use std::{io, net::SocketAddr, time::Duration};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Connections that the kernel may hold before they are accepted. tokio's own 128 overflows when some hundred clients
/// come back at once, and each then waits a second for its SYN to be sent again.
const BACKLOG: u32 = 4096;

/// How long accepting rests when the process has no file descriptor or memory left. The failed accept leaves its
/// connection in the queue, so that trying at once would spin; clients that leave make room in this time.
pub(crate) const REST: Duration = Duration::from_millis(100);

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Something listens there already.
    #[error(
        "{0} is in use by another program; end that one (`ss -ltnp sport = :{port}` names it) or choose another address \
         with --listen ADDR:PORT or gateway.listen", port = .0.port()
    )]
    InUse(SocketAddr),
    /// A port below 1024, most likely.
    #[error(
        "{0} needs rights that this process does not have; choose a port from 1024 on with --listen or gateway.listen"
    )]
    NotPermitted(SocketAddr),
    /// This machine has no such address.
    #[error(
        "{0} is no address of this machine; choose one that is, such as 127.0.0.1, with --listen or gateway.listen"
    )]
    NotHere(SocketAddr),
    /// The gate that belongs to an open address is not there.
    #[error("{0}; choose 127.0.0.1 with --listen or gateway.listen")]
    Open(String),
    /// Anything else.
    #[error("cannot listen on {address}: {error}")]
    Other {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        #[source]
        error: io::Error,
    },
}

/// A bound socket, from which connections can be had.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds an address; port 0 lets the system pick. To be called on a tokio runtime.
    pub fn bind(address: SocketAddr) -> Result<Self, ListenError> {
        // The config is checked too; here stands the last gate before the network.
        if let Some(refusal) = headwater_config::listen_refusal(address) {
            return Err(ListenError::Open(refusal));
        }
        let bound = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            // A daemon that restarts would otherwise wait a minute for its own old connections to be forgotten.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            let socket = socket.listen(BACKLOG)?;
            let address = socket.local_addr()?;
            Ok(Self { socket, address })
        };
        bound().map_err(|error: io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => ListenError::InUse(address),
            io::ErrorKind::PermissionDenied => ListenError::NotPermitted(address),
            io::ErrorKind::AddrNotAvailable => ListenError::NotHere(address),
            _ => ListenError::Other { address, error },
        })
    }

    /// Where it listens, with the port that the system picked.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection, with `TCP_NODELAY`. Rests when the process can hold no more, and goes on by itself: an error
    /// here is never a reason to end.
    pub(crate) async fn accept(&self) -> (TcpStream, SocketAddr) {
        let mut resting = false;
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    if resting {
                        tracing::info!("accepting connections again");
                    }
                    // Only fails on a connection that is gone already; its reader will see that.
                    let _ = stream.set_nodelay(true);
                    return (stream, peer);
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    if !resting {
                        tracing::warn!(%error, "cannot accept connections for now; raise the limit of open files");
                    }
                    resting = true;
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }
}

/// Whether only the connection that was to be accepted is broken.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_named_with_what_to_do() {
        let first = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = Listener::bind(first.address()).unwrap_err().to_string();
        let port = first.address().port();
        assert!(error.contains(&format!("127.0.0.1:{port} is in use")) && error.contains("--listen"), "{error}");
        assert!(error.contains(&format!("sport = :{port}")), "{error}");
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_refused_before_it_is_bound() {
        for open in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
            let error = Listener::bind(open.parse().unwrap()).unwrap_err();
            assert!(matches!(error, ListenError::Open(_)), "{error}");
        }
    }

    #[tokio::test]
    async fn accepted_connections_do_not_wait_for_more_bytes() {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let client = TcpStream::connect(listener.address()).await.unwrap();
        let (stream, peer) = listener.accept().await;
        assert!(stream.nodelay().unwrap());
        assert_eq!(peer, client.local_addr().unwrap());
    }
}
