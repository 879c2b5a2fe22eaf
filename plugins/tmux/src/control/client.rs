//! One control client: a `tmux -C attach` on pipes, and the reader of what it says.
//!
//! `ignore-size`: the windows keep the size that the user's own clients give them. `read-only`: keys of ours would not get
//! through. `pause-after=1`: a second behind, tmux keeps a pane's output back for us; without it, it stops reading from the
//! pane, and the program in it stands still.

use super::parse::{Line, Mark, Parser};
use crate::{
    inbox::{ClientId, Inbox},
    server::{ask::Program, listing::Question},
    tree::id::PaneId,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    pipe::fcntl_setpipe_size,
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};
use std::{
    io::{self, Read, Write},
    process::{Child, ChildStdin, ChildStdout},
    time::Instant,
};

/// How long a client may take to introduce itself to the end, in nanoseconds. It takes less than a millisecond, unless the
/// server is stopped.
const PATIENCE: i64 = 300_000_000;

/// What a pipe holds unless more is asked for.
const PIPE: usize = 64 * 1024;

/// A control client. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Client {
    id: ClientId,
    mark: Mark,
    child: Child,
    stdin: ChildStdin,
    started: Instant,
    attached: bool,
}

impl Client {
    /// Starts one, and asks what these panes show; what it says must be read with [`Reader::run`], in a thread of its own
    /// and at once.
    pub(crate) fn start(program: &Program, id: ClientId, panes: &[PaneId]) -> io::Result<(Self, Reader)> {
        let session = id.session.to_string();
        let mut child =
            program.stay(&["-C", "attach-session", "-t", &session, "-f", "ignore-size,read-only,pause-after=1"])?;
        let ends = child.stdin.take().zip(child.stdout.take());
        let (stdin, stdout) = ends.expect("invariant: both were asked for");
        // A tmux that does not read must not hold us.
        fcntl_setfl(&stdin, fcntl_getfl(&stdin)? | OFlags::NONBLOCK)?;
        let mark = Mark::new();
        let reader = Reader { id, mark: mark.clone(), stdout };
        let mut client = Self { id, mark, child, stdin, started: Instant::now(), attached: false };
        let mut questions: String = panes.iter().map(|pane| client.mark.ask(*pane)).collect();
        questions += &client.mark.ready();
        if questions.len() > PIPE {
            // Of hundreds of panes. They go whole: half a question would spoil all that follow.
            fcntl_setpipe_size(&client.stdin, questions.len())?;
        }
        client.say(&questions);
        Ok((client, reader))
    }

    pub(crate) fn id(&self) -> ClientId {
        self.id
    }

    /// Its process, which `list-clients` names.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// It is attached, and has said what was there.
    pub(crate) fn attached(&mut self) {
        self.attached = true;
    }

    pub(crate) fn is_attached(&self) -> bool {
        self.attached
    }

    /// Asks tmux to keep this pane's output back, for this client only. The pane's program does not notice.
    pub(crate) fn pause(&mut self, pane: PaneId) -> bool {
        self.say(&format!("refresh-client -A '{pane}:pause'\n"))
    }

    /// Asks tmux to go on with this pane's output, from now on, and what it shows now.
    pub(crate) fn resume(&mut self, pane: PaneId) -> bool {
        let show = self.mark.ask(pane);
        self.say(&format!("refresh-client -A '{pane}:continue'\n{show}"))
    }

    /// Asks what a pane shows.
    pub(crate) fn ask(&mut self, pane: PaneId) -> bool {
        let show = self.mark.ask(pane);
        self.say(&show)
    }

    /// Asks for everything.
    pub(crate) fn ask_all(&mut self, question: &Question) -> bool {
        let all = self.mark.ask_all(question);
        self.say(&all)
    }

    /// Asks it to end, and waits a moment for that.
    fn takes_leave(&self) -> rustix::io::Result<bool> {
        let process = Pid::from_child(&self.child);
        let end = pidfd_open(process, PidfdFlags::empty())?;
        kill_process(process, Signal::TERM)?;
        let patience = Timespec { tv_sec: 0, tv_nsec: PATIENCE };
        Ok(poll(&mut [PollFd::new(&end, PollFlags::IN)], Some(&patience))? > 0)
    }

    /// Short lines go whole or not at all. `false`: the pipe is full.
    fn say(&mut self, line: &str) -> bool {
        matches!(self.stdin.write(line.as_bytes()), Ok(count) if count == line.len())
    }
}

impl Drop for Client {
    /// Not by closing its input and waiting: a client that is wedged would keep a server alive that was killed. One that is
    /// still introducing itself may do so to the end: tmux crashes when it loses it in the middle.
    fn drop(&mut self) {
        if self.attached || !self.takes_leave().unwrap_or(false) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// Reads what a client says.
#[derive(Debug)]
pub(crate) struct Reader {
    id: ClientId,
    mark: Mark,
    stdout: ChildStdout,
}

impl Reader {
    /// Reads until the client ends, and leaves in the inbox what it says.
    pub(crate) fn run(self, inbox: &Inbox) {
        let Self { id, mark, mut stdout } = self;
        let mut parser = Parser::new(mark);
        let mut buffer = vec![0; 64 * 1024];
        let mut elsewhere = false;
        while !elsewhere {
            let count = match stdout.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            parser.feed(&buffer[..count], |line| match line {
                Line::Output(pane, bytes) => inbox.output(id, pane, bytes),
                Line::Screen(pane, screen) => inbox.screen(id, pane, screen),
                Line::Listing(listing) => inbox.listing(id, listing),
                Line::Ready => inbox.attached(id),
                Line::Paused(pane) => inbox.paused(id, pane),
                // With `detach-on-destroy off` tmux moves the clients of a session that ends to another one.
                Line::Session(session) => elsewhere |= session != id.session,
                Line::Exit => {}
                Line::Changed => inbox.changed(),
            });
        }
        inbox.ended(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::id::Id;

    /// A server that is stopped lets no client go. The source would never end, nor whatever it runs in.
    #[test]
    fn a_client_that_does_not_take_its_leave_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("tmux");
        let script = "#!/bin/sh\ntrap '' TERM\necho runs\nexec sleep 600\n";
        // Another process writes it: a test beside this one that forks meanwhile would keep it from being run.
        let mut write = std::process::Command::new("sh");
        write.args(["-c", r#"printf %s "$2" >"$1"; chmod 755 "$1""#, "sh"]).arg(&program).arg(script);
        assert!(write.status().unwrap().success());
        let program = Program::new(program, dir.path().join("s"));
        let (client, mut reader) = Client::start(&program, ClientId { session: Id(0), number: 1 }, &[]).unwrap();
        reader.stdout.read_exact(&mut [0; 5]).unwrap();
        let (done, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            drop(client);
            let _ = done.send(());
        });
        ended.recv_timeout(std::time::Duration::from_secs(20)).expect("it is waited for");
    }
}
