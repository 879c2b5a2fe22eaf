//! Where a webhook's events go: an address of http or https, shown without what may be secret in it.

use hyper::Uri;
use std::fmt;

/// Why a text is no endpoint. The text is not repeated: it may hold a password or a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// No absolute address at all.
    #[error("the url is no web address; write it like https://example.org/hooks")]
    Malformed,
    /// Another scheme.
    #[error("only http and https can be posted to")]
    Scheme,
    /// `https://user:password@…`.
    #[error("a name and password before `@` are refused; the signature tells the receiver who sends")]
    Credentials,
}

/// An address that can be posted to. `Display` and `Debug` leave the query out, where services put their tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Uri);

impl Endpoint {
    /// Checks and takes an address.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let uri: Uri = text.parse().map_err(|_| EndpointError::Malformed)?;
        let authority = uri.authority().ok_or(EndpointError::Malformed)?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(EndpointError::Scheme);
        }
        if authority.as_str().contains('@') {
            return Err(EndpointError::Credentials);
        }
        if authority.host().is_empty() {
            return Err(EndpointError::Malformed);
        }
        Ok(Self(uri))
    }

    /// The whole address, for the client.
    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }

    /// Whether it is reached by TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.scheme_str().unwrap_or_default();
        let authority = self.0.authority().map_or("", |authority| authority.as_str());
        write!(f, "{scheme}://{authority}{}", self.0.path())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_query() {
        let endpoint = Endpoint::parse("https://h.example:8443/a/b?token=hunter2").unwrap();
        assert_eq!(endpoint.to_string(), "https://h.example:8443/a/b");
        assert!(!format!("{endpoint:?}").contains("hunter2"));
        assert!(endpoint.is_secure());
        assert_eq!(endpoint.uri().query(), Some("token=hunter2"));
    }

    #[test]
    fn what_cannot_be_posted_to_is_refused_and_not_repeated() {
        for (text, error) in [
            ("/hooks", EndpointError::Malformed),
            ("hunter2 hunter2", EndpointError::Malformed),
            ("ftp://h/hunter2", EndpointError::Scheme),
            ("https://me:hunter2@h/", EndpointError::Credentials),
            ("https://hunter2@h/", EndpointError::Credentials),
        ] {
            let refused = Endpoint::parse(text).unwrap_err();
            assert_eq!(refused, error, "{text}");
            assert!(!refused.to_string().contains("hunter2"));
        }
    }
}
