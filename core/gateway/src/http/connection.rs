//! One connection, from accept to its end or to the hand-over to the shards. `gateway.rs` runs one per socket, each a
//! task of its tracker.

use super::{
    app::{App, Peer},
    problem::Problem,
    socket::Socket,
};
use crate::websocket::Adopted;
use axum::{
    extract::Request,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use headwater_protocol::{CloseCode, Dialect, ErrorCode, websocket};
use hyper::{body::Incoming, server::conn::http1, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustix::net::sockopt::set_socket_send_buffer_size;
use std::{
    convert::Infallible,
    future::poll_fn,
    io::{self, Write},
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// The largest request head, and the read buffer. A client could otherwise make the gateway hold 400 KB per connection.
const MAX_HEAD: usize = 16 * 1024;

/// The kernel's send buffer of a connection. By itself it grows to 2.7 MB for a client that does not read.
const SEND_BUFFER: usize = 256 * 1024;

/// Whether there is room for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is served.
    Free,
    /// It is told 503, once.
    Full,
}

type Answer = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// Serves one connection. `closing` lets the request at hand end and takes no more.
pub(crate) async fn serve(
    app: Arc<App>,
    routes: axum::Router,
    (stream, address): (TcpStream, SocketAddr),
    admission: Admission,
    closing: CancellationToken,
) {
    app.requests.fetch_add(1, Ordering::Relaxed);
    let _leaving = Leaving(&app);
    let peer = Peer::new(address);
    if let Err(error) = bound(&stream) {
        tracing::debug!(%address, %error, "the connection broke before it asked for anything");
        return;
    }
    let io = TokioIo::new(Socket::new(stream, app.options.stall_timeout));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // From accept to the first head, and between requests too: so it also ends idle connections.
        .header_read_timeout(app.options.handshake_timeout)
        .max_header_size(MAX_HEAD)
        .max_buf_size(MAX_HEAD)
        .keep_alive(admission == Admission::Free)
        .serve_connection(io, answers(routes, peer.clone(), admission));
    let mut asked_to_end = false;
    let ended = loop {
        tokio::select! {
            ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => break ended,
            () = closing.cancelled(), if !asked_to_end => {
                Pin::new(&mut connection).graceful_shutdown();
                asked_to_end = true;
            }
        }
    };
    let timed_out = match ended {
        Ok(()) => false,
        Err(error) => {
            tracing::debug!(%address, %error, "connection ended");
            error.is_timeout()
        }
    };
    let parts = connection.into_parts();
    let socket = parts.io.into_inner();
    match peer.upgraded() {
        // Copied: the buffer itself is 8 KiB, and would be kept for the connection's life.
        Some(dialect) => hand_over(&app, socket.into_inner(), parts.read_buf.to_vec(), dialect, address),
        // Who was too slow to ask is not waited for again.
        None if timed_out => {}
        None => socket.finish().await,
    }
}

/// Counts the connection while it is served.
struct Leaving<'a>(&'a App);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

fn answers(
    routes: axum::Router,
    peer: Peer,
    admission: Admission,
) -> impl Service<hyper::Request<Incoming>, Response = Response, Error = Infallible, Future = Answer> {
    let routes = TowerToHyperService::new(routes);
    hyper::service::service_fn(move |request: hyper::Request<Incoming>| -> Answer {
        if admission == Admission::Full {
            return Box::pin(async { Ok(full()) });
        }
        let mut request: Request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(peer.clone());
        Box::pin(routes.call(request))
    })
}

fn full() -> Response {
    Problem::new(ErrorCode::Unavailable, "there are as many connections as gateway.max_connections allows; come later")
        .header(header::RETRY_AFTER, HeaderValue::from_static("5"))
        .into_response()
}

/// Gives the stream, and what was read from it beyond the handshake, to the shards.
fn hand_over(app: &App, stream: TcpStream, carry: Vec<u8>, dialect: &'static dyn Dialect, peer: SocketAddr) {
    let stream = match stream.into_std() {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%peer, %error, "the connection broke during its handshake");
            return;
        }
    };
    if let Err(refused) = app.adopt(Adopted { stream, carry, dialect, peer }) {
        app.metrics.refused("shards_full");
        let mut frame = Vec::new();
        websocket::close_frame(&mut frame, CloseCode::Overload, "no room for more connections; come later");
        // The send buffer is empty, so that it takes these few bytes or the client is gone.
        let _ = (&refused.stream).write(&frame);
    }
}

/// Gives a socket a send buffer that does not grow.
fn bound(stream: &TcpStream) -> io::Result<()> {
    Ok(set_socket_send_buffer_size(stream, SEND_BUFFER)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::sockopt::socket_send_buffer_size;

    /// Harm prevented: a client that does not read costs 2.7 MB of the kernel's memory.
    #[tokio::test]
    async fn a_connection_has_a_send_buffer_that_does_not_grow() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let before = socket_send_buffer_size(&stream).unwrap();
        bound(&stream).unwrap();
        // The kernel doubles what it is told, and may be set to allow less.
        let after = socket_send_buffer_size(&stream).unwrap();
        assert!(after != before && after <= 2 * SEND_BUFFER, "{before} became {after}");
    }
}
