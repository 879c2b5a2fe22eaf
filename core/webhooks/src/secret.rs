//! What signs the posts: where the secret is found, and the secret itself, which nothing here ever shows.

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// What every secret begins with, so that it is recognised where it does not belong.
const PREFIX: &str = "whsec_";

/// The lengths of a key that Standard Webhooks allows, in bytes. A shorter one could be guessed.
const SHORTEST: usize = 24;
const LONGEST: usize = 64;

/// The most that is read of a secret's file: it holds a line or two, and what is larger is another file.
const MAX_FILE: u64 = 4096;

/// Where a secret is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A variable of the daemon's environment.
    Env(String),
    /// A file, absolute.
    File(PathBuf),
    /// A credential that systemd passes, by its name.
    Credential(String),
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "the environment variable {name}"),
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Credential(name) => write!(f, "the credential {name}"),
        }
    }
}

/// Why there is no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set, or is no text.
    #[error("{0} is not set; it must hold the secret, `whsec_…`")]
    NotSet(SecretSource),
    /// The daemon was not started by systemd, or the unit loads no credential.
    #[error("{0} cannot be read: systemd passes no credentials (LoadCredential= in the unit)")]
    NoCredentials(SecretSource),
    /// The file cannot be read.
    #[error("{source_place} cannot be read: {reason}")]
    Unreadable {
        /// Which.
        source_place: SecretSource,
        /// The system's reason.
        reason: String,
    },
    /// What stands there is no secret.
    #[error("what {0} holds is no secret: it is `{PREFIX}` and the base64 of {SHORTEST} to {LONGEST} random bytes")]
    Malformed(SecretSource),
}

impl SecretSource {
    /// Reads it. Several secrets, with white space between them, all sign: so one is replaced without a pause, the new
    /// one first and the old one until every receiver knows the new.
    pub fn read(&self) -> Result<Secrets, SecretError> {
        let text = match self {
            Self::Env(name) => std::env::var(name).map_err(|_| SecretError::NotSet(self.clone()))?,
            Self::File(path) => self.file(path)?,
            Self::Credential(name) => {
                let directory = std::env::var_os("CREDENTIALS_DIRECTORY");
                let directory = directory.ok_or_else(|| SecretError::NoCredentials(self.clone()))?;
                self.file(&Path::new(&directory).join(name))?
            }
        };
        let keys: Option<Vec<Key>> = text.split_whitespace().map(Key::parse).collect();
        match keys {
            Some(keys) if !keys.is_empty() => Ok(Secrets(keys)),
            _ => Err(SecretError::Malformed(self.clone())),
        }
    }

    fn file(&self, path: &Path) -> Result<String, SecretError> {
        let unreadable = |error: io::Error| SecretError::Unreadable {
            source_place: self.clone(),
            reason: match error.kind() {
                io::ErrorKind::NotFound => "there is none".to_owned(),
                _ => error.to_string(),
            },
        };
        // Before opening: opening a pipe waits for its other end.
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(unreadable(io::Error::other("it is no regular file")));
        }
        let mut text = String::new();
        let mut file = File::open(path).map_err(unreadable)?.take(MAX_FILE);
        file.read_to_string(&mut text).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => SecretError::Malformed(self.clone()),
            _ => unreadable(error),
        })?;
        Ok(text)
    }
}

/// One or more secrets. `Debug` does not show them.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets(Vec<Key>);

#[derive(Clone, PartialEq, Eq)]
struct Key(Vec<u8>);

impl Key {
    fn parse(text: &str) -> Option<Self> {
        let key = BASE64.decode(text.strip_prefix(PREFIX)?.as_bytes()).ok()?;
        (SHORTEST..=LONGEST).contains(&key.len()).then_some(Self(key))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} hidden)", self.0.len())
    }
}

impl Secrets {
    /// The header `webhook-signature`: `v1,` and the base64 of the HMAC-SHA256 over `id.timestamp.body`, once for each
    /// secret. <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
    pub(crate) fn signature(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let head = format!("{id}.{timestamp}.");
        let sign = |key: &Key| {
            let mut mac = Hmac::<Sha256>::new_from_slice(&key.0).expect("HMAC takes keys of any length");
            mac.update(head.as_bytes());
            mac.update(body);
            format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()))
        };
        self.0.iter().map(sign).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with this text.
    fn file(text: &str) -> (tempfile::NamedTempFile, SecretSource) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let source = SecretSource::File(file.path().to_owned());
        (file, source)
    }

    /// The key of the specification's own example; the expected value was computed by Python's hmac.
    #[test]
    fn a_signature_is_that_of_another_implementation() {
        let (_file, source) = file("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
        let secrets = source.read().unwrap();
        let signed = secrets.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b"{\"test\": 2432232314}");
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn an_old_and_a_new_secret_both_sign() {
        let (_old, old) = file("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let (_new, new) = file("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        let (_both, both) = file("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\nwhsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
        let sign = |source: &SecretSource| source.read().unwrap().signature("id", 1, b"{}");
        assert_eq!(sign(&both), format!("{} {}", sign(&new), sign(&old)));
    }

    #[test]
    fn what_is_no_secret_is_refused_and_not_repeated() {
        for text in ["", "hunter2", "whsec_hunter2", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            let (_file, source) = file(text);
            let error = source.read().unwrap_err();
            assert_eq!(error, SecretError::Malformed(source), "{text}");
            assert!(!error.to_string().contains("hunter2") && !error.to_string().contains("MfKQ"), "{error}");
        }
        let (file, source) = file("");
        std::fs::write(file.path(), b"whsec_\xff").unwrap();
        assert!(matches!(source.read(), Err(SecretError::Malformed(_))));
    }

    #[test]
    fn where_nothing_is_the_place_is_told() {
        let nowhere = SecretSource::File("/nowhere/secret".into()).read().unwrap_err();
        assert_eq!(nowhere.to_string(), "the file /nowhere/secret cannot be read: there is none");
        let directory = SecretSource::File("/".into()).read().unwrap_err();
        assert_eq!(directory.to_string(), "the file / cannot be read: it is no regular file");
        let variable = SecretSource::Env("HEADWATER_TEST_NO_SUCH_VARIABLE".into()).read().unwrap_err();
        assert!(variable.to_string().contains("HEADWATER_TEST_NO_SUCH_VARIABLE is not set"), "{variable}");
        let credential = SecretSource::Credential("x".into()).read().unwrap_err();
        assert!(matches!(credential, SecretError::NoCredentials(_)));
    }

    #[test]
    fn a_secret_is_never_shown() {
        let (_file, source) = file("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        assert_eq!(format!("{:?}", source.read().unwrap()), "Secrets(1 hidden)");
    }
}
