//! Who may ask at all: the `Host` and `Origin` checks that stand before every route, and the counting of what was
//! answered. A page that a browser on this machine shows is the visitor that these checks are about.

use super::{
    app::App,
    problem::{Kind, Problem, ProblemCode},
};
use crate::Options;
use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, Version, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{net::IpAddr, sync::Arc, time::Instant};

/// Checks, passes on, counts. The outermost layer of the router.
pub(super) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    // The path as the table has it, which lives as long as the program; what a client wrote must become no label.
    let route = request.extensions().get::<MatchedPath>().and_then(|path| super::table::known(path.as_str()));
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = match app.gate.check(request.version(), request.uri(), request.headers()) {
        Ok(()) => {
            let mut response = next.run(request).await;
            // A page of another origin that is let in may also read what it is answered; its EventSource needs the word.
            if let Some(origin) = origin {
                response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
                response.headers_mut().append(header::VARY, HeaderValue::from_static("origin"));
            }
            response
        }
        Err(problem) => problem.into_response(),
    };
    let status = response.status();
    // A connection that becomes a WebSocket asks for nothing yet; of what is asked by /mcp the tools tell, since the head of
    // an answer comes at once there or, in one era, with the end of a wait.
    let timed = status != StatusCode::SWITCHING_PROTOCOLS && route != Some(super::table::MCP);
    app.metrics.answered(route.unwrap_or("other"), status.as_u16(), timed.then(|| began.elapsed()));
    if let Some(ProblemCode(code)) = response.extensions().get() {
        app.metrics.error_word(code);
    }
    let headers = response.headers_mut();
    // Pane text and file names of strangers stand in these answers: no browser may guess that one is a page.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The hosts and origins that are let in.
#[derive(Debug)]
pub(super) struct Gate {
    hosts: Vec<Authority>,
    origins: Vec<Origin>,
}

impl Gate {
    /// Localhost, the listening address, and what the options add.
    pub(super) fn new(options: &Options) -> Self {
        let mut hosts: Vec<_> = ["localhost", "127.0.0.1", "[::1]"].into_iter().filter_map(Authority::parse).collect();
        if !options.listen.ip().is_unspecified() {
            hosts.push(Authority { name: Name::Address(options.listen.ip()), port: None });
        }
        hosts.extend(options.allowed_hosts.iter().filter_map(|host| {
            let parsed = Authority::parse(host);
            if parsed.is_none() {
                tracing::warn!(%host, "gateway.allowed_hosts: this is no host name and allows nothing");
            }
            parsed
        }));
        let origins = options.allowed_origins.iter().map(|origin| Origin::parse(origin)).collect();
        Self { hosts, origins }
    }

    /// Whether a request may go on to its route.
    fn check(&self, version: Version, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        // Other versions have no obligatory Host, on which the next check stands.
        if version != Version::HTTP_11 {
            return Err(Problem::new(Kind::HTTP_VERSION, "ask with HTTP/1.1"));
        }
        let host = self.host(uri, headers)?;
        self.origin(&host, headers)
    }

    /// DNS rebinding: a page from evil.example, whose name now means 127.0.0.1, asks with its own name as the Host.
    fn host(&self, uri: &Uri, headers: &HeaderMap) -> Result<Authority, Problem> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return Err(Problem::new(Kind::BAD_HOST, "a request has exactly one Host header"));
        };
        // In `GET http://name/ HTTP/1.1` the name in the request line rules (RFC 9112, 3.2.2), so both must be good.
        for text in [host.to_str().ok(), uri.authority().map_or(Some("localhost"), |a| Some(a.as_str()))] {
            if !text.and_then(Authority::parse).is_some_and(|asked| self.hosts.iter().any(|own| own.admits(&asked))) {
                return Err(Problem::new(
                    Kind::HOST_NOT_ALLOWED,
                    "the Host is neither localhost nor the listening address; add the name to gateway.allowed_hosts \
                     if it is yours",
                ));
            }
        }
        let text = uri.authority().map(axum::http::uri::Authority::as_str).or(host.to_str().ok());
        Ok(text.and_then(Authority::parse).expect("invariant: both were parsed above"))
    }

    /// Cross-site requests: browsers let any page open a WebSocket or send a form here, and say only in `Origin` whose
    /// page it was. Programs send no Origin.
    fn origin(&self, host: &Authority, headers: &HeaderMap) -> Result<(), Problem> {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = origins.next() else { return Ok(()) };
        let asked = origin.to_str().ok().filter(|_| origins.next().is_none()).map(Origin::parse);
        match asked {
            Some(asked) if asked.is_of(host) || self.origins.iter().any(|own| own.admits(&asked)) => Ok(()),
            _ => Err(Problem::new(
                Kind::ORIGIN_NOT_ALLOWED,
                "pages of this Origin may not connect; add it to gateway.allowed_origins if it is yours",
            )),
        }
    }
}

