//! A runner with a real server, on a machine that holds it up.

use super::*;
use crate::discovery::Stdio;
use headwater_plugin::tokio::{self, time::timeout};

const DEADLINE: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_mins(1);

/// Harm prevented: on a machine that stood still for a moment all servers were told as silent, though their answers were there.
#[tokio::test]
async fn an_answer_that_nobody_has_read_is_read_before_a_server_is_told_as_silent() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let server = format!("{}/tests/fixtures/server.py", env!("CARGO_MANIFEST_DIR"));
    let args = [&server, "--delay", "100", "--log", log.to_str().unwrap()].map(str::to_owned).to_vec();
    let launch = Launch::Stdio(Stdio { command: "python3".to_owned(), args, ..Stdio::default() });
    let interval = Duration::from_millis(50);
    let timing = Timing { interval, deadline: DEADLINE, handshake: PATIENCE, hung: PATIENCE };
    let target = Target { server: "one".to_owned(), run: 1, text: launch.clone(), launch, timing };
    let (_orders, taken) = mpsc::channel(1);
    let (reports, mut reported) = mpsc::channel(64);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(Runner::new(target, taken, reports).run());

    let pings = |what: &str| {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        log.lines().filter(|line| *line == format!("{what} ping")).count()
    };
    for stall in 0..2 {
        let mut ponged = false;
        while !ponged {
            let report = timeout(PATIENCE, reported.recv()).await.unwrap().unwrap();
            assert!(!matches!(report.seen, Seen::Silent { .. }), "before the stall {stall}: {report:?}");
            ponged = matches!(report.seen, Seen::Pong { .. });
        }
        // The next ping is on its way, and is not answered yet: it takes the server a while.
        while pings("asked") == pings("answered") {
            tokio::task::yield_now().await;
        }
        let began = std::time::Instant::now();
        let asked = pings("asked");
        while pings("answered") < asked || began.elapsed() < DEADLINE {
            // Nothing else runs on this thread meanwhile: that is the stall.
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    while !matches!(timeout(PATIENCE, reported.recv()).await.unwrap().unwrap().seen, Seen::Pong { .. }) {}
}
