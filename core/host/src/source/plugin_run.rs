//! The daemon's end of the link to one instance of a plugin, in a child process or in a thread of the daemon.

use super::{gate::Gate, gate::Refusal, said::Said};
use crate::{
    instance::{
        child::{Arguments, Role},
        inlet::Inlet,
        serve::serve,
    },
    link::{
        assembler::Assembler,
        message::{Down, Start, Up},
        outbox::{Full, Outbox},
    },
    plugin::image::Image,
    process::{Output, Process, Spawner},
    records::Records,
};
use std::{
    ffi::OsString,
    os::{fd::OwnedFd, unix::net::UnixStream as StdStream, unix::process::CommandExt},
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// How long the link of a process that has ended is still read: a process that it started may hold it open.
const REST: Duration = Duration::from_millis(200);
/// How long a process may take to end once it has closed its link.
const ENDING: Duration = Duration::from_secs(1);

/// A running instance.
pub(crate) struct PluginRun {
    to: Arc<Outbox>,
    from: From,
    assembler: Assembler,
    records: Arc<Records>,
}

enum From {
    Process {
        socket: OwnedReadHalf,
        process: Process,
        output: Output,
        /// Since the process has ended.
        rest: Option<Instant>,
        /// Writes what waits in the outbox; it ends with this.
        _writer: JoinSet<()>,
    },
    Thread {
        outbox: Arc<Outbox>,
        chunk: Vec<u8>,
    },
}

/// What an instance is started with.
pub(crate) struct Launch<'a> {
    pub(crate) source: &'a str,
    pub(crate) image: &'a Arc<Image>,
    pub(crate) memory_limit: Option<u64>,
    pub(crate) records: Arc<Records>,
}

impl PluginRun {
    /// Starts a child process that loads the plugin.
    pub(crate) async fn in_process(launch: Launch<'_>, spawner: &Spawner, child: &[OsString]) -> Result<Self, String> {
        let (ours, theirs) = StdStream::pair().map_err(|error| format!("cannot make a socket pair: {error}"))?;
        let (read, write) = std::io::pipe().map_err(|error| format!("cannot make a pipe: {error}"))?;
        let errors = write.try_clone().map_err(|error| format!("cannot make a pipe: {error}"))?;
        let arguments = Arguments {
            parent: i32::try_from(std::process::id()).unwrap_or(0),
            name: launch.source.to_owned(),
            memory_limit: launch.memory_limit,
            role: Role::Plugin(launch.image.path().to_owned()),
        };
        let mut command = child_command(child, arguments)?;
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(write).stderr(errors);
        let spawned = spawner.spawn(command).await.map_err(|error| error.to_string())?;
        let watch = |error: std::io::Error| format!("cannot watch the child process: {error}");
        let process = Process::new(spawned).map_err(watch)?;
        let output = Output::new(read, launch.records.clone()).map_err(watch)?;
        ours.set_nonblocking(true).map_err(watch)?;
        let (socket, write) = UnixStream::from_std(ours).map_err(watch)?.into_split();
        let to = Arc::new(Outbox::default());
        let mut writer = JoinSet::new();
        writer.spawn(copy(to.clone(), write));
        let from = From::Process { socket, process, output, rest: None, _writer: writer };
        Ok(Self { to, from, assembler: Assembler::default(), records: launch.records })
    }

    /// Starts a thread that loads the plugin into the daemon itself.
    pub(crate) fn in_thread(launch: Launch<'_>) -> Result<Self, String> {
        let (to, outbox) = (Arc::new(Outbox::default()), Arc::new(Outbox::default()));
        let (inlet, up, image) = (Inlet::Memory(to.clone()), outbox.clone(), launch.image.clone());
        let name: String = format!("hw:{}", launch.source).chars().filter(|c| *c != '\0').collect();
        thread::Builder::new()
            .name(name)
            .spawn(move || serve(|| image.load(), inlet, &up))
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        let from = From::Thread { outbox, chunk: Vec::new() };
        Ok(Self { to, from, assembler: Assembler::default(), records: launch.records })
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        match &self.from {
            From::Process { process, .. } => Some(process.id()),
            From::Thread { .. } => None,
        }
    }

    pub(crate) fn outbox(&self) -> &Arc<Outbox> {
        &self.to
    }

    pub(crate) fn start(&self, start: &Start<'_>) {
        let json =
            serde_json::to_vec(start).expect("invariant: settings that were read from a config have a JSON form");
        self.to.must(|buffer| Down::Start(&json).write(buffer));
    }

    pub(crate) fn send(&self, request: u64, json: &[u8]) -> Result<(), Full> {
        self.to.push(|buffer| Down::Send { request, json }.write(buffer))
    }

