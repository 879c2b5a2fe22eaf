//! Where the server listens.

use headwater_plugin::tokio::{net::UnixStream, time::timeout};
use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a connection may take. It takes microseconds, unless the server is stuck.
const PATIENCE: Duration = Duration::from_millis(500);

/// The path of a socket that is named as `tmux -L` does: below `TMUX_TMPDIR`, or `/tmp`, in a directory of the user.
pub(crate) fn named(name: &str) -> PathBuf {
    let base =
        env::var_os("TMUX_TMPDIR").filter(|dir| !dir.is_empty()).map_or_else(|| PathBuf::from("/tmp"), Into::into);
    base.join(format!("tmux-{}", rustix::process::getuid().as_raw())).join(name)
}

/// Whether anybody listens there. Much cheaper than starting a tmux to find it out, and a socket that a killed server left
/// behind is told apart from one that lives. A server that is stuck counts as none.
pub(crate) async fn is_alive(path: &Path) -> bool {
    timeout(PATIENCE, UnixStream::connect(path)).await.is_ok_and(|connected| connected.is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_testkit::prelude::*;
    use std::os::unix::net::UnixListener;

    #[tokio::test]
    async fn a_socket_without_a_server_is_not_alive() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        assert!(!is_alive(&path).await);
        let listener = UnixListener::bind(&path).unwrap();
        assert!(is_alive(&path).await);
        drop(listener);
        assert!(path.exists() && !is_alive(&path).await, "the socket of a server that was killed stays");
    }

    #[test]
    fn a_name_means_a_socket_of_this_user() {
        let path = named("work");
        assert!(path.ends_with(format!("tmux-{}/work", rustix::process::getuid().as_raw())), "{}", path.display());
    }
}
