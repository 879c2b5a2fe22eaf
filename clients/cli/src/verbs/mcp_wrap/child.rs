//! The server's process: started with our standard error, told our signals, and followed in how it ends.

use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, Signal, pidfd_open, pidfd_send_signal, setrlimit};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2},
    iterator::Signals,
    low_level::emulate_default_handler,
};
use std::{
    ffi::{OsStr, OsString},
    io::{self, PipeReader, PipeWriter, pipe},
    os::{
        fd::OwnedFd,
        unix::{fs::PermissionsExt, process::ExitStatusExt},
    },
    path::Path,
    process::{Command, ExitCode, ExitStatus, Stdio},
};

/// The signals that are passed on: those by which others ask a process for something, and that end it where it does not
/// know them.
const PASSED_ON: [i32; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];

/// The server.
pub(super) struct Child(std::process::Child);

/// Our ends of its pipes.
pub(super) struct Pipes {
    pub(super) input: PipeWriter,
    pub(super) output: PipeReader,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Code(u8),
    Signal(i32),
}

/// Why it does not start.
#[derive(Debug, thiserror::Error)]
#[error("{command}: {reason}")]
pub(super) struct NotStarted {
    command: String,
    reason: io::Error,
}

impl NotStarted {
    /// As shells and `env` have it: 127 where there is no such program, 126 where it does not run.
    pub(super) fn code(&self) -> u8 {
        if self.reason.kind() == io::ErrorKind::NotFound { 127 } else { 126 }
    }
}

impl Child {
    /// Starts it.
    pub(super) fn start(words: &[OsString]) -> Result<(Self, Pipes), NotStarted> {
        let (command, arguments) = words.split_first().expect("invariant: clap requires a command");
        let not_started = |reason| NotStarted { command: command.to_string_lossy().into_owned(), reason };
        let (stdin, input) = pipe().map_err(not_started)?;
        let (output, stdout) = pipe().map_err(not_started)?;
        let mut start = tied(command);
        start.args(arguments).stdin(Stdio::from(stdin)).stdout(Stdio::from(stdout));
        let child = start.spawn().map_err(not_started)?;
        // Its ends of the pipes are in `start`: held on, they would keep the pipes open after its end.
        drop(start);
        let child = Self(child);
        // Not before: it has the dispositions that we were given, such as a SIGHUP that `nohup` has it ignore.
        if let Some(process) =
            Pid::from_raw(child.0.id().cast_signed()).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
        {
            pass_on(process);
        }
        Ok((child, Pipes { input, output }))
    }

    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Waits for its end.
    pub(super) fn wait(&mut self) -> Ending {
        loop {
            match self.0.wait() {
                Ok(status) => return Ending::of(status),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Somebody has us ignore the ends of children; how it ended is not known then.
                Err(_) => return Ending::Code(1),
            }
        }
    }
}

/// Begins the command line of the server. `setpriv` has the kernel kill it with the thread that starts it: a client that
/// kills us, since it would kill the server, leaves no server behind that hangs. It becomes the server, which keeps its id. Only
/// where the server could be started is it asked for that: it would tell of failures in its own way.
fn tied(command: &OsStr) -> Command {
    let setpriv = Path::new("/usr/bin/setpriv");
    if !(runs(setpriv) && is_program(command)) {
        return Command::new(command);
    }
    let mut tied = Command::new(setpriv);
    tied.args(["--pdeathsig", "KILL", "--"]).arg(command);
    tied
}

/// Whether there is such a program, as it would be looked for.
fn is_program(command: &OsStr) -> bool {
    if command.as_encoded_bytes().contains(&b'/') {
        return runs(Path::new(command));
    }
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| runs(&dir.join(command))))
}

fn runs(file: &Path) -> bool {
    file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

impl Ending {
    fn of(status: ExitStatus) -> Self {
        match (status.signal(), status.code()) {
            (Some(signal), _) => Self::Signal(signal),
            (None, code) => Self::Code(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
        }
    }
}

/// Passes signals on for as long as this process lives. By a descriptor: a number may be somebody else's by then.
fn pass_on(process: OwnedFd) {
    let Ok(mut signals) = Signals::new(PASSED_ON) else { return };
    let passing = move || {
        for signal in signals.forever() {
            if let Some(signal) = Signal::from_named_raw(signal) {
                let _ = pidfd_send_signal(&process, signal);
            }
        }
    };
    // Without this thread a signal would be lost on us; it then ends us, and the server sees the end of its input.
    let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(passing);
}

/// Ends this process by a signal, so that whoever waits for it sees what it would have seen of the server.
pub(super) fn die_of(signal: i32) -> ExitCode {
    // The server has written its core file; ours would tell of nothing.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = emulate_default_handler(signal);
    // One that does not end a process, or that nobody knows: as shells have it.
    ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn words(line: &[&str]) -> Vec<OsString> {
        line.iter().map(OsString::from).collect()
    }

    fn runs(pid: u32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
    }

    /// Harm prevented: a client kills the wrapper of a server that hangs, and the server runs on and on.
    #[test]
    fn the_server_dies_with_who_started_it() {
        // Nothing of it is dropped: its input stays open, and nobody kills it.
        let start = || {
            let (child, pipes) = Child::start(&words(&["sleep", "600"])).unwrap();
            let pid = child.pid();
            // Before it has become that program, it has not asked to die with us.
            while std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| !words.starts_with(b"sleep")) {
                std::thread::yield_now();
            }
            std::mem::forget((child, pipes));
            pid
        };
        let pid = std::thread::spawn(start).join().unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while runs(pid) {
            assert!(Instant::now() < deadline, "it runs on");
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_cannot_be_started_is_told_as_without_a_wrapper() {
        let code = |command: &str| Child::start(&words(&[command])).err().unwrap().code();
        assert_eq!((code("no-such-program-here"), code("/nowhere/at/all"), code("/etc/passwd")), (127, 127, 126));
    }
}
