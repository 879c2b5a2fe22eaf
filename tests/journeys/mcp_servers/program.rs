//! The servers, as `tests/tools` pins them: six programs, and how each is started.

use headwater_tests::{eventually, fixture, node_modules, python};
use serde_json::{Value, json};
use std::{net::TcpListener, path::Path, process::Stdio};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

/// A server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    Everything,
    Memory,
    /// Of this directory.
    Filesystem,
    Time,
    /// Of the repository in this directory.
    Git,
    Fetch,
}

impl Program {
    /// Its command line. Two of them serve a directory.
    pub(super) fn words(self, directory: &Path) -> Vec<String> {
        let directory = directory.display().to_string();
        let script = |name: &str| node_modules().join(format!("@modelcontextprotocol/server-{name}/dist/index.js"));
        let node = |name: &str| vec!["node".to_owned(), script(name).display().to_string()];
        let module = |name: &str| vec![python().display().to_string(), "-m".to_owned(), name.to_owned()];
        let with = |words: Vec<String>, more: &[&str]| {
            words.into_iter().chain(more.iter().map(|&word| word.to_owned())).collect()
        };
        match self {
            Self::Everything => with(node("everything"), &["stdio"]),
            Self::Memory => node("memory"),
            Self::Filesystem => with(node("filesystem"), &[&directory]),
            Self::Time => module("mcp_server_time"),
            Self::Git => with(module("mcp_server_git"), &["--repository", &directory]),
            Self::Fetch => module("mcp_server_fetch"),
        }
    }
}

/// The entry of a config file for a command line.
pub(super) fn entry(words: &[String]) -> Value {
    json!({ "command": words[0], "args": words[1..] })
}

/// A shell's script in front of a command line, which it has as `"$@"`.
pub(super) fn scripted(script: &str, words: &[String]) -> Vec<String> {
    let shell = ["sh", "-c", script, "sh"].map(str::to_owned);
    shell.into_iter().chain(words.iter().cloned()).collect()
}

/// The program that spoils what passes, in front of a command line. What it does stands in the file `orders`.
pub(super) fn between(orders: &Path, words: &[String]) -> Vec<String> {
    let own = [python(), fixture("mcp/between.py"), orders.to_owned()];
    own.iter().map(|path| path.display().to_string()).chain(words.iter().cloned()).collect()
}

/// server-everything over HTTP. It ends with the test.
pub(super) struct Remote {
    port: u16,
    child: Child,
}

impl Remote {
    pub(super) async fn start() -> Self {
        // Taken and given back: nobody else gets it in the moment until the server binds it.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Self::spawn(port);
        eventually("it listens", async || TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
        Self { port, child }
    }

    fn spawn(port: u16) -> Child {
        let words = Program::Everything.words(Path::new("/"));
        let mut command = Command::new(&words[0]);
        command.args([&words[1], "streamableHttp"]).env("PORT", port.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        command.spawn().unwrap()
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    pub(super) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    pub(super) fn again(&mut self) {
        self.child = Self::spawn(self.port);
    }
}
