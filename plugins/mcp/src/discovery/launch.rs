//! How a server is started or reached, as a config file says it.
//!
//! Values of the environment, headers, arguments, and what a URL has besides its place may be secrets: none of them is in
//! a `Debug` form, and nothing here has another printed form.

use super::digest::{Digest, Parts};
use crate::process::redactor::{BLOT, looks_like_key};
use std::{collections::BTreeMap, fmt, path::PathBuf};

/// How a server is started or reached. The text as it stands in the file: variables in it are not replaced yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Launch {
    /// A program that is talked to over its standard input and output.
    Stdio(Stdio),
    /// A URL.
    Http(Http),
}

/// A program.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Stdio {
    /// A name that is looked for in `PATH`, or a path.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables that it gets.
    pub env: BTreeMap<String, String>,
    /// Names of variables that it gets as its client has them.
    pub inherit: Vec<String>,
    /// A file of further variables. It is not read: [`super::Discovered::ready`] refuses a launch that needs one.
    pub env_file: Option<PathBuf>,
    /// Where it runs: what the file says, or the directory that the client would run it in. `None` where neither is known.
    pub cwd: Option<PathBuf>,
}

/// A URL.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Http {
    /// As it stands in the file. It may hold secrets: print [`Http::place`].
    pub url: String,
    /// Headers of each request, such as `Authorization`.
    pub headers: BTreeMap<String, String>,
    /// Headers whose values have `${VARIABLE}` in them, whatever the client's own notation is.
    pub headers_from_env: BTreeMap<String, String>,
    /// Whether it is the transport before the streamable one, with a stream and a second URL to post to.
    pub sse: bool,
}

impl Launch {
    /// `stdio`, `http` or `sse`.
    pub fn transport(&self) -> &'static str {
        match self {
            Self::Stdio(_) => "stdio",
            Self::Http(Http { sse: true, .. }) => "sse",
            Self::Http(_) => "http",
        }
    }

    /// The hash over everything that decides what runs, or where requests go and what they carry.
    pub(crate) fn digest(&self) -> Digest {
        let mut parts = Parts::default();
        parts.add(self.transport().as_bytes());
        match self {
            Self::Stdio(Stdio { command, args, env, inherit, env_file, cwd }) => {
                parts.add(command.as_bytes()).count(args.len());
                for arg in args {
                    parts.add(arg.as_bytes());
                }
                pairs(&mut parts, env);
                parts.count(inherit.len());
                for name in inherit {
                    parts.add(name.as_bytes());
                }
                parts.maybe(env_file.as_ref().map(|file| file.as_os_str().as_encoded_bytes()));
                parts.maybe(cwd.as_ref().map(|cwd| cwd.as_os_str().as_encoded_bytes()));
            }
            Self::Http(Http { url, headers, headers_from_env, sse: _ }) => {
                parts.add(url.as_bytes());
                pairs(&mut parts, headers);
                pairs(&mut parts, headers_from_env);
            }
        }
        parts.digest()
    }
}

fn pairs(parts: &mut Parts, pairs: &BTreeMap<String, String>) {
    parts.count(pairs.len());
    for (name, value) in pairs {
        parts.add(name.as_bytes()).add(value.as_bytes());
    }
}

impl Stdio {
    /// The program alone. There are files with a whole command line in `command`, and what follows there may be secret.
    pub fn program(&self) -> &str {
        self.command.split_whitespace().next().unwrap_or_default()
    }
}

impl Http {
    /// The URL without what may be secret: no user, no password, no query, no fragment, and of its path no part that looks
    /// like a key: there are services whose URL is all that one needs to know.
    pub fn place(&self) -> String {
        let (scheme, rest) = self.url.split_once("://").unwrap_or(("", &self.url));
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let path = &path[..path.find(['?', '#']).unwrap_or(path.len())];
        let parts: Vec<&str> = path.split('/').map(|part| if looks_like_key(part) { BLOT } else { part }).collect();
        let path = parts.join("/");
        if scheme.is_empty() { format!("{host}{path}") } else { format!("{scheme}://{host}{path}") }
    }
}

impl fmt::Debug for Stdio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdio")
            .field("command", &self.program())
            .field("args", &self.args.len())
            .field("cwd", &self.cwd)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("url", &self.place()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn program() -> Stdio {
        Stdio {
            command: "npx".to_owned(),
            args: vec!["-y".to_owned(), "server".to_owned()],
            env: strings(&[("KEY", "s3cret")]),
            inherit: vec!["HOME".to_owned()],
            env_file: None,
            cwd: Some("/srv".into()),
        }
    }

    #[test]
    fn no_secret_is_in_a_debug_form() {
        let mut program = program();
        program.args.push("--api-key=s3cret".to_owned());
        program.command.push_str(" --token s3cret");
        assert_eq!(program.program(), "npx");
        let http = Http {
            url: "https://me:s3cret@example.org/mcp/x?key=s3cret#s3cret".to_owned(),
            headers: strings(&[("Authorization", "Bearer s3cret")]),
            headers_from_env: BTreeMap::new(),
            sse: false,
        };
        assert_eq!(http.place(), "https://example.org/mcp/x");
        for launch in [Launch::Stdio(program), Launch::Http(http)] {
            let shown = format!("{launch:?} {launch:#?}");
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }

    #[test]
    fn a_place_is_what_remains_of_any_text() {
        for (url, place) in [
            ("http://h", "http://h"),
            ("http://h?k=v", "http://h"),
            ("http://a:b@h:1/p", "http://h:1/p"),
            ("http://a@b@h/p@q", "http://h/p@q"),
            ("me:pw@h/p?q", "h/p"),
            ("https://h/s/a1B2c3D4e5F6g7H8i9/mcp", "https://h/s/[redacted]/mcp"),
            ("", ""),
        ] {
            assert_eq!(Http { url: url.to_owned(), ..Http::default() }.place(), place, "{url}");
        }
    }

    #[test]
    fn every_part_counts_for_the_hash() {
        let digest = |change: fn(&mut Stdio)| {
            let mut changed = program();
            change(&mut changed);
            Launch::Stdio(changed).digest()
        };
        let all = [
            digest(|_| {}),
            digest(|p| p.command.push('x')),
            digest(|p| p.args[1].push('x')),
            digest(|p| p.args = vec!["-yserver".to_owned()]),
            digest(|p| p.args.push(String::new())),
            digest(|p| p.env.get_mut("KEY").unwrap().push('x')),
            digest(|p| p.env = strings(&[("KEYs", "3cret")])),
            digest(|p| p.env.clear()),
            digest(|p| p.inherit.clear()),
            digest(|p| p.env_file = Some("/x".into())),
            digest(|p| p.cwd = None),
            digest(|p| p.cwd = Some("/".into())),
        ];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
        assert_eq!(all[0], digest(|_| {}));
    }
}
