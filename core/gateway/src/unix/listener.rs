//! The socket file. Only its owner may connect: there are no tokens on it. What a daemon that was killed has left behind
//! is replaced; a socket on which somebody listens is not.

use crate::listener::REST;
use rustix::fs::{Mode, chmod};
use std::{
    fs, io,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};
use tokio::net::{UnixSocket, UnixStream};

/// Connections that wait to be accepted; beyond, who connects waits itself.
const BACKLOG: u32 = 1024;

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
    _path: Named,
}

/// The name of a bound socket, removed with it.
#[derive(Debug)]
struct Named(PathBuf);

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
        let socket = UnixSocket::new_stream().map_err(failed)?;
        socket.bind(path).map_err(failed)?;
        let path = Named(path.to_owned());
        // Before it listens: who connects is queued, and served later whatever the mode is then.
        chmod(&path.0, Mode::RUSR | Mode::WUSR).map_err(|error| failed(error.into()))?;
        let socket = socket.listen(BACKLOG).map_err(failed)?;
        Ok(Self { socket, _path: path })
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

impl Drop for Named {
    fn drop(&mut self) {
        // It may have been removed by hand; then there is nothing to do.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        os::unix::fs::{MetadataExt, PermissionsExt},
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        thread,
    };

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

    /// Harm prevented: another user who connects in the moment before the file is private is served with its owner's rights.
    /// Which file it is, by number and time, where others than its owner may open it.
    fn seen_open(path: &Path) -> Option<(u64, i64, i64)> {
        let known = fs::metadata(path).ok()?;
        (known.mode() & 0o777 != 0o600).then(|| (known.ino(), known.mtime(), known.mtime_nsec()))
    }

    #[tokio::test]
    async fn nobody_can_connect_before_the_file_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let (watched, ended) = (path.clone(), Arc::new(AtomicBool::new(false)));
        let end = ended.clone();
        let watcher = thread::spawn(move || {
            let mut open = 0;
            while !end.load(Ordering::Relaxed) {
                let before = seen_open(&watched);
                let connected = std::os::unix::net::UnixStream::connect(&watched).is_ok();
                // It was seen open, and then it took a connection. Looked at again: it may be another one by now.
                open += u32::from(connected && before.is_some() && before == seen_open(&watched));
            }
            open
        });
        for _ in 0..2_000 {
            drop(UnixListener::bind(&path).unwrap());
        }
        ended.store(true, Ordering::Relaxed);
        assert_eq!(watcher.join().unwrap(), 0);
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
