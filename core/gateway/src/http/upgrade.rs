//! From HTTP to WebSocket: the handshake of RFC 6455, section 4.2, by hand. It only agrees; `connection.rs` then takes
//! the stream out of HTTP and hands it to the shards.

use super::{
    app::Peer,
    problem::{Kind, Problem},
    table::Socket,
};
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use headwater_protocol::{Dialect, ErrorCode};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Answers a request at the path of a socket: 101, or why not.
pub(super) fn answer(socket: &'static Socket, request: &Request) -> Response {
    match agree(socket, request) {
        Ok(agreed) => {
            let Some(peer) = request.extensions().get::<Peer>() else {
                return Problem::new(ErrorCode::Internal, "the connection cannot be upgraded").into_response();
            };
            peer.upgrade_to(agreed.dialect);
            agreed.response
        }
        Err(problem) => problem.into_response(),
    }
}

struct Agreed {
    dialect: &'static dyn Dialect,
    response: Response,
}

fn agree(socket: &'static Socket, request: &Request) -> Result<Agreed, Problem> {
    let headers = request.headers();
    let asks = has_token(headers, &header::UPGRADE, "websocket") && has_token(headers, &header::CONNECTION, "upgrade");
    if request.method() != Method::GET || !asks {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1:8765");
        let detail = format!("connect with a WebSocket client, as in: websocat ws://{host}{}", socket.path);
        return Err(upgrade_required(detail));
    }
    if one(headers, &header::SEC_WEBSOCKET_VERSION) != Some("13") {
        return Err(upgrade_required("the WebSocket version is 13".into()));
    }
    let key = one(headers, &header::SEC_WEBSOCKET_KEY)
        .filter(|key| is_of_16_bytes(key))
        .ok_or_else(|| Problem::new(ErrorCode::Validation, "Sec-WebSocket-Key is 16 bytes in base64, given once"))?;
    // Bytes of a body would be taken for WebSocket frames.
    if headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Problem::new(ErrorCode::Validation, "a WebSocket handshake has no body"));
    }
    let known = offered(headers).find_map(|name| socket.subprotocols.iter().find(|(known, _)| *known == name));
    let (subprotocol, dialect) = known.map_or((None, socket.without), |(name, dialect)| (Some(*name), *dialect));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answer = response.headers_mut();
    answer.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    answer.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    let accept = derive_accept_key(key.as_bytes());
    answer.insert(header::SEC_WEBSOCKET_ACCEPT, HeaderValue::try_from(accept).expect("invariant: base64 is ASCII"));
    if let Some(name) = subprotocol {
        answer.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
    }
    Ok(Agreed { dialect: dialect(), response })
}

fn upgrade_required(detail: String) -> Problem {
    Problem::new(Kind::UPGRADE_REQUIRED, detail)
        .header(header::UPGRADE, HeaderValue::from_static("websocket"))
        .header(header::CONNECTION, HeaderValue::from_static("Upgrade"))
        .header(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
}

/// The parts of a comma-separated header, over all its lines.
fn parts<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(',')).map(str::trim)
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    parts(headers, name).any(|part| part.eq_ignore_ascii_case(token))
}

/// The subprotocols that the client offers, the one that it likes best first.
fn offered(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    parts(headers, &header::SEC_WEBSOCKET_PROTOCOL)
}

/// The value of a header that stands once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value.trim())
}

/// 22 characters of 6 bits, and the padding that 16 bytes always have.
fn is_of_16_bytes(key: &str) -> bool {
    let base64 = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    key.len() == 24 && key.ends_with("==") && key.bytes().take(22).all(base64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOCKET: Socket = Socket {
        path: "/v1/stream",
        permission: super::super::table::Permission::Monitor,
        summary: "",
        subprotocols: &[
            ("headwater.v1", headwater_protocol::dialects::native),
            ("second", headwater_protocol::dialects::native),
        ],
        without: headwater_protocol::dialects::native,
    };
    static TABLE: Socket = SOCKET;

    fn ask(change: impl FnOnce(&mut HeaderMap)) -> Result<Agreed, Kind> {
        let mut request = Request::new(Body::empty());
        let headers = request.headers_mut();
        // The key and its answer are the example of RFC 6455, section 1.3.
        for (name, value) in [
            ("host", "localhost"),
            ("upgrade", "WebSocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        change(headers);
        agree(&TABLE, &request).map_err(|problem| problem.kind())
    }

    fn set(name: &'static str, value: &'static str) -> impl FnOnce(&mut HeaderMap) {
        move |headers| {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }

    fn refused(change: impl FnOnce(&mut HeaderMap)) -> Kind {
        ask(change).map(|_| ()).expect_err("the handshake was agreed to")
    }

    #[test]
    fn the_example_of_the_standard() {
        let response = ask(|_| ()).unwrap_or_else(|kind| panic!("{kind:?}")).response;
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(!response.headers().contains_key("sec-websocket-protocol"));
    }

    #[test]
    fn the_first_known_subprotocol_of_the_client_is_chosen_and_an_unknown_one_is_not_echoed() {
        for (offered, chosen) in [
            ("headwater.v1", Some("headwater.v1")),
            ("later.v9, second,headwater.v1", Some("second")),
            ("later.v9", None),
            ("HEADWATER.V1", None),
            ("", None),
        ] {
            let response =
                ask(set("sec-websocket-protocol", offered)).unwrap_or_else(|kind| panic!("{kind:?}")).response;
            let echoed = response.headers().get("sec-websocket-protocol").map(|value| value.to_str().unwrap());
            assert_eq!(echoed, chosen, "{offered}");
        }
    }

    #[test]
    fn without_the_words_of_an_upgrade_it_is_required() {
        for name in ["upgrade", "connection", "sec-websocket-version"] {
            let kind = refused(|headers| {
                headers.remove(name);
            });
            assert_eq!(kind, Kind::UPGRADE_REQUIRED, "{name}");
        }
        assert_eq!(refused(set("upgrade", "h2c")), Kind::UPGRADE_REQUIRED);
        assert_eq!(refused(set("connection", "upgraded")), Kind::UPGRADE_REQUIRED);
        assert_eq!(refused(set("sec-websocket-version", "8")), Kind::UPGRADE_REQUIRED);
    }

    #[test]
    fn the_key_is_checked() {
        for key in ["", "short==", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=A", "dGhlIHNhbXBsZSBub25j!Q=="] {
            assert_eq!(refused(set("sec-websocket-key", key)), ErrorCode::Validation.into(), "{key}");
        }
        let twice = |headers: &mut HeaderMap| {
            headers.append("sec-websocket-key", HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
        };
        assert_eq!(refused(twice), ErrorCode::Validation.into());
        assert_eq!(refused(set("content-length", "3")), ErrorCode::Validation.into());
    }
}
