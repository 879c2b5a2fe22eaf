//! A tmux server of a test's own: its socket stands in a directory of its own, and the server ends with it. The user's server
//! is never touched.

use crate::{process::runs, wait::PATIENCE};
use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
    task::JoinSet,
    time::timeout,
};

/// A place for a tmux server, where one runs or not.
pub struct Tmux {
    directory: TempDir,
    /// The process of the server that was begun last; 0 before the first.
    server: AtomicU32,
}

impl Tmux {
    /// A place, and no server yet.
    pub fn absent() -> Self {
        let directory = tempfile::Builder::new().prefix("hw-tmux-").tempdir().expect("a directory for a server");
        Self { directory, server: AtomicU32::new(0) }
    }

    /// A server with the session `main` (`$0`), 80 by 24, whose window is `first` (`@0`) and in whose pane (`%0`) `cat` runs.
    pub async fn start() -> Self {
        let tmux = Self::absent();
        tmux.begin().await;
        tmux
    }

    /// Starts the server of [`Self::start`].
    pub async fn begin(&self) {
        let session = ["new-session", "-d", "-s", "main", "-n", "first", "-x", "80", "-y", "24", "cat"];
        self.run(&[&["-f", "/dev/null"], &session[..]].concat()).await;
        self.server.store(self.pid().await, Ordering::Relaxed);
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.path("socket")
    }

    /// A path in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs a command of tmux; what it prints.
    ///
    /// # Panics
    /// When tmux refuses it.
    pub async fn run<A: AsRef<str>>(&self, arguments: &[A]) -> String {
        let arguments: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
        let output = self.try_run(&arguments).await;
        assert!(output.status.success(), "tmux {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Runs a command that tmux may refuse.
    pub async fn try_run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::from(command(&self.socket()));
        let output = command.args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
        timeout(PATIENCE, output).await.expect("tmux answers in time").expect("tmux is installed")
    }

    /// Types bytes into a pane, as they are.
    pub async fn types(&self, pane: &str, bytes: &[u8]) {
        // tmux takes 16 KiB of arguments at once.
        for some in bytes.chunks(4_000) {
            let keys = some.iter().map(|byte| format!("{byte:02x}"));
            let arguments = ["send-keys", "-t", pane, "-H"].map(str::to_owned).into_iter().chain(keys);
            self.run(&arguments.collect::<Vec<_>>()).await;
        }
    }

    /// The process of the server.
    pub async fn pid(&self) -> u32 {
        self.run(&["display-message", "-p", "#{pid}"]).await.parse().expect("a process has a number")
    }

    /// All global hooks, as `show-hooks` names them.
    pub async fn hooks(&self) -> Vec<String> {
        let shown = self.run(&["show-hooks", "-g", ";", "show-hooks", "-gw"]).await;
        shown.lines().filter(|line| line.contains(' ')).map(str::to_owned).collect()
    }

    /// Somebody at a terminal, attached to a session.
    pub async fn user(&self, session: &str) -> User {
        User::attach(self, session).await
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let mut kill = command(&self.socket());
        // There may be none.
        let _ = kill.arg("kill-server").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        let server = self.server.load(Ordering::Relaxed);
        let began = Instant::now();
        while server != 0 && runs(server) {
            if began.elapsed() > PATIENCE {
                let _ = std::process::Command::new("kill").args(["-KILL", &server.to_string()]).status();
                assert!(std::thread::panicking(), "a client that does not end keeps a server alive that was killed");
                return;
            }
            // Sleeps because nobody tells when a process ends that is not ours, and a drop cannot await.
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// `tmux` for the server that listens there, whatever the test itself runs in.
fn command(socket: &Path) -> std::process::Command {
    let mut command = std::process::Command::new("tmux");
    command.arg("-u").arg("-S").arg(socket).env("SHELL", "/bin/sh");
    command.env_remove("TMUX").env_remove("TMUX_PANE");
    command
}

/// Somebody at a terminal.
pub struct User {
    child: Child,
    readers: JoinSet<()>,
}

impl User {
    async fn attach(tmux: &Tmux, session: &str) -> Self {
        // It gives tmux the terminal that a test does not have.
        let mut script = Command::new("script");
        let attach = format!("exec tmux -u -S '{}' attach-session -t '{session}'", tmux.socket().display());
        script.args(["--quiet", "--flush", "--return", "--command", &attach, "/dev/null"]);
        script.env("TERM", "xterm-256color").env("SHELL", "/bin/sh").env_remove("TMUX").env_remove("TMUX_PANE");
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = script.spawn().expect("`script` is there");
        let mut screen = BufReader::new(child.stdout.take().expect("it was asked for"));
        // Once something is drawn, the user is attached.
        let drawn = timeout(PATIENCE, screen.fill_buf()).await.expect("tmux draws in time");
        assert!(!drawn.expect("a terminal can be read").is_empty(), "tmux has not attached");
        let mut readers = JoinSet::new();
        // A terminal that is not read would hold tmux up.
        readers.spawn(async move {
            let _ = tokio::io::copy_buf(&mut screen, &mut tokio::io::sink()).await;
        });
        Self { child, readers }
    }

    /// Presses keys: `C-b d` is `"\x02d"`.
    pub async fn presses(&mut self, keys: &str) {
        let terminal = self.child.stdin.as_mut().expect("it was asked for");
        terminal.write_all(keys.as_bytes()).await.expect("the terminal takes keys");
        terminal.flush().await.expect("the terminal takes keys");
    }

    /// Detaches, as people do.
    pub async fn leaves(mut self) {
        self.presses("\x02d").await;
        timeout(PATIENCE, self.child.wait()).await.expect("tmux lets them go").expect("it is our child");
        self.readers.shutdown().await;
    }
}
