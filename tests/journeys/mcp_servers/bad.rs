//! Programs that are no good servers: each is given up in time, and told once.

use super::{Scene, Word};
use expect_test::expect_file;
use headwater_tests::World;
use serde_json::Value;
use std::fmt::Write;

/// What each does, as a shell's script.
const PROGRAMS: [(&str, &str); 6] = [
    ("never-answers", "exec sleep 600"),
    ("repeats", "exec cat"),
    ("exits", "echo \"who is $LOGIN?\" >&2; exit 3"),
    ("talks-garbage", "echo '{\"so\": \"so\"}'; yes 'what is this?' | head -c 2000000; exec sleep 600"),
    ("floods", "yes 'this is worth knowing' | head -c 4000000 >&2; exec sleep 600"),
    ("is-not-there", ""),
];

const SETTINGS: &str = "interval = \"250ms\"\nhandshake = \"10s\"\n";

#[tokio::test]
async fn bad_servers_are_given_up_and_told_once() {
    let mut settings = SETTINGS.to_owned();
    for (name, script) in PROGRAMS {
        let table = format!("[source.mcp.servers.{name}]\nenv = {{ LOGIN = \"swordfish\" }}");
        match script {
            "" => writeln!(settings, "{table}\ncommand = \"no-such-program-here\"").unwrap(),
            _ => writeln!(settings, "{table}\ncommand = \"sh\"\nargs = [\"-c\", '''{script}''']").unwrap(),
        }
    }
    let mut scene = Scene::new(World::new(), &settings).await;

    scene.part("Each is started, and found out.");
    for (name, status, error) in [
        ("never-answers", "unhealthy", "handshake_timeout"),
        ("repeats", "unhealthy", "not_ready"),
        ("exits", "stopped", "ended_at_start"),
        ("talks-garbage", "unhealthy", "handshake_timeout"),
        ("floods", "unhealthy", "handshake_timeout"),
        ("is-not-there", "unhealthy", "not_ready"),
    ] {
        scene.until(&[(name, Word::Is(status)), (name, Word::Alert(status)), (name, Word::Error(error))]).await;
        scene.until(&[(name, Word::TriedAfter(status))]).await;
    }
    // Of each the same once, however often it is tried; but of those that end at once that they do nothing else.
    scene.until(&["exits", "is-not-there", "repeats"].map(|name| (name, Word::Issue("flapping")))).await;
    let read = |event: &Value| event["data"]["details"]["stderr"]["bytes"].as_u64() == Some(4_000_000);
    assert_eq!(scene.count(|event| Word::Error("handshake_timeout").is("floods", event) && read(event)), 1);
    scene.is(&expect_file!["../../golden/mcp/bad.txt"]);
    let told = scene.listed().await;
    assert!(!format!("{told:?} {}", scene.daemon.log()).contains("swordfish"));
}
