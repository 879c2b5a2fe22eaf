//! The messages under way between a client and the daemon.

use super::{
    forward::Daemon,
    input::{LONGEST, Line, TooLong},
    message::{self, INVALID_REQUEST, Request, Said},
};
use std::{collections::HashMap, io::Write, time::Duration};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::timeout,
};

/// Requests under way at once. The client would otherwise take all connections that a daemon has.
const UNDER_WAY: usize = 32;
/// Messages that may wait to be written. With more, those who say them wait.
const WAITING: usize = 64;
/// How long what is under way may take when the client has said all that it had to say.
const GRACE: Duration = Duration::from_secs(2);

/// A client's requests.
pub(super) struct Bridge {
    daemon: Daemon,
    /// Each comes to its answer.
    calls: JoinSet<String>,
    /// Which request each is, by the id as it was written.
    ids: HashMap<Id, String>,
    /// How to withdraw it.
    handles: HashMap<String, AbortHandle>,
    say: mpsc::Sender<String>,
    said: mpsc::Receiver<String>,
}

impl Bridge {
    pub(super) fn new(daemon: Daemon) -> Self {
        let (say, said) = mpsc::channel(WAITING);
        Self { daemon, calls: JoinSet::new(), ids: HashMap::new(), handles: HashMap::new(), say, said }
    }

    /// Serves a client until it has said all, or takes no more.
    pub(super) async fn run(mut self, mut lines: mpsc::Receiver<Line>, output: &mut impl Write) {
        loop {
            tokio::select! {
                line = lines.recv() => match line {
                    Some(line) => if self.take(line, output).is_err() { return },
                    None => break,
                },
                Some(message) = self.said.recv() => if write(output, &message).is_err() { return },
                Some(ended) = self.calls.join_next_with_id(), if !self.calls.is_empty() => {
                    if self.end(ended, output).is_err() { return }
                }
            }
        }
        // Who pipes requests in wants their answers; one who has gone does not wait for them.
        let rest = async {
            while !self.calls.is_empty() {
                tokio::select! {
                    Some(message) = self.said.recv() => if write(output, &message).is_err() { return },
                    Some(ended) = self.calls.join_next_with_id() => if self.end(ended, output).is_err() { return },
                }
            }
        };
        let _ = timeout(GRACE, rest).await;
    }

    fn take(&mut self, line: Line, output: &mut impl Write) -> std::io::Result<()> {
        let said = match line {
            Ok(line) => message::read(line),
            Err(TooLong) => {
                Said::Garbage { code: INVALID_REQUEST, why: format!("a message has at most {LONGEST} bytes") }
            }
        };
        match said {
            Said::Request(request) => return self.begin(request, output),
            // Its answer is not wanted either.
            Said::Withdrawn(id) => {
                if let Some(handle) = self.handles.get(&id) {
                    handle.abort();
                }
            }
            Said::Nothing => {}
            Said::Garbage { code, why } => return write(output, &message::garbage(code, &why)),
        }
        Ok(())
    }

    fn begin(&mut self, request: Request, output: &mut impl Write) -> std::io::Result<()> {
        if self.calls.len() >= UNDER_WAY {
            let why = format!("RATE_LIMIT_EXCEEDED: there are {UNDER_WAY} calls under way; wait for an answer");
            return write(output, &request.failed(&why));
        }
        if self.handles.contains_key(&request.id) {
            return write(output, &request.failed("VALIDATION_ERROR: a request with this id is under way"));
        }
        let id = request.id.clone();
        let handle = self.calls.spawn(self.daemon.clone().answer(request, self.say.clone()));
        self.ids.insert(handle.id(), id.clone());
        self.handles.insert(id, handle);
        Ok(())
    }

    /// A request has come to its end. Its id is free before its answer is out.
    fn end(&mut self, ended: Result<(Id, String), JoinError>, output: &mut impl Write) -> std::io::Result<()> {
        let (id, answer) = match ended {
            Ok((id, answer)) => (id, Some(answer)),
            Err(error) => (error.id(), None),
        };
        let request = self.ids.remove(&id);
        if let Some(request) = &request {
            self.handles.remove(request);
        }
        // What it said on the way comes first.
        while let Ok(message) = self.said.try_recv() {
            write(output, &message)?;
        }
        answer.map_or(Ok(()), |answer| write(output, &answer))
    }
}

/// One message on one line, at once.
fn write(output: &mut impl Write, message: &str) -> std::io::Result<()> {
    output.write_all(message.as_bytes())?;
    output.write_all(b"\n")?;
    output.flush()
}
