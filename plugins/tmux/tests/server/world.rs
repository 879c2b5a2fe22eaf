//! A tmux server of a test's own, and the source that watches it.

use headwater_plugin_tmux::Tmux;
use headwater_testkit::prelude::*;
use std::{
    io::BufRead,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A private server below a directory of its own; it ends with the test.
pub(crate) struct Server {
    dir: TempDir,
}

impl Server {
    /// A server with the session `main`, 80 by 24, whose pane runs `cat`.
    pub(crate) fn start() -> Self {
        let server = Self::absent();
        server.begin();
        server
    }

    /// A place for a server, and none yet.
    pub(crate) fn absent() -> Self {
        Self { dir: tempfile::Builder::new().prefix("hw-test-").tempdir().unwrap() }
    }

    /// Starts it. One before it may still be about to end, and answers nobody.
    pub(crate) fn begin(&self) {
        let session = ["-f", "/dev/null", "new-session", "-d", "-s", "main", "-x", "80", "-y", "24", "cat"];
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let output = self.try_tmux(&session);
            let complaint = String::from_utf8_lossy(&output.stderr);
            if output.status.success() {
                return;
            }
            let ends = complaint.contains("server exited") && Instant::now() < deadline;
            assert!(ends, "a server cannot be started: {complaint}");
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    /// A path of the test's own.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn try_tmux(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        command.arg("-u").arg("-S").arg(self.socket()).args(arguments);
        command.env_remove("TMUX").env_remove("TMUX_PANE").env("SHELL", "/bin/sh").output().unwrap()
    }

    /// Runs a command of tmux and gives what it prints.
    pub(crate) fn tmux(&self, arguments: &[&str]) -> String {
        let output = self.try_tmux(arguments);
        assert!(output.status.success(), "tmux {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// The process of the server.
    pub(crate) fn pid(&self) -> u64 {
        self.tmux(&["display-message", "-p", "#{pid}"]).parse().unwrap()
    }

    /// All hooks that are set, of sessions and windows.
    pub(crate) fn hooks(&self) -> Vec<String> {
        let shown = self.tmux(&["show-hooks", "-g", ";", "show-hooks", "-gw"]);
        shown.lines().filter(|line| line.contains(' ')).map(str::to_owned).collect()
    }

    /// The settings of a source for it, with these beside.
    pub(crate) fn settings(&self, more: Value) -> Value {
        let mut settings = json!({ "socket": self.socket() });
        let Value::Object(more) = more else { panic!("settings are an object") };
        more.into_iter().for_each(|(key, value)| settings[&key] = value);
        settings
    }

    /// Watches it, once all that is there is known.
    pub(crate) async fn watch(&self, more: Value) -> Run {
        let mut run = Testkit::start::<Tmux>(self.settings(more));
        let key = format!("pane:{}:%0", self.pid());
        run.next_event_where("the first pane", |event| event.retained.as_deref() == Some(&key)).await;
        run
    }
}

impl Server {
    /// A program in place of tmux: as tmux, but these lines of shell come first.
    pub(crate) fn tmux_after(&self, script: &str) -> PathBuf {
        let program = self.path("tmux");
        let script = format!("#!/bin/sh\n{script}\nexec tmux \"$@\"\n");
        // Another process writes it: a test beside this one that forks meanwhile would keep it from being run.
        let mut write = Command::new("sh");
        write.args(["-c", r#"printf %s "$2" >"$1"; chmod 755 "$1""#, "sh"]).arg(&program).arg(script);
        assert!(write.status().unwrap().success());
        program
    }

    /// Watches it with control clients, once they are attached, or it is known that there are none.
    pub(crate) async fn read(&self, more: Value) -> Run {
        let mut run = self.watch(more).await;
        next(&mut run, "tmux.mode").await;
        run
    }

    /// Somebody who is attached to a session.
    pub(crate) fn user(&self, session: &str) -> User {
        let mut command = Command::new("tmux");
        command.args(["-C", "-S"]).arg(self.socket()).args(["attach-session", "-t", session]).env_remove("TMUX");
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut user = User(child);
        // The first thing that it is told is that it is attached.
        let mut output = std::io::BufReader::new(user.0.stdout.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("%session-changed") {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0, "it is not attached");
        }
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        user
    }
}

/// Somebody who is attached: a control client, which needs no terminal.
pub(crate) struct User(Child);

impl User {
    pub(crate) fn leave(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.try_tmux(&["kill-server"]);
    }
}

/// The next event of this type.
pub(crate) async fn next(run: &mut Run, kind: &str) -> TestEvent {
    run.next_event_where(kind, |event| event.kind == kind).await
}
