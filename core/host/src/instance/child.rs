//! The child process: what `headwater plugin-host` runs. It ties its life to the daemon's, takes its end of the link from
//! standard input, and hosts one instance with plain threads: a runtime would only cost memory here.
//!
//! For an `exec` source it is a step on the way: it ties its life, sets the memory limit, and becomes the program.

use super::{inlet::Inlet, serve::serve};
use crate::{link::outbox::Outbox, plugin::loader};
use rustix::process::{Pid, Resource, Rlimit, Signal, getppid, set_parent_process_death_signal, setrlimit};
use std::{
    ffi::{CString, OsString},
    fs::File,
    io::{self, Write},
    os::{
        fd::AsFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::{self, Command, ExitCode},
    sync::Arc,
    thread,
    time::Instant,
};

/// The exit code when the arguments or the system are not as they should be; the reason stands on standard error.
const CANNOT_BEGIN: u8 = 71;

/// What the daemon tells a child on its command line.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Arguments {
    /// The daemon's process id.
    pub(crate) parent: i32,
    /// The source's name.
    pub(crate) name: String,
    /// Bytes of memory that it may take.
    pub(crate) memory_limit: Option<u64>,
    /// What it becomes.
    pub(crate) role: Role,
}

/// The two things that a child can be.
#[derive(Debug, PartialEq)]
pub(crate) enum Role {
    /// The host of this plugin.
    Plugin(PathBuf),
    /// This program.
    Exec(Vec<OsString>),
}

impl Default for Role {
    fn default() -> Self {
        Self::Exec(Vec::new())
    }
}

impl Arguments {
    /// As the command line that [`Self::read`] reads.
    pub(crate) fn write(self) -> Vec<OsString> {
        let mut line: Vec<OsString> =
            vec!["--parent".into(), self.parent.to_string().into(), "--name".into(), self.name.into()];
        if let Some(limit) = self.memory_limit {
            line.extend(["--memory-limit".into(), limit.to_string().into()]);
        }
        match self.role {
            Role::Plugin(path) => line.extend(["--plugin".into(), path.into()]),
            Role::Exec(program) => line.extend([OsString::from("--")].into_iter().chain(program)),
        }
        line
    }

    fn read(line: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let mut line = line.into_iter();
        let mut arguments = Self::default();
        while let Some(option) = line.next() {
            if option == "--" {
                arguments.role = Role::Exec(line.by_ref().collect());
                break;
            }
            let value = line.next().ok_or_else(|| format!("{} needs a value", option.display()))?;
            let number = || value.to_str().and_then(|text| text.parse::<u64>().ok());
            let bad = || format!("{} is no value of {}", value.display(), option.display());
            match option.to_str() {
                Some("--parent") => {
                    arguments.parent = number().and_then(|n| i32::try_from(n).ok()).ok_or_else(bad)?;
                }
                Some("--memory-limit") => arguments.memory_limit = Some(number().ok_or_else(bad)?),
                Some("--name") => arguments.name = value.to_string_lossy().into_owned(),
                Some("--plugin") => arguments.role = Role::Plugin(value.into()),
                _ => return Err(format!("unknown option {}", option.display())),
            }
        }
        if arguments.parent == 0 || arguments.role == Role::default() {
            return Err("it is started by the daemon, not by hand".into());
        }
        Ok(arguments)
    }
}

/// Runs one source for the daemon that started this process, until the link closes. `arguments` are those after
/// `plugin-host`; people do not call this.
pub fn plugin_host_main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Arguments::read(arguments).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("headwater plugin-host: {reason}");
            ExitCode::from(CANNOT_BEGIN)
        }
    }
}

fn run(arguments: Arguments) -> Result<(), String> {
    tie_to(arguments.parent).map_err(|error| format!("cannot tie its life to the daemon's: {error}"))?;
    if let Some(limit) = arguments.memory_limit {
        limit_memory(limit).map_err(|error| format!("cannot set a memory limit of {limit} bytes: {error}"))?;
    }
    match arguments.role {
        Role::Plugin(path) => host(&path, &arguments.name),
        Role::Exec(program) => {
            let (program, rest) = program.split_first().ok_or("no program is named")?;
            let error = Command::new(program).args(rest).exec();
            Err(format!("cannot run {}: {error}", program.display()))
        }
    }
}

/// The kernel kills this process when the daemon dies, however it dies.
fn tie_to(parent: i32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before that.
    if getppid().map(Pid::as_raw_nonzero).map(i32::from) != Some(parent) {
        return Err(io::Error::other("the daemon is gone"));
    }
    Ok(())
}

/// Data, not address space: an allocator reserves far more addresses than it uses, and a limit on those would strike
/// a program that is nowhere near it.
fn limit_memory(bytes: u64) -> io::Result<()> {
    Ok(setrlimit(Resource::Data, Rlimit { current: Some(bytes), maximum: Some(bytes) })?)
}

fn host(plugin: &Path, name: &str) -> Result<(), String> {
    let begin = |error: io::Error| format!("cannot take its end of the link: {error}");
    // Duplicated without inheritance: a process that the plugin starts must not hold the link open.
    let link = UnixStream::from(io::stdin().as_fd().try_clone_to_owned().map_err(begin)?);
    rustix::stdio::dup2_stdin(File::open("/dev/null").map_err(begin)?).map_err(|error| begin(error.into()))?;
    // For `ps` and `top`. 15 bytes are all there is room for.
    let short: Vec<u8> = format!("hw:{name}").into_bytes().into_iter().filter(|byte| *byte != 0).take(15).collect();
    if let Ok(title) = CString::new(short) {
        let _ = rustix::thread::set_name(&title);
    }

    let outbox = Arc::new(Outbox::default());
    let mut socket = link.try_clone().map_err(begin)?;
    let waiting = outbox.clone();
    let write = move || {
        let (mut chunk, mut last) = (Vec::new(), Instant::now());
        while waiting.take_batch(&mut chunk, &mut last) {
            if socket.write_all(&chunk).is_err() {
                break;
            }
        }
        // All is said, or nobody listens. What the plugin left running ends with the process.
        process::exit(0);
    };
    let writer = thread::Builder::new().name("hw-write".into()).spawn(write).map_err(begin)?;
    serve(|| loader::open(plugin), Inlet::Socket(link), &outbox);
    let _ = writer.join();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_come_out_as_they_went_in() {
        for role in
            [Role::Plugin("/tmp/a b.so".into()), Role::Exec(vec!["python3".into(), "--plugin".into(), "--".into()])]
        {
            let make = |role| Arguments { parent: 7, name: "disk".into(), memory_limit: Some(1 << 40), role };
            let copy = match &role {
                Role::Plugin(path) => Role::Plugin(path.clone()),
                Role::Exec(program) => Role::Exec(program.clone()),
            };
            assert_eq!(Arguments::read(make(role).write()).unwrap(), make(copy));
        }
    }

    #[test]
    fn by_hand_it_says_that_it_is_not_for_hands() {
        let read = |line: &[&str]| Arguments::read(line.iter().map(OsString::from)).unwrap_err();
        assert_eq!(read(&[]), "it is started by the daemon, not by hand");
        assert_eq!(read(&["--parent"]), "--parent needs a value");
        assert_eq!(read(&["--parent", "x"]), "x is no value of --parent");
        assert_eq!(read(&["--frob", "x"]), "unknown option --frob");
    }

    #[test]
    fn a_child_of_another_process_refuses_to_run() {
        assert!(tie_to(i32::MAX).unwrap_err().to_string().contains("the daemon is gone"));
        set_parent_process_death_signal(None).unwrap();
    }
}
