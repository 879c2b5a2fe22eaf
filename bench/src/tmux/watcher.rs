//! A daemon that watches a tmux server, and a client that hears what it says.

use super::Tmux;
use crate::{http::get, process, programs::Programs, server::Server};
use serde_json::{Value, json};
use std::{
    io,
    net::TcpStream,
    path::Path,
    time::{Duration, Instant},
};
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, client};

/// What is not there by then does not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon with the one source, and its client.
#[derive(Debug)]
pub struct Watcher {
    server: Server,
    source: u32,
    stream: WebSocket<TcpStream>,
}

/// A message, and when it came.
#[derive(Debug)]
pub struct Heard {
    /// When it came.
    pub at: Instant,
    /// What it says.
    pub text: String,
}

impl Watcher {
    /// Starts the daemon; returns when everything in the tmux server is known.
    pub fn start(programs: &Programs, plugin: &Path, tmux: &Tmux) -> io::Result<Self> {
        let (config, run) = (tmux.path("config/headwater.toml"), tmux.path("run"));
        std::fs::create_dir_all(config.with_file_name(""))?;
        std::fs::create_dir_all(&run)?;
        std::fs::write(
            &config,
            format!(
                "[log]\nlevel = \"warn\"\n\n[source.tmux]\nplugin = \"{}\"\nsocket = \"{}\"\n",
                plugin.display(),
                tmux.socket().display()
            ),
        )?;
        let server = Server::daemon(programs, &config)?;
        let address = server.address;
        let source = wait("the source is up", || {
            let answer = get(address, "/v1/sources")?;
            let source = &answer["sources"][0];
            let pid = source["pid"].as_u64().filter(|_| source["state"] == "up");
            Ok(pid.and_then(|pid| u32::try_from(pid).ok()))
        })
        .map_err(|error| io::Error::other(format!("{error}\n{}", server.log())))?;
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let (stream, _) = client(format!("ws://{address}/v1/stream"), socket).map_err(io::Error::other)?;
        let mut watcher = Self { server, source, stream };
        let panes = tmux.run(&["list-panes", "-a", "-F", "#{pane_id}"])?.lines().count();
        wait("all panes are known", || {
            let status = watcher.asks("status")?;
            Ok((status["mode"] != "waiting" && status["panes"] == panes).then_some(()))
        })?;
        watcher.sends(&json!({"type": "subscribe", "channels": ["tmux", "tmux_output"]}))?;
        watcher.until(|text| text.contains("subscription_response"))?;
        Ok(watcher)
    }

    /// Ends the daemon, which takes its hooks and clients away.
    pub fn stop(self) -> io::Result<()> {
        self.server.stop()
    }

    /// How the server is watched.
    pub fn mode(&mut self) -> io::Result<String> {
        Ok(self.asks("status")?["mode"].as_str().unwrap_or_default().to_owned())
    }

    /// What a command of the source answers. Events that come meanwhile are passed over.
    fn asks(&mut self, command: &str) -> io::Result<Value> {
        self.sends(&json!({"type": "command", "command": command, "request_id": "asked"}))?;
        let heard = self.until(|text| text.contains("\"command_completed\"") || text.contains("\"command_error\""))?;
        let answer: Value = serde_json::from_str(&heard.text)?;
        Ok(answer["result"].clone())
    }

    fn sends(&mut self, message: &Value) -> io::Result<()> {
        self.stream.send(Message::text(message.to_string())).map_err(io::Error::other)
    }

    /// The next message that fits; others are passed over.
    pub fn until(&mut self, fits: impl Fn(&str) -> bool) -> io::Result<Heard> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(heard) = self.next()?.filter(|heard| fits(&heard.text)) {
                return Ok(heard);
            }
        }
        Err(io::Error::other(format!("what was waited for does not come\n{}", self.server.log())))
    }

    /// All that came and comes until this moment.
    pub fn all_until(&mut self, moment: Instant, mut each: impl FnMut(&Heard)) -> io::Result<()> {
        while let Some(left) = moment.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            self.stream.get_ref().set_read_timeout(Some(left))?;
            if let Some(heard) = self.next()? {
                each(&heard);
            }
        }
        self.stream.get_ref().set_read_timeout(Some(PATIENCE))
    }

    /// The next message; `None` when it is no text, or when none came in the time that reading may take.
    fn next(&mut self) -> io::Result<Option<Heard>> {
        match self.stream.read() {
            Ok(Message::Text(text)) => Ok(Some(Heard { at: Instant::now(), text: text.as_str().to_owned() })),
            Ok(Message::Close(frame)) => Err(io::Error::other(format!("the daemon closes: {frame:?}"))),
            Ok(_) => Ok(None),
            Err(Error::Io(error)) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Ok(None)
            }
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// CPU time of the source's process and all that it has started.
    pub fn source_cpu(&self) -> io::Result<Duration> {
        process::cpu_of_family(self.source)
    }

    /// CPU time of the daemon itself, without the source.
    pub fn daemon_cpu(&self) -> io::Result<Duration> {
        self.server.cpu()
    }

    /// How many processes the source has started that run.
    pub fn source_children(&self) -> io::Result<usize> {
        Ok(process::family(self.source)?.len() - 1)
    }
}

fn wait<T>(what: &str, mut look: impl FnMut() -> io::Result<Option<T>>) -> io::Result<T> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if let Some(found) = look()? {
            return Ok(found);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(io::Error::other(format!("gave up waiting: {what}")))
}
