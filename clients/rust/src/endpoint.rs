//! Where a daemon listens, read from the URL that people write.
//!
//! Used by the client for its connections and by error messages. Opens nothing.

use crate::Error;
use hyper::Uri;
use std::fmt;

/// The port of a daemon when the URL names none.
const DEFAULT_PORT: u16 = 8765;

/// The address of a daemon: host, port and the path that its routes stand under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// With the brackets of an IPv6 address.
    host: String,
    port: u16,
    /// Empty, or `/prefix` without a slash at its end.
    base: String,
}

impl Endpoint {
    /// Reads `http://host:port`, `ws://host:port`, or `host:port` alone. A path is a prefix for every route, for
    /// daemons behind a reverse proxy.
    pub fn parse(url: &str) -> Result<Self, Error> {
        let wrong = |reason: &str| Error::Url { url: url.to_owned(), reason: reason.to_owned() };
        let full = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let uri: Uri = full.parse().map_err(|error: hyper::http::uri::InvalidUri| wrong(&error.to_string()))?;
        match uri.scheme_str() {
            Some("http" | "ws") => {}
            Some("https" | "wss") => {
                return Err(wrong("this client speaks no TLS yet; reach the daemon over http:// on its own machine"));
            }
            _ => return Err(wrong("it starts with http:// or ws://, as in http://127.0.0.1:8765")),
        }
        let authority = uri.authority().ok_or_else(|| wrong("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("a user or password in it is not used; give a token"));
        }
        if authority.host().is_empty() {
            return Err(wrong("it names no host"));
        }
        if uri.query().is_some() {
            return Err(wrong("what follows `?` is not used; leave it out"));
        }
        Ok(Self {
            host: authority.host().to_owned(),
            port: authority.port_u16().unwrap_or(DEFAULT_PORT),
            base: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// The host as a resolver takes it, and the port.
    pub fn address(&self) -> (&str, u16) {
        (self.host.trim_start_matches('[').trim_end_matches(']'), self.port)
    }

    /// The `Host` header.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The path of a route on the wire.
    pub fn path(&self, route: &str) -> String {
        format!("{}{route}", self.base)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}{}", self.host, self.port, self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (url, shown) in [
            ("http://127.0.0.1:8765", "http://127.0.0.1:8765"),
            ("http://127.0.0.1:8765/", "http://127.0.0.1:8765"),
            ("ws://localhost:1", "http://localhost:1"),
            ("box.local", "http://box.local:8765"),
            ("127.0.0.1:99", "http://127.0.0.1:99"),
            ("http://[::1]:8765", "http://[::1]:8765"),
            ("http://proxy/bus/", "http://proxy:8765/bus"),
        ] {
            assert_eq!(Endpoint::parse(url).unwrap().to_string(), shown, "{url}");
        }
        assert_eq!(Endpoint::parse("http://[::1]:7").unwrap().address(), ("::1", 7));
        assert_eq!(Endpoint::parse("http://p/bus").unwrap().path("/v1/info"), "/bus/v1/info");
    }

    #[test]
    fn says_what_is_wrong() {
        for (url, word) in [
            ("", "empty"),
            ("https://box", "TLS"),
            ("ftp://box", "http://"),
            ("http://me:pw@box", "token"),
            ("http://box?x=1", "?"),
            ("http://", ""),
        ] {
            let error = Endpoint::parse(url).unwrap_err().to_string();
            assert!(error.contains(word), "{url}: {error}");
        }
    }
}