/// A host and perhaps a port, read strictly: what cannot be read is nobody's.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Authority {
    name: Name,
    port: Option<u16>,
}

/// Compared by meaning, so that `[::1]` and `[0:0:0:0:0:0:0:1]` are one.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Address(IpAddr),
    /// In lower case.
    Dns(String),
}

impl Authority {
    fn parse(text: &str) -> Option<Self> {
        let (name, port) = if let Some(rest) = text.strip_prefix('[') {
            let (inside, port) = rest.split_once(']')?;
            (Name::Address(IpAddr::V6(inside.parse().ok()?)), port)
        } else {
            let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            let fits = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            if name.is_empty() || !name.chars().all(fits) {
                return None;
            }
            (name.parse().map_or_else(|_| Name::Dns(name.to_ascii_lowercase()), Name::Address), port)
        };
        let port = match port.strip_prefix(':') {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok()?),
            None if port.is_empty() => None,
            _ => return None,
        };
        Some(Self { name, port })
    }

    /// Whether this entry of the allow-list lets `asked` in: without a port it means any.
    fn admits(&self, asked: &Self) -> bool {
        self.name == asked.name && (self.port.is_none() || self.port == asked.port)
    }
}

/// What a browser says about the page that asks.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    /// `http` or `https`.
    Web { scheme: &'static str, authority: Authority, port: u16 },
    /// Another scheme, as of a browser extension; in lower case.
    Other(String),
    /// `null`: a page without an origin. Any page can make one of those, so it never counts as listed.
    None,
}

impl Origin {
    fn parse(text: &str) -> Self {
        let text = text.trim().to_ascii_lowercase();
        if text == "null" || text.is_empty() {
            return Self::None;
        }
        for (scheme, default) in [("http", 80), ("https", 443)] {
            let rest = text.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://"));
            if let Some(authority) = rest.and_then(Authority::parse) {
                let port = authority.port.unwrap_or(default);
                return Self::Web { scheme, authority, port };
            }
        }
        Self::Other(text)
    }

    /// Whether the page came from the very place that the request goes to. The scheme is not known here: before the
    /// gateway may stand a proxy that speaks TLS.
    fn is_of(&self, host: &Authority) -> bool {
        match self {
            Self::Web { scheme, authority, port } => {
                let default = if *scheme == "https" { 443 } else { 80 };
                authority.name == host.name && *port == host.port.unwrap_or(default)
            }
            _ => false,
        }
    }

