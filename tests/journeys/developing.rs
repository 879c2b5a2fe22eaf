//! Somebody writes a plugin: a new one, its first events, an edit, a mistake, all against a daemon that runs.

use headwater_tests::{Daemon, World, built};
use std::{
    fs,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader, Lines},
    process::{Child, Command},
    time::timeout,
};

/// The first build compiles everything that a plugin depends on.
const FIRST_BUILD: Duration = Duration::from_mins(5);
const REBUILD: Duration = Duration::from_mins(1);

/// `headwater plugin dev` in a directory of its world.
struct Dev {
    child: Child,
    lines: Lines<BufReader<Box<dyn AsyncRead + Unpin + Send>>>,
}

impl Dev {
    fn start(daemon: &Daemon, directory: &str, arguments: &[&str]) -> Self {
        let mut command: Command = daemon.command(&["plugin", "dev"]);
        command.args(arguments).current_dir(daemon.path(directory)).stdout(Stdio::piped()).stderr(Stdio::inherit());
        // Beside the build of the tests, so that the next run finds what this one has compiled.
        command.env("CARGO_TARGET_DIR", built("headwater").with_file_name("plugin-dev"));
        for (name, fallback) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
            // The world has a home of its own, where there is no cargo.
            let home = std::env::var_os(name).map(PathBuf::from);
            command.env(name, home.unwrap_or_else(|| std::env::home_dir().unwrap().join(fallback)));
        }
        let mut child = command.spawn().unwrap();
        let stdout: Box<dyn AsyncRead + Unpin + Send> = Box::new(child.stdout.take().unwrap());
        Self { child, lines: BufReader::new(stdout).lines() }
    }

    async fn says(&mut self, word: &str, within: Duration) -> String {
        let found = timeout(within, async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if line.contains(word) {
                    return line;
                }
            }
            panic!("it ended without saying `{word}`");
        });
        found.await.unwrap_or_else(|_| panic!("it does not say `{word}`"))
    }
}

#[tokio::test]
async fn a_new_plugin_is_built_run_edited_and_run_again() {
    let daemon = World::new().start().await;
    let made = daemon.headwater(&["plugin", "new", "disk"]).await;
    assert!(made.status.success(), "{made:?}");
    let mut dev = Dev::start(&daemon, "disk", &["--set", "every=\"50ms\""]);
    dev.says("files.counted", FIRST_BUILD).await;
    // Only now: a client that is not read during the build would answer no ping, and be closed.
    let mut client = daemon.client().await;
    client.subscribe(&["files"]).await;
    assert_eq!(client.next().await["source"], "disk", "a client of the daemon has it too");

    let source = daemon.read("disk/src/lib.rs");
    let edited = source.replace("\"files\": files })).await", "\"files\": files, \"edited\": true })).await");
    assert_ne!(source, edited, "the template has the line that is edited");
    let saved = Instant::now();
    fs::write(daemon.path("disk/src/lib.rs"), &edited).unwrap();
    dev.says("\"edited\":true", REBUILD).await;
    println!("from save to the new code's event: {} ms", saved.elapsed().as_millis());

    fs::write(daemon.path("disk/src/lib.rs"), "this is no Rust").unwrap();
    dev.says("not built", REBUILD).await;
    dev.says("\"edited\":true", REBUILD).await;

    let pid = dev.child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().await.unwrap().success());
    assert!(timeout(REBUILD, dev.child.wait()).await.unwrap().unwrap().success());
    assert!(!daemon.path("sources.d/dev-disk.toml").exists(), "it leaves nothing behind");
    client.next_that(|event| event["data"]["edited"] == true).await;
}