    pub(crate) fn credit(&self, count: u32) {
        match &self.from {
            From::Process { .. } => self.to.must(|buffer| Down::Credit(count).write(buffer)),
            // In one memory credit needs no message, and the instance's thread need not wake for it.
            From::Thread { outbox, .. } => outbox.grant(count),
        }
    }

    pub(crate) fn stop(&self, grace: Duration) {
        let grace_ms = grace.as_millis().try_into().unwrap_or(u64::MAX);
        self.to.must(|buffer| Down::Stop(grace_ms).write(buffer));
    }

    /// Kills the process. A thread cannot be killed: it is given up, and what it still says goes nowhere.
    pub(crate) fn kill(&mut self) {
        match &mut self.from {
            From::Process { process, .. } => process.kill(),
            From::Thread { outbox, .. } => outbox.close(),
        }
    }

    /// The next thing it says. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self, gate: &mut Gate) -> Said {
        loop {
            match self.assembler.next() {
                Ok(Some(frame)) => {
                    if let Some(said) = interpret(frame, gate, &self.records) {
                        return said;
                    }
                    continue;
                }
                Ok(None) => {}
                Err(_) => return Said::Broken,
            }
            match &mut self.from {
                From::Process { socket, process, rest, .. } => {
                    let until = rest.unwrap_or_else(Instant::now);
                    let count = tokio::select! {
                        biased;
                        read = socket.read(self.assembler.space()) => read.unwrap_or(0),
                        () = process.ended(), if rest.is_none() => {
                            *rest = Some(Instant::now() + REST);
                            continue;
                        }
                        () = sleep_until(until), if rest.is_some() => 0,
                    };
                    if count == 0 {
                        return Said::Closed;
                    }
                    self.assembler.filled(count);
                }
                From::Thread { outbox, chunk } => {
                    if !outbox.take(chunk).await {
                        return Said::Closed;
                    }
                    self.assembler.swap(chunk);
                }
            }
        }
    }

    /// How it ended, once nothing more comes. One that does not end is killed.
    pub(crate) async fn ending(&mut self) -> String {
        let From::Process { process, output, .. } = &mut self.from else {
            return "its thread ended".into();
        };
        let (mut reason, _) = process.end_within(ENDING).await;
        let last = output.last().await;
        if !last.is_empty() {
            reason = format!("{reason}; its last output: {}", last.join(" / "));
        }
        reason
    }
}

impl Drop for PluginRun {
    fn drop(&mut self) {
        // The writer, or the instance's thread, ends by this.
        self.to.close();
        if let From::Thread { outbox, .. } = &self.from {
            outbox.close();
        }
    }
}

/// The command that runs this daemon's own binary as a child.
pub(crate) fn child_command(child: &[OsString], arguments: Arguments) -> Result<Command, String> {
    let (program, rest) = child.split_first().ok_or("no command is set for child processes")?;
    let mut command = Command::new(program);
    // A group of its own: what it starts ends with it, and Ctrl-C in a terminal reaches only the daemon, which then ends
    // its sources in order.
    command.args(rest).args(arguments.write()).process_group(0);
    Ok(command)
}

async fn copy(from: Arc<Outbox>, mut to: OwnedWriteHalf) {
    let mut chunk = Vec::new();
    while from.take(&mut chunk).await {
        if to.write_all(&chunk).await.is_err() {
            // The child is gone; the reading side sees it too.
            break;
        }
    }
}

/// `None`: it was a log record, or something of another direction, and is dealt with.
fn interpret(frame: &[u8], gate: &mut Gate, records: &Records) -> Option<Said> {
    Some(match Up::read(frame) {
        Ok(Up::Events(events)) => match gate.admit(events) {
            Ok(admitted) => {
                let refused: u32 = admitted.refused.iter().map(|(_, count)| count).sum();
                let credit = admitted.drafts.len() as u32 + refused;
                Said::Events { admitted, credit }
            }
            Err(_) => Said::Broken,
        },
        Ok(Up::Log { level, target, message }) => {
            records.record(level, &target, &message);
            return None;
        }
        Ok(Up::Loaded) => Said::Loaded,
        Ok(Up::Failed(reason)) => Said::Failed(reason.into_owned()),
        Ok(Up::NotNow(reason)) => Said::NotNow(reason.into_owned()),
        Ok(Up::Started) => Said::Started,
        Ok(Up::State { state, detail }) => Said::State { state, detail: detail.into_owned() },
        Ok(Up::Oversize { count, size }) => Said::Dropped { count, why: Refusal::Size(size) },
        Ok(Up::Reply { request, json }) => Said::Reply { request, json: json.to_owned() },
        Ok(Up::Subscribe(json)) => Said::Subscribe(json.to_owned()),
        Ok(Up::Delivered(count)) => Said::Delivered(count),
        Ok(Up::Stopped(joined)) => Said::Stopped(joined),
        Err(_) => Said::Broken,
    })
}