    fn admits(&self, asked: &Self) -> bool {
        match (self, asked) {
            (
                Self::Web { scheme, authority, port },
                Self::Web { scheme: asked_scheme, authority: asked_authority, port: asked_port },
            ) => scheme == asked_scheme && authority.name == asked_authority.name && port == asked_port,
            (Self::Other(own), Self::Other(asked)) => own == asked,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate {
        Gate::new(&Options {
            listen: "127.0.0.5:8765".parse().unwrap(),
            allowed_hosts: vec!["bus.lan".into(), "proxy.lan:8443".into(), "not a host".into()],
            allowed_origins: vec![
                "https://tools.example".into(),
                "http://dev.example:3000".into(),
                "chrome-extension://abcdef".into(),
                "null".into(),
                String::new(),
            ],
            ..Options::default()
        })
    }

    fn ask(headers: &[(&'static str, &str)]) -> Result<(), Kind> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        gate().check(Version::HTTP_11, &Uri::from_static("/v1/info"), &map).map_err(|problem| problem.kind())
    }

    #[test]
    fn own_names_pass_with_any_port_and_others_do_not() {
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:8765",
            "127.0.0.5",
            "[::1]:8765",
            "[0:0:0:0:0:0:0:1]",
            "bus.lan",
            "Bus.LAN:99",
            "proxy.lan:8443",
        ] {
            assert_eq!(ask(&[("host", host)]), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "localhost.",
            "localhost:",
            "localhost:x",
            "localhost:99999",
            "localhost:+80",
            "localhost:80:80",
            "evil@localhost",
            "localhost/evil",
            "localhost, evil.example",
            "localhost evil.example",
            "::1",
            "[::1",
            "[::1]evil",
            "[127.0.0.1]",
            "0x7f.1",
            "2130706433",
            "127.1",
            "0.0.0.0",
            "proxy.lan",
            "proxy.lan:80",
            "not a host",
            "",
        ] {
            assert_eq!(ask(&[("host", host)]), Err(Kind::HOST_NOT_ALLOWED), "{host}");
        }
    }

    #[test]
    fn there_is_exactly_one_host() {
        assert_eq!(ask(&[]), Err(Kind::BAD_HOST));
        assert_eq!(ask(&[("host", "localhost"), ("host", "localhost")]), Err(Kind::BAD_HOST));
        assert_eq!(ask(&[("host", "localhost"), ("host", "evil.example")]), Err(Kind::BAD_HOST));
    }

    #[test]
    fn the_name_in_the_request_line_is_checked_too() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("localhost"));
        let check = |uri: &'static str| gate().check(Version::HTTP_11, &Uri::from_static(uri), &headers);
        assert!(check("http://localhost:8765/v1/info").is_ok());
        assert_eq!(check("http://evil.example/v1/info").unwrap_err().kind(), Kind::HOST_NOT_ALLOWED);
        assert_eq!(check("http://a@localhost/v1/info").unwrap_err().kind(), Kind::HOST_NOT_ALLOWED);
    }

    #[test]
    fn other_versions_are_refused() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("localhost"));
        for version in [Version::HTTP_09, Version::HTTP_10, Version::HTTP_2] {
            let refused = gate().check(version, &Uri::from_static("/"), &headers).unwrap_err();
            assert_eq!(refused.kind(), Kind::HTTP_VERSION);
        }
    }

    #[test]
    fn pages_of_the_gateway_and_of_listed_origins_may_connect() {
        for (host, origin) in [
            ("localhost:8765", "http://localhost:8765"),
            ("LocalHost:8765", "HTTP://LOCALHOST:8765"),
            ("[::1]:8765", "http://[::1]:8765"),
            ("bus.lan", "http://bus.lan"),
            ("bus.lan", "https://bus.lan"),
            ("bus.lan", "https://bus.lan:443"),
            ("localhost:8765", "https://tools.example"),
            ("localhost:8765", "https://tools.example:443"),
            ("localhost:8765", "http://dev.example:3000"),
            ("localhost:8765", "chrome-extension://abcdef"),
        ] {
            assert_eq!(ask(&[("host", host), ("origin", origin)]), Ok(()), "{origin} on {host}");
        }
    }

    #[test]
    fn pages_of_all_others_may_not() {
        for (host, origin) in [
            ("localhost:8765", "http://evil.example"),
            ("localhost:8765", "http://localhost:3000"),
            ("localhost:8765", "http://localhost"),
            ("localhost:8765", "http://127.0.0.1:8765"),
            ("localhost:8765", "http://localhost:8765.evil.example"),
            ("localhost:8765", "http://localhost.evil.example:8765"),
            ("localhost:8765", "http://evil@localhost:8765"),
            ("localhost:8765", "http://localhost:8765/"),
            ("localhost:8765", "localhost:8765"),
            ("localhost:8765", "ws://localhost:8765"),
            ("localhost:8765", "file://"),
            ("localhost:8765", "null"),
            ("localhost:8765", ""),
            ("localhost:8765", "http://tools.example"),
            ("localhost:8765", "https://tools.example:8443"),
            ("localhost:8765", "https://a.tools.example"),
            ("localhost:8765", "http://dev.example"),
            ("localhost:8765", "chrome-extension://abcde"),
            ("localhost:8765", "http://localhost:8765, http://evil.example"),
            ("bus.lan", "http://bus.lan:8765"),
        ] {
            assert_eq!(ask(&[("host", host), ("origin", origin)]), Err(Kind::ORIGIN_NOT_ALLOWED), "{origin} on {host}");
        }
        let two = [("host", "localhost:80"), ("origin", "http://localhost"), ("origin", "http://evil.example")];
        assert_eq!(ask(&two), Err(Kind::ORIGIN_NOT_ALLOWED));
    }
}
