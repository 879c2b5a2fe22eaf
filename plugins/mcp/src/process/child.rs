//! A server that we started: its pipes, its process group, its end.
//!
//! It is the leader of a group of its own, which is killed as a whole. `setpriv` has the kernel end it with the thread that
//! started it, however that ends; where there is none, it ends when its input does. What it has put into other groups
//! is not ours to kill: it is told.

use super::{
    Process,
    exits::{self, Pidfd},
    proc,
};
use crate::discovery::Stdio as Launch;
use headwater_plugin::tokio::net::unix::pipe;
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    collections::BTreeSet,
    ffi::OsString,
    io,
    os::{
        fd::OwnedFd,
        unix::{fs::PermissionsExt, process::CommandExt, process::ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// What a server inherits of our environment, besides what its config gives it. Not all of it: the daemon's own secrets are
/// not every server's.
const INHERITED: [&str; 17] = [
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LOGNAME",
    "NODE_EXTRA_CA_CERTS",
    "PATH",
    "PIP_INDEX_URL",
    "SHELL",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
    "UV_CACHE_DIR",
    "XDG_CACHE_HOME",
];

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpawnError {
    /// There is no such program.
    #[error("there is no such program")]
    NoProgram,
    /// There is no such directory to run it in.
    #[error("there is no such directory to run it in")]
    NoDirectory,
    /// The system refused.
    #[error("it cannot be started: {0}")]
    Io(#[from] io::Error),
}

impl SpawnError {
    /// For people, with what stands where the server is named: what variables in it stand for is not told, and of a command
    /// only the program.
    pub(crate) fn told(&self, text: &Launch) -> String {
        match (self, &text.cwd) {
            (Self::NoProgram, _) => format!("there is no program `{}`", text.program()),
            (Self::NoDirectory, Some(directory)) => format!("there is no directory {}", directory.display()),
            _ => self.to_string(),
        }
    }
}

/// A server that we started. Dropped, it is killed with its group.
#[derive(Debug)]
pub(crate) struct Owned {
    child: Child,
    process: Process,
    pidfd: Option<Pidfd>,
    group: Option<Pid>,
    /// What was seen below it.
    below: BTreeSet<Process>,
    reaped: bool,
}

/// Its three pipes.
#[derive(Debug)]
pub(crate) struct Pipes {
    pub(crate) stdin: pipe::Sender,
    pub(crate) stdout: pipe::Receiver,
    pub(crate) stderr: pipe::Receiver,
}

/// How it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ending {
    /// Its exit code.
    pub(crate) code: Option<i32>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    /// What was left of its group, and was killed.
    pub(crate) killed: Vec<Process>,
    /// What it has left running in other groups.
    pub(crate) orphans: Vec<Process>,
}

impl Owned {
    /// Starts it.
    pub(crate) fn spawn(launch: &Launch) -> Result<(Self, Pipes), SpawnError> {
        let directory = launch.cwd.as_deref();
        if directory.is_some_and(|directory| !directory.is_dir()) {
            return Err(SpawnError::NoDirectory);
        }
        let path = launch.env.get("PATH").map(OsString::from).or_else(|| std::env::var_os("PATH"));
        let program = find(&launch.command, path, directory).ok_or(SpawnError::NoProgram)?;
        let dressed = |mut command: Command| {
            command.args(&launch.args).env_clear();
            command.envs(INHERITED.iter().filter_map(|name| std::env::var_os(name).map(|value| (*name, value))));
            command.envs(&launch.env);
            if let Some(directory) = directory {
                command.current_dir(directory);
            }
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn()
        };
        let mut tied = Command::new("/usr/bin/setpriv");
        tied.args(["--pdeathsig", "KILL", "--"]).arg(&program);
        let mut child = match dressed(tied) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => dressed(Command::new(&program))?,
            started => started?,
        };
        let ends = child.stdin.take().zip(child.stdout.take()).zip(child.stderr.take());
        let ((stdin, stdout), stderr) = ends.expect("invariant: all three were asked for");
        let pid = child.id();
        // Nobody has waited for it: it has this id, even if it has ended already.
        let process = Process { pid, started: proc::stat(pid).map_or(0, |stat| stat.started) };
        let mut owned = Self {
            child,
            process,
            pidfd: None,
            group: i32::try_from(pid).ok().and_then(Pid::from_raw),
            below: BTreeSet::new(),
            reaped: false,
        };
        owned.pidfd = exits::open(process)?;
        let pipes = Pipes {
            stdin: pipe::Sender::from_owned_fd(OwnedFd::from(stdin))?,
            stdout: pipe::Receiver::from_owned_fd(OwnedFd::from(stdout))?,
            stderr: pipe::Receiver::from_owned_fd(OwnedFd::from(stderr))?,
        };
        Ok((owned, pipes))
    }

    /// Its process.
    pub(crate) fn process(&self) -> Process {
        self.process
    }

    /// Waits until it has ended. Cancel-safe.
    pub(crate) async fn exited(&self) {
        match &self.pidfd {
            Some(pidfd) if pidfd.readable().await.is_ok() => {}
            // It cannot be waited for; then its pipes tell its end.
            _ => std::future::pending().await,
        }
    }

    /// How it has ended, for people, before anything is tidied up.
    pub(crate) fn how(&self) -> Option<String> {
        let code = proc::exit_code(self.process.pid)?;
        let ending = match code & 0x7f {
            0 => Ending { code: Some((code >> 8) & 0xff), ..Ending::default() },
            signal => Ending { signal: Some(signal), ..Ending::default() },
        };
        Some(ending.told())
    }

    /// Looks what runs below it, for the time when it has ended.
    pub(crate) fn look(&mut self) {
        let now = proc::tree(self.process.pid).into_iter().skip(1);
        self.below.retain(|process| proc::runs(*process));
        self.below.extend(now.map(|(pid, stat)| Process { pid, started: stat.started }));
    }

    /// Asks its group to end.
    pub(crate) fn ask_to_end(&self) {
        self.signal(Signal::TERM);
    }

    fn signal(&self, signal: Signal) {
        // Not after it was waited for: the number may mean another group then.
        if let Some(group) = self.group.filter(|_| !self.reaped) {
            let _ = kill_process_group(group, signal);
        }
    }

    /// Ends it, if it has not ended, and all that is left of its group, and says how it ended.
    pub(crate) fn end(mut self) -> Ending {
        self.look();
        self.finish()
    }

    fn finish(&mut self) -> Ending {
        if self.reaped {
            return Ending::default();
        }
        let pid = self.process.pid;
        let killed: Vec<Process> = proc::all()
            .into_iter()
            .filter(|other| *other != pid)
            .filter_map(|other| proc::stat(other).map(|stat| (other, stat)))
            .filter(|(_, stat)| stat.group == pid && !stat.ended)
            .map(|(pid, stat)| Process { pid, started: stat.started })
            .collect();
        self.signal(Signal::KILL);
        let status = self.child.wait();
        self.reaped = true;
        let mut orphans: Vec<Process> =
            self.below.iter().copied().filter(|process| !killed.contains(process)).collect();
        orphans.retain(|process| proc::runs(*process));
        Ending {
            code: status.as_ref().ok().and_then(std::process::ExitStatus::code),
            signal: status.as_ref().ok().and_then(ExitStatusExt::signal),
            killed,
            orphans,
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Ending {
    /// For people: `exit code 3`, `signal 9`.
    pub(crate) fn told(&self) -> String {
        match (self.code, self.signal) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "it ended".to_owned(),
        }
    }
}

/// The file of a program, as a shell finds it.
fn find(command: &str, path: Option<OsString>, directory: Option<&Path>) -> Option<PathBuf> {
    let runs =
        |file: &Path| file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0);
    if command.contains('/') {
        let file = directory.unwrap_or(Path::new("")).join(command);
        return runs(&file).then(|| std::path::absolute(&file).unwrap_or(file));
    }
    std::env::split_paths(&path?).map(|directory| directory.join(command)).find(|file| runs(file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_plugin::tokio::{
        self,
        io::{AsyncReadExt, AsyncWriteExt},
        time::timeout,
    };
    use std::time::Duration;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn sh(script: &str) -> Launch {
        let args = vec!["-c".to_owned(), script.to_owned()];
        Launch {
            command: "sh".to_owned(),
            args,
            env: [("GIVEN".to_owned(), "yes".to_owned())].into(),
            ..Launch::default()
        }
    }

    async fn read(from: &mut pipe::Receiver) -> String {
        let mut line = Vec::new();
        let read = async {
            while !line.ends_with(b"\n") {
                match from.read_u8().await {
                    Ok(byte) => line.push(byte),
                    Err(_) => break,
                }
            }
        };
        timeout(PATIENCE, read).await.unwrap();
        String::from_utf8(line).unwrap().trim().to_owned()
    }

    #[tokio::test]
    async fn it_speaks_over_pipes_and_tells_how_it_ended() {
        let (owned, mut pipes) = Owned::spawn(&sh("read x; echo got $x $GIVEN; exit 3")).unwrap();
        pipes.stdin.write_all(b"word\n").await.unwrap();
        assert_eq!(read(&mut pipes.stdout).await, "got word yes");
        timeout(PATIENCE, owned.exited()).await.unwrap();
        assert_eq!(owned.how().as_deref(), Some("exit code 3"));
        let ending = owned.end();
        assert_eq!((ending.code, ending.told().as_str()), (Some(3), "exit code 3"));
        let (owned, _pipes) = Owned::spawn(&sh("kill -9 $$")).unwrap();
        timeout(PATIENCE, owned.exited()).await.unwrap();
        assert_eq!(owned.how().as_deref(), Some("signal 9"));
        assert_eq!(owned.end().told(), "signal 9");
    }

    /// The daemon's own secrets are not every server's.
    #[tokio::test]
    async fn it_gets_no_more_of_our_environment_than_it_needs() {
        let (_owned, mut pipes) = Owned::spawn(&sh("env | cut -d= -f1 | sort | tr '\\n' ' '; echo")).unwrap();
        let names = read(&mut pipes.stdout).await;
        let foreign: Vec<&str> = names
            .split_whitespace()
            .filter(|name| !INHERITED.contains(name) && !["GIVEN", "PWD", "OLDPWD", "SHLVL", "_"].contains(name))
            .collect();
        assert!(foreign.is_empty() && names.contains("GIVEN"), "{names}");
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "we have more than that");
    }

    #[tokio::test]
    async fn its_group_ends_with_it_and_what_left_the_group_is_told() {
        let script = "sleep 600 & echo $!; setsid sleep 601 & echo $!; read x";
        let (mut owned, mut pipes) = Owned::spawn(&sh(script)).unwrap();
        let pids =
            [read(&mut pipes.stdout).await, read(&mut pipes.stdout).await].map(|pid| pid.parse::<u32>().unwrap());
        let left = async {
            while proc::stat(pids[1]).is_none_or(|stat| stat.group != pids[1]) {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, left).await.unwrap();
        let [inside, outside] = pids.map(|pid| proc::process(pid).unwrap());
        owned.look();
        drop(pipes);
        timeout(PATIENCE, owned.exited()).await.unwrap();
        let ending = owned.end();
        let killed = async {
            while proc::runs(inside) {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, killed).await.unwrap();
        assert_eq!(ending.killed, [inside]);
        assert_eq!(ending.orphans, [outside]);
        assert!(proc::runs(outside), "it is not ours to kill");
        rustix::process::kill_process(Pid::from_raw(outside.pid as i32).unwrap(), Signal::KILL).unwrap();
    }

    #[tokio::test]
    async fn a_dropped_one_is_dead() {
        let (owned, _pipes) = Owned::spawn(&sh("trap '' TERM; while :; do sleep 1; done")).unwrap();
        let process = owned.process();
        assert!(proc::runs(process));
        drop(owned);
        assert!(!proc::runs(process));
    }

    /// Whoever started it is gone, and has had no time to tidy up.
    #[test]
    fn it_dies_with_the_thread_that_started_it() {
        let start = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let (owned, pipes) = runtime.block_on(async { Owned::spawn(&sh("exec sleep 600")).unwrap() });
            let process = owned.process();
            // Before it has become that program, it has not asked to die with us.
            while proc::argv(process.pid).is_none_or(|argv| argv[0] != "sleep") {
                std::thread::yield_now();
            }
            // Neither is dropped: its input stays open, and nobody kills it.
            std::mem::forget((owned, pipes));
            process
        };
        let process = std::thread::spawn(start).join().unwrap();
        let deadline = std::time::Instant::now() + PATIENCE;
        while proc::runs(process) {
            assert!(std::time::Instant::now() < deadline, "it runs on");
            std::thread::yield_now();
        }
    }

    #[tokio::test]
    async fn what_cannot_be_started_is_told_without_starting_anything() {
        let launch = |command: &str| Launch { command: command.to_owned(), ..Launch::default() };
        let told = |launch: &Launch| Owned::spawn(launch).unwrap_err().told(launch);
        assert_eq!(told(&launch("no-such-program-here")), "there is no program `no-such-program-here`");
        assert_eq!(told(&launch("/etc/passwd")), "there is no program `/etc/passwd`");
        let nowhere = Launch { cwd: Some("/nowhere".into()), ..launch("sh") };
        assert_eq!(told(&nowhere), "there is no directory /nowhere");
        // What stands in the file is told, and not what variables in it stand for.
        let text = Launch { cwd: Some("/${KEY}".into()), ..launch("${KEY}/bin/server --token abc") };
        assert_eq!(Owned::spawn(&nowhere).unwrap_err().told(&text), "there is no directory /${KEY}");
        let missing = launch("/s3cret/bin/server --token abc");
        assert_eq!(Owned::spawn(&missing).unwrap_err().told(&text), "there is no program `${KEY}/bin/server`");
    }
}
