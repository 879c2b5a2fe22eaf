//! A real browser: Debian's chromium without a screen, driven by its own protocol. One page; scripts are evaluated in it.

use crate::{
    Client,
    wait::{PATIENCE, eventually},
};
use serde_json::{Value, json};
use std::{net::SocketAddr, process::Stdio};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    task::JoinSet,
    time::timeout,
};

/// So that it stays on this machine, needs no graphics, and runs for root too.
const OPTIONS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
];

/// A browser with one page. It ends with this value.
pub struct Browser {
    socket: Client,
    /// Of the page; before there is one, the browser itself is asked.
    session: Option<Value>,
    asked: u64,
    _process: Child,
    /// Reads what it says, so that it never waits for a full pipe.
    _reader: JoinSet<()>,
    _profile: TempDir,
}

impl Browser {
    /// Starts it and opens a page.
    ///
    /// # Panics
    /// When it does not start; `cargo xtask test` installs it.
    pub async fn open(url: &str) -> Self {
        let profile = tempfile::tempdir().expect("a directory for the browser");
        let mut process = Command::new("chromium")
            .args(OPTIONS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("chromium is installed by `cargo xtask test`");
        let mut said = BufReader::new(process.stderr.take().expect("it was asked for")).lines();
        let listening = timeout(PATIENCE, async {
            while let Ok(Some(line)) = said.next_line().await {
                if let Some((address, path)) =
                    line.split("DevTools listening on ws://").nth(1).and_then(|rest| rest.split_once('/'))
                {
                    return Some((address.parse().expect("an address"), format!("/{path}")));
                }
            }
            None
        });
        let (address, path): (SocketAddr, _) =
            listening.await.ok().flatten().expect("the browser says where it listens");
        let mut reader = JoinSet::new();
        reader.spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
        let socket = Client::connect_to(address, &path).await;
        let (session, asked) = (None, 0);
        let mut browser = Self { socket, session, asked, _process: process, _reader: reader, _profile: profile };
        let page = browser.ask("Target.createTarget", &json!({"url": url})).await;
        let attach = json!({"targetId": page["targetId"], "flatten": true});
        browser.session = Some(browser.ask("Target.attachToTarget", &attach).await["sessionId"].clone());
        // A page begins as an empty one, in which a script would run just as well.
        let there = "location.href !== 'about:blank' && document.readyState === 'complete'";
        eventually("the page is there", async || browser.evaluate(there).await.as_bool().filter(|there| *there)).await;
        browser
    }

    /// Evaluates a script in the page, waits for it if it is a promise, and gives its value.
    ///
    /// # Panics
    /// When the script throws.
    pub async fn evaluate(&mut self, script: &str) -> Value {
        let parameters = json!({"expression": script, "awaitPromise": true, "returnByValue": true});
        let answer = self.ask("Runtime.evaluate", &parameters).await;
        assert!(answer["exceptionDetails"].is_null(), "{script}: {answer}");
        answer["result"]["value"].clone()
    }

    /// One request of the browser's protocol.
    async fn ask(&mut self, method: &str, parameters: &Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        let mut message = json!({"id": id, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = session.clone();
        }
        self.socket.send(&message).await;
        let answer = self.socket.next_that(|message| message["id"] == id).await;
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }
}
