//! Asks tmux, by running `tmux` for each question: a connection of its own, apart from the control clients, which may be
//! wedged. What is asked after each change goes to them first ([`crate::watching`]): to run a program takes 3 ms.
//!
//! Blocking: call it in `spawn_blocking`. Targets are ids, never names; no text of anybody else is ever an argument.

use crate::tree::id::PaneId;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use thiserror::Error;

/// A server that takes longer is stopped or stuck. An answer takes about 3 ms. Somebody waits for it: who gave a command, or who
/// stops the source.
const PATIENCE: Duration = Duration::from_secs(3);

/// The same where nobody waits, and where to give up costs more: on a busy machine to start a program alone may take seconds.
const LONG_PATIENCE: Duration = Duration::from_secs(15);

/// A longer answer is cut off and refused. A pane of 10,000 lines has about 1 MiB.
pub(crate) const LONGEST_ANSWER: usize = 16 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum AskError {
    /// There is no such program.
    #[error("tmux is not installed")]
    NotInstalled,
    /// Nobody listens.
    #[error("no tmux server runs")]
    NoServer,
    /// tmux has nothing by that id.
    #[error("tmux knows no such target: {0}")]
    NotFound(String),
    /// Somebody scrolls in the pane, or chooses from a list that it shows: keys would go there.
    #[error("the pane is in a mode, such as copy mode, which would take what is typed")]
    InMode,
    /// tmux refused the question, for this reason.
    #[error("tmux refuses: {0}")]
    Refused(String),
    /// No answer in time.
    #[error("tmux does not answer")]
    Slow,
    /// The answer was not understood.
    #[error("an answer of tmux cannot be understood: {0}")]
    Strange(String),
    /// The program could not be run.
    #[error("cannot run tmux: {0}")]
    Io(#[from] io::Error),
}

/// How tmux is run.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    tmux: PathBuf,
    socket: PathBuf,
    patience: Duration,
}

impl Program {
    pub(crate) fn new(tmux: PathBuf, socket: PathBuf) -> Self {
        Self { tmux, socket, patience: PATIENCE }
    }

    /// The same, which waits longer for an answer: for questions for whose answer nobody waits.
    pub(crate) fn patient(&self) -> Self {
        Self { patience: LONG_PATIENCE, ..self.clone() }
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// A command for this server. `-u`: without it, what is not ASCII becomes `_` in a daemon without a locale.
    pub(crate) fn command(&self) -> Command {
        self.dressed(Command::new(&self.tmux))
    }

    /// Starts a client that stays, on pipes. The kernel ends it with the thread that calls this, however that ends: tmux never
    /// lets a client go that it has something to say to and that nobody reads, and such a client keeps a server alive that is
    /// killed. By a signal that the client may take at its own time: tmux crashes when it loses one that is introducing
    /// itself. Where there is no `setpriv`, it is left to tmux.
    pub(crate) fn stay(&self, arguments: &[&str]) -> io::Result<Child> {
        let spawn = |mut command: Command| {
            command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
        };
        let mut tied = Command::new("setpriv");
        tied.args(["--pdeathsig", "TERM", "--"]).arg(&self.tmux);
        match spawn(self.dressed(tied)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => spawn(self.command()),
            started => started,
        }
    }

    fn dressed(&self, mut command: Command) -> Command {
        command.arg("-u").arg("-S").arg(&self.socket).env_remove("TMUX").env_remove("TMUX_PANE");
        command
    }

    /// Asks, and waits for the whole answer.
    pub(crate) fn ask(&self, question: &[&str]) -> Result<Vec<u8>, AskError> {
        let deadline = Instant::now() + self.patience;
        let mut command = self.command();
        command.args(question).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Running(command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => AskError::NotInstalled,
            _ => AskError::Io(error),
        })?);
        let mut answer = Vec::new();
        let mut complaint = Vec::new();
        let child = &mut child.0;
        read_both(child, &mut answer, &mut complaint, deadline)?;
        // Both ends are closed: it ends now, or it is no tmux.
        if child.wait()?.success() { Ok(answer) } else { Err(understood(&String::from_utf8_lossy(&complaint))) }
    }

    /// Runs a tmux command, if this server is still the one that answers. Ids begin anew with each server: without the
    /// check in the server itself, a command for one that just died would reach a pane of the next one.
    pub(crate) fn ask_server(&self, server: u32, command: &str) -> Result<Vec<u8>, AskError> {
        let is_it = format!("#{{==:#{{pid}},{server}}}");
        let answer = self.ask(&["if-shell", "-F", &is_it, command, "display-message -p another"])?;
        if answer == b"another\n" { Err(AskError::NoServer) } else { Ok(answer) }
    }

    /// The same for what types into a pane, if that would reach its program: in a mode of tmux each key does what it is bound
    /// to there, which may be any command.
    pub(crate) fn type_into(&self, server: u32, pane: PaneId, command: &str) -> Result<(), AskError> {
        let (target, mark) = (pane.to_string(), "not typed:");
        let reaches = format!("#{{&&:#{{==:#{{pid}},{server}}},#{{==:#{{pane_in_mode}},0}}}}");
        let otherwise = format!("display-message -p -t {pane} '{mark} #{{pid}} #{{pane_id}}'");
        let answer = self.ask(&["if-shell", "-F", "-t", &target, &reaches, command, &otherwise])?;
        let Some(why) = String::from_utf8_lossy(&answer).strip_prefix(mark).map(|why| why.trim().to_owned()) else {
            return Ok(());
        };
        Err(match why.split_once(' ') {
            Some((pid, id)) if pid == server.to_string() && id == target => AskError::InMode,
            _ if why == server.to_string() => AskError::NotFound(target),
            _ => AskError::NoServer,
        })
    }
}

