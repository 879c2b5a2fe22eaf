//! The socket file. Only its owner may connect: there are no tokens on it. What a daemon that was killed has left behind
//! is replaced; a socket on which somebody listens is not.

use crate::listener::REST;
use rustix::fs::{Mode, chmod};
use std::{
    fs, io,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};
use tokio::net::UnixStream;

/// Why a path cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum UnixListenError {
    /// Somebody listens there.
    #[error("{} is in use by another program; end that one or choose another path with gateway.socket", .0.display())]
    InUse(PathBuf),
    /// Something else has that name.
    #[error("{} is there and is no socket; choose another path with gateway.socket", .0.display())]
    NoSocket(PathBuf),
    /// Anything else.
    #[error("cannot listen on {}: {error}; choose another path with gateway.socket", path.display())]
    Other {
        /// Where.
        path: PathBuf,
        /// What the system says.
        #[source]
        error: io::Error,
    },
}

/// A bound socket file. It goes with this value.
#[derive(Debug)]
pub struct UnixListener {
    socket: tokio::net::UnixListener,
    path: PathBuf,
}

impl UnixListener {
    /// Binds a path. To be called on a tokio runtime.
    pub fn bind(path: &Path) -> Result<Self, UnixListenError> {
        let failed = |error| UnixListenError::Other { path: path.to_owned(), error };
        match fs::symlink_metadata(path) {
            Ok(there) if !there.file_type().is_socket() => return Err(UnixListenError::NoSocket(path.to_owned())),
            Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => {
                return Err(UnixListenError::InUse(path.to_owned()));
            }
            Ok(_) => fs::remove_file(path).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let socket = tokio::net::UnixListener::bind(path).map_err(failed)?;
        let bound = Self { socket, path: path.to_owned() };
        // Nobody is let in before this: connections wait until they are accepted.
        chmod(path, Mode::RUSR | Mode::WUSR).map_err(|error| failed(error.into()))?;
        Ok(bound)
    }

    /// The next connection. Rests when the process can hold no more, and goes on by itself.
    pub(crate) async fn accept(&self) -> UnixStream {
        loop {
            match self.socket.accept().await {
                Ok((stream, _)) => return stream,
                Err(error) => {
                    tracing::debug!(%error, "cannot accept a connection of the unix socket");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }
}

impl Drop for UnixListener {
    fn drop(&mut self) {
        // It may have been removed by hand; then there is nothing to do.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn the_file_is_its_owners_alone_and_goes_with_the_listener() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let bound = UnixListener::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(UnixListener::bind(&path), Err(UnixListenError::InUse(_))));
        drop(bound);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_a_killed_daemon_left_is_replaced_and_other_files_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a socket that was not removed stays");
        drop(UnixListener::bind(&path).unwrap());
        fs::write(&path, "mine").unwrap();
        assert!(matches!(UnixListener::bind(&path), Err(UnixListenError::NoSocket(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }
}
