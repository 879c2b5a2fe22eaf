//! A tmux server of the benchmark's own, and a hand that moves things in it.

use crate::process;
use std::{
    io::{self, BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    thread::JoinHandle,
    time::Duration,
};
use tempfile::TempDir;

/// A server below a directory of its own; both end with it.
#[derive(Debug)]
pub struct Tmux {
    directory: TempDir,
    pid: u32,
}

impl Tmux {
    /// Whether tmux is installed.
    pub fn is_here() -> bool {
        Command::new("tmux").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    }

    /// A server with one session, 80 by 24, in whose pane `cat` runs.
    pub fn start() -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("hw-bench-").tempdir()?;
        let mut tmux = Self { directory, pid: 0 };
        tmux.run(&["-f", "/dev/null", "new-session", "-d", "-s", "bench", "-x", "80", "-y", "24", "cat"])?;
        let pid = tmux.run(&["display-message", "-p", "#{pid}"])?;
        tmux.pid = pid.parse().map_err(|_| io::Error::other(format!("`{pid}` is no process")))?;
        Ok(tmux)
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.path("socket")
    }

    /// A path in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// `tmux`, for this server.
    pub fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        command.arg("-u").arg("-S").arg(self.socket()).env("SHELL", "/bin/sh");
        command.env_remove("TMUX").env_remove("TMUX_PANE").stdin(Stdio::null());
        command
    }

    /// Runs a command of tmux; what it prints.
    pub fn run(&self, arguments: &[&str]) -> io::Result<String> {
        let output = self.command().args(arguments).output()?;
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(io::Error::other(format!("tmux {arguments:?}: {complaint}")));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// Its CPU time, with that of the shells that it has run for hooks.
    pub fn cpu(&self) -> io::Result<Duration> {
        Ok(process::cpu(self.pid)? + process::cpu_of_ended(self.pid)?)
    }

    /// A connection that gives commands at once, without a process for each.
    pub fn hand(&self) -> io::Result<Hand> {
        let mut command = self.command();
        command.args(["-C", "attach-session", "-t", "$0", "-f", "no-output,ignore-size"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("a child without the pipes that it was given"));
        };
        let mut stdout = BufReader::new(stdout);
        let mut line = Vec::new();
        // The first thing that it is told when it is attached.
        while !line.starts_with(b"%session-changed") {
            line.clear();
            if stdout.read_until(b'\n', &mut line)? == 0 {
                return Err(io::Error::other("tmux lets no control client in"));
            }
        }
        // One that does not read would be kept for ever.
        let reader = std::thread::spawn(move || io::copy(&mut stdout, &mut io::sink()).map(drop));
        Ok(Hand { child, stdin: Some(stdin), reader: Some(reader) })
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = self.command().arg("kill-server").stderr(Stdio::null()).status();
    }
}

/// A control client that gives commands.
#[derive(Debug)]
pub struct Hand {
    child: Child,
    stdin: Option<ChildStdin>,
    reader: Option<JoinHandle<io::Result<()>>>,
}

impl Hand {
    /// Gives a command, and does not wait.
    pub fn does(&mut self, command: &str) -> io::Result<()> {
        let stdin = self.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(stdin, "{command}")
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        // At the end of what it is given, tmux lets it go.
        drop(self.stdin.take());
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}