/// Reads both ends until they are closed. One after the other would not do: a program that fills the one while the other
/// is read waits for ever.
fn read_both(
    child: &mut Child,
    answer: &mut Vec<u8>,
    complaint: &mut Vec<u8>,
    deadline: Instant,
) -> Result<(), AskError> {
    let mut out = child.stdout.take();
    let mut err = child.stderr.take();
    let mut buffer = vec![0; 64 * 1024];
    while out.is_some() || err.is_some() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(AskError::Slow);
        }
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        let mut ready = [false; 2];
        {
            let mut ends: Vec<PollFd<'_>> = Vec::with_capacity(2);
            ends.extend(out.iter().map(|end| PollFd::new(end, PollFlags::IN)));
            ends.extend(err.iter().map(|end| PollFd::new(end, PollFlags::IN)));
            match poll(&mut ends, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(AskError::Io(error.into())),
            }
            let mut ends = ends.iter().map(|end| !end.revents().is_empty());
            if out.is_some() {
                ready[0] = ends.next().unwrap_or_default();
            }
            ready[1] = ends.next().unwrap_or_default();
        }
        if ready[0] {
            read_some(&mut out, &mut buffer, answer)?;
        }
        if ready[1] {
            read_some(&mut err, &mut buffer, complaint)?;
        }
    }
    Ok(())
}

/// Reads what is there; an end that is closed is taken away.
fn read_some(end: &mut Option<impl Read>, buffer: &mut [u8], all: &mut Vec<u8>) -> Result<(), AskError> {
    let Some(reader) = end else { return Ok(()) };
    let count = reader.read(buffer)?;
    if all.len() + count > LONGEST_ANSWER {
        return Err(AskError::Strange(format!("it is longer than {LONGEST_ANSWER} bytes")));
    }
    all.extend_from_slice(&buffer[..count]);
    if count == 0 {
        *end = None;
    }
    Ok(())
}

/// What tmux's words on stderr mean.
fn understood(complaint: &str) -> AskError {
    let complaint = complaint.trim();
    let nobody = ["no server running", "error connecting to", "server exited", "lost server"];
    if nobody.iter().any(|words| complaint.starts_with(words)) {
        return AskError::NoServer;
    }
    if complaint.starts_with("can't find") {
        return AskError::NotFound(complaint.to_owned());
    }
    AskError::Refused(complaint.to_owned())
}

/// A child that does not outlive its question.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program in place of tmux. Another process writes it: a test beside this one that forks while it is open for
    /// writing would keep it from being run.
    fn fake(dir: &Path, text: &str) -> Program {
        let program = dir.join("tmux");
        let script = format!("#!/bin/sh\n{text}\n");
        let mut write = Command::new("sh");
        write.args(["-c", r#"printf %s "$2" >"$1"; chmod 755 "$1""#, "sh"]).arg(&program).arg(script);
        assert!(write.status().unwrap().success());
        Program::new(program, dir.join("socket"))
    }

    #[test]
    fn a_missing_program_is_told_apart_from_a_missing_server() {
        let dir = tempfile::tempdir().unwrap();
        let tmux = Program::new(dir.path().join("none"), dir.path().join("s"));
        assert!(matches!(tmux.ask(&["list-sessions"]), Err(AskError::NotInstalled)));
        let tmux = Program::new("tmux".into(), dir.path().join("s"));
        assert!(matches!(tmux.ask(&["list-sessions"]), Err(AskError::NoServer)));
    }

    /// A daemon that is killed tells nobody.
    #[test]
    fn a_client_that_stays_ends_with_the_thread_that_started_it() {
        let dir = tempfile::tempdir().unwrap();
        let tmux = fake(dir.path(), "echo runs; exec sleep 600");
        let start = move || {
            let mut child = tmux.stay(&["-C"]).unwrap();
            // Only one that runs is tied to us.
            child.stdout.as_mut().unwrap().read_exact(&mut [0; 5]).unwrap();
            child
        };
        let mut child = std::thread::spawn(start).join().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "it outlives us");
            std::thread::yield_now();
        }
    }

    /// A stopped server would otherwise hold a thread of ours for good.
    #[test]
    fn a_server_that_does_not_answer_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let tmux = fake(dir.path(), "exec sleep 60");
        let tmux = Program { patience: Duration::from_millis(100), ..tmux };
        let asked = tmux.ask(&["list-sessions"]);
        assert!(matches!(asked, Err(AskError::Slow)), "{asked:?}");
    }

    /// Both ends hold 64 KiB: reading one to its end first would wait for ever.
    #[test]
    fn much_on_both_ends_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let tmux = fake(dir.path(), "head -c 300000 /dev/zero >&2; head -c 200000 /dev/zero; exit 0");
        assert_eq!(tmux.ask(&[]).unwrap().len(), 200_000);
    }

    #[test]
    fn what_tmux_says_is_understood() {
        assert!(matches!(understood("no server running on /tmp/x\n"), AskError::NoServer));
        assert!(matches!(understood("error connecting to /tmp/x (No such file)"), AskError::NoServer));
        assert!(matches!(understood("can't find pane: %9"), AskError::NotFound(_)));
        assert!(matches!(understood("unknown command: foo"), AskError::Refused(_)));
    }
}
