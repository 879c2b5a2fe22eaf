//! A request whose answer is read as it comes, for answers that take long or never end. In two steps, so that the caller
//! knows whether a request that failed may have been carried out: what cannot be reached has been asked nothing.

use crate::{Client, Error, client::AGENT, connect};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request,
    body::Incoming,
    client::conn::http1::{Connection, SendRequest},
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use std::{future::poll_fn, pin::Pin};
use tokio::net::TcpStream;

type Wire = Pin<Box<Connection<TokioIo<TcpStream>, Full<Bytes>>>>;

/// A connection to a daemon that has been asked nothing yet.
pub struct Reached {
    client: Client,
    sender: SendRequest<Full<Bytes>>,
    wire: Wire,
}

/// An answer whose body is on its way. Dropping it ends the connection, which the daemon notices.
pub struct Exchange {
    /// The HTTP status.
    pub status: u16,
    /// The media type, in lower case and without parameters; empty where there is none.
    pub content_type: String,
    body: Incoming,
    wire: Wire,
    /// Nothing more comes by the wire; the body may hold some yet.
    closed: bool,
}

impl Client {
    /// Connects. An error means that nothing was sent.
    pub async fn reach(&self) -> Result<Reached, Error> {
        let stream = connect::connect(self.endpoint()).await?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|error| self.broken(&error))?;
        Ok(Reached { client: self.clone(), sender, wire: Box::pin(connection) })
    }
}

impl Reached {
    /// Posts a body, with further headers, and waits for the head of the answer. An error leaves open whether the request
    /// was carried out.
    pub async fn post(
        mut self,
        route: &str,
        headers: &[(&'static str, String)],
        body: Bytes,
    ) -> Result<Exchange, Error> {
        let endpoint = self.client.endpoint();
        let mut request = Request::post(endpoint.path(route))
            .header(HOST, endpoint.authority())
            .header(USER_AGENT, AGENT)
            .header(CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(authorization) = self.client.authorization() {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(body)).map_err(|error| Error::Protocol(error.to_string()))?;
        let mut closed = false;
        let answer = {
            let mut answer = std::pin::pin!(self.sender.send_request(request));
            poll_fn(|context| {
                closed = closed || self.wire.as_mut().poll(context).is_ready();
                answer.as_mut().poll(context)
            })
            .await
            .map_err(|error| self.client.broken(&error))?
        };
        let content_type = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let content_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let status = answer.status().as_u16();
        Ok(Exchange { status, content_type, body: answer.into_body(), wire: self.wire, closed })
    }
}

impl Exchange {
    /// The next bytes of the body; `None` at its end. An error means that it broke off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let frame = {
                let mut frame = std::pin::pin!(self.body.frame());
                let (wire, closed) = (&mut self.wire, &mut self.closed);
                poll_fn(|context| {
                    *closed = *closed || wire.as_mut().poll(context).is_ready();
                    frame.as_mut().poll(context)
                })
                .await
            };
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(Error::Protocol(format!("its body broke off: {error}"))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// The whole body, as far as it is no longer than `limit`.
    pub async fn whole(&mut self, limit: usize) -> Result<Vec<u8>, Error> {
        let mut whole = Vec::new();
        while let Some(piece) = self.next().await? {
            whole.extend_from_slice(&piece);
            if whole.len() > limit {
                return Err(Error::Protocol(format!("the answer has more than {limit} bytes")));
            }
        }
        Ok(whole)
    }
}

impl std::fmt::Debug for Reached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reached").field("client", &self.client).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").field("status", &self.status).finish_non_exhaustive()
    }
}
