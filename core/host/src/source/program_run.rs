//! A running `exec` source: a program in any language that speaks lines. See [`super::line`] for what they say.

use super::{
    gate::{Admitted, Gate, Refusal},
    line::{self, Line},
    plugin_run::child_command,
    said::Said,
};
use crate::{
    instance::child::{Arguments, Role},
    link::outbox::{Full, Outbox},
    process::{Output, Process, Spawner},
    records::Records,
};
use serde_json::{Map, Value, json};
use std::{
    collections::VecDeque,
    env,
    ffi::OsString,
    fs, io,
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::unix::pipe,
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// The longest line. A longer one is skipped to its end and counts as a bad line.
const MAX_LINE: usize = 1 << 20;
/// What is read at once.
const READ: usize = 64 << 10;
/// How long the output of a program that has ended is still read: something that it started may hold it open.
const REST: Duration = Duration::from_millis(200);
/// How long a program may take to end once it has closed its output.
const ENDING: Duration = Duration::from_secs(2);

/// A program that runs.
pub(crate) struct ProgramRun {
    to: Arc<Outbox>,
    stdout: pipe::Receiver,
    buffer: Vec<u8>,
    /// Within a line that is too long.
    skipping: bool,
    greeted: bool,
    waiting: VecDeque<Said>,
    process: Process,
    output: Output,
    rest: Option<Instant>,
    _writer: JoinSet<()>,
}

/// What a program is started with.
pub(crate) struct Launch<'a> {
    pub(crate) source: &'a str,
    pub(crate) command: &'a [String],
    pub(crate) directory: &'a Path,
    pub(crate) memory_limit: Option<u64>,
    pub(crate) records: Arc<Records>,
}

impl ProgramRun {
    pub(crate) async fn start(launch: Launch<'_>, spawner: &Spawner, child: &[OsString]) -> Result<Self, String> {
        let program = launch.command.first().ok_or("`exec` names no program")?;
        look_for(program, launch.directory)?;
        let arguments = Arguments {
            parent: i32::try_from(std::process::id()).unwrap_or(0),
            name: launch.source.to_owned(),
            memory_limit: launch.memory_limit,
            role: Role::Exec(launch.command.iter().map(OsString::from).collect()),
        };
        let pipe = || io::pipe().map_err(|error| format!("cannot make a pipe: {error}"));
        let ((their_in, our_in), (our_out, their_out), (our_err, their_err)) = (pipe()?, pipe()?, pipe()?);
        let mut command = child_command(child, arguments)?;
        command.stdin(their_in).stdout(their_out).stderr(their_err).env("HEADWATER_SOURCE", launch.source);
        if !launch.directory.as_os_str().is_empty() {
            command.current_dir(launch.directory);
        }
        let spawned = spawner.spawn(command).await.map_err(|error| error.to_string())?;
        let watch = |error: io::Error| format!("cannot watch the program: {error}");
        let process = Process::new(spawned).map_err(watch)?;
        let output = Output::new(our_err, launch.records).map_err(watch)?;
        let stdout = pipe::Receiver::from_owned_fd(OwnedFd::from(our_out)).map_err(watch)?;
        let stdin = pipe::Sender::from_owned_fd(OwnedFd::from(our_in)).map_err(watch)?;
        let to = Arc::new(Outbox::default());
        let mut writer = JoinSet::new();
        writer.spawn(copy(to.clone(), stdin));
        Ok(Self {
            to,
            stdout,
            buffer: Vec::new(),
            skipping: false,
            greeted: false,
            waiting: VecDeque::new(),
            process,
            output,
            rest: None,
            _writer: writer,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn outbox(&self) -> &Arc<Outbox> {
        &self.to
    }

    pub(crate) fn configure(&self, settings: &Map<String, Value>) {
        let line = json!({ "kind": "config", "settings": settings }).to_string();
        self.to.must(|buffer| write_line(buffer, line.as_bytes()));
    }

    /// Sends a message: one line of JSON, the request's number in it.
    pub(crate) fn send(&self, json: &[u8]) -> Result<(), Full> {
        self.to.push(|buffer| write_line(buffer, json))
    }

    pub(crate) fn stop(&self) {
        self.to.must(|buffer| write_line(buffer, br#"{"kind":"stop"}"#));
        // Its input closes once that is written.
        self.to.close();
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// The next thing it says. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self, gate: &mut Gate) -> Said {
        loop {
            if let Some(said) = self.waiting.pop_front() {
                return said;
            }
            self.buffer.reserve(READ);
            let until = self.rest.unwrap_or_else(Instant::now);
            let count = tokio::select! {
                biased;
                read = self.stdout.read_buf(&mut self.buffer) => read.unwrap_or(0),
                () = self.process.ended(), if self.rest.is_none() => {
                    self.rest = Some(Instant::now() + REST);
                    continue;
                }
                () = sleep_until(until), if self.rest.is_some() => 0,
            };
            if count == 0 {
                if !self.buffer.is_empty() && !self.skipping {
                    // The last line, without its newline.
                    self.buffer.push(b'\n');
                    self.lines(gate);
                    continue;
                }
                return Said::Closed;
            }
            self.lines(gate);
        }
    }

    /// Takes the whole lines out of the buffer.
    fn lines(&mut self, gate: &mut Gate) {
        let mut batch = Batch::default();
        let mut from = 0;
        while let Some(at) = self.buffer[from..].iter().position(|byte| *byte == b'\n') {
            let line = self.buffer[from..from + at].trim_ascii();
            from += at + 1;
            if std::mem::take(&mut self.skipping) || line.is_empty() {
                continue;
            }
            match line::read(line, gate) {
                Line::Hello(hello) if !self.greeted => {
                    self.greeted = true;
                    // Before the next line, which may be in the buffer already.
                    gate.declare(&hello.emits);
                    self.waiting.push_back(Said::Hello(hello));
                }
                Line::Hello(_) => batch.say(&mut self.waiting, Said::BadLine("it has said hello before".into())),
                Line::Bad(why) if !self.greeted => return self.no_hello(&why),
                _ if !self.greeted => return self.no_hello("another line came first"),
                Line::Event(draft) => batch.add(Ok(*draft)),
                Line::Refused(refusal) => batch.add(Err(refusal)),
                Line::Reply(request) => {
                    batch.say(&mut self.waiting, Said::Reply { request, json: line.to_owned() });
                }
                Line::Bad(why) => batch.say(&mut self.waiting, Said::BadLine(why)),
            }
        }
        batch.flush(&mut self.waiting);
        self.buffer.drain(..from);
        if self.buffer.is_empty() && self.buffer.capacity() > 4 * READ {
            self.buffer = Vec::new();
        }
        if self.buffer.len() > MAX_LINE {
            self.buffer = Vec::new();
            if !std::mem::replace(&mut self.skipping, true) {
                self.waiting.push_back(Said::BadLine(format!("a line has more than {MAX_LINE} bytes")));
            }
        }
    }

    fn no_hello(&mut self, why: &str) {
        let expected = r#"{"headwater":1,"emits":["channel"]}"#;
        self.waiting.push_back(Said::Failed(format!("its first line is not the hello {expected}: {why}")));
        self.buffer.clear();
    }

    /// How it ended, once nothing more comes, and whether that was a success. One that does not end is killed.
    pub(crate) async fn ending(&mut self) -> (String, bool) {
        let (mut reason, success) = self.process.end_within(ENDING).await;
        let last = self.output.last().await;
        if !success && !last.is_empty() {
            reason = format!("{reason}; its last output: {}", last.join(" / "));
        }
        (reason, success)
    }
}

impl Drop for ProgramRun {
    fn drop(&mut self) {
        self.to.close();
    }
}

/// Events that came one after the other.
#[derive(Default)]
struct Batch(Admitted);

impl Batch {
    fn add(&mut self, event: Result<headwater_event::Draft, Refusal>) {
        self.0.add(event);
    }

    fn flush(&mut self, into: &mut VecDeque<Said>) {
        if !self.0.drafts.is_empty() || !self.0.refused.is_empty() {
            into.push_back(Said::Events { admitted: std::mem::take(&mut self.0), credit: 0 });
        }
    }

    /// Something else: what came before it stays before it.
    fn say(&mut self, into: &mut VecDeque<Said>, said: Said) {
        self.flush(into);
        into.push_back(said);
    }
}

/// Writes a message as one line, whatever is in it. A client wrote the parameters of a command, and they are passed on as
/// they came: breaks between their tokens would be lines of their own, which the program takes for ours. Within a string
/// JSON has no raw break, so that blanks say the same.
fn write_line(buffer: &mut Vec<u8>, json: &[u8]) {
    buffer.extend(json.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
    buffer.push(b'\n');
}

async fn copy(from: Arc<Outbox>, mut to: pipe::Sender) {
    let mut chunk = Vec::new();
    while from.take(&mut chunk).await {
        if to.write_all(&chunk).await.is_err() {
            // It does not read its input. That is its choice; it is judged by what it writes.
            return;
        }
    }
}

/// The child would find out too, but it could only say so by an exit code.
fn look_for(program: &str, directory: &Path) -> Result<(), String> {
    let runs =
        |path: &Path| fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
    if program.contains('/') {
        let path = directory.join(program);
        return if runs(&path) {
            Ok(())
        } else if path.is_file() {
            Err(format!("{} is not executable; `chmod +x` it, or name its interpreter in `exec`", path.display()))
        } else {
            Err(format!("there is no program {}", path.display()))
        };
    }
    let found = env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|place| runs(&place.join(program))));
    if found { Ok(()) } else { Err(format!("there is no program `{program}` in PATH")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::command::Command;
    use serde_json::value::RawValue;

    #[test]
    fn no_parameters_of_a_command_add_a_line() {
        for parameters in [
            "{\n  \"path\": \"/a\\nb\",\r\n  \"deep\": true\n}",
            "{\"a\":\n{\"kind\":\"stop\"}\n}",
            "{\"a\":\r{\"kind\":\"command\",\"request\":1,\"name\":\"erase\",\"parameters\":{}}\r}",
        ] {
            let raw = RawValue::from_string(parameters.to_owned()).unwrap();
            let command = Command::new(7, "measure", &raw, Some("a\nb"), Box::new(|_| {})).unwrap();
            let mut stream = Vec::new();
            write_line(&mut stream, &command.json);
            let text = String::from_utf8(stream).unwrap();
            // Many readers take each of the two for the end of a line.
            let lines: Vec<_> = text.split_terminator(['\n', '\r']).collect();
            assert_eq!(lines.len(), 1, "{text:?}");
            let message: Value = serde_json::from_str(lines[0]).unwrap();
            assert_eq!((&message["kind"], &message["request"]), (&json!("command"), &json!(7)));
            assert_eq!(message["parameters"], serde_json::from_str::<Value>(parameters).unwrap());
        }
    }
}
