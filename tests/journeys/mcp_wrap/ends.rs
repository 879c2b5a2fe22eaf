//! It ends as the server ends, and the server ends as it would without it.

use super::{DEADLINE, signal, wrapped};
use headwater_tests::eventually;
use std::{
    os::unix::process::ExitStatusExt,
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

async fn ended(child: &mut Child) -> ExitStatus {
    timeout(DEADLINE, child.wait()).await.expect("it ends in time").unwrap()
}

async fn sh(script: &str) -> ExitStatus {
    let mut child = wrapped(&["sh", "-c", script]).spawn().unwrap();
    // The client holds its end open: the server's death is enough.
    let _open = child.stdin.take();
    ended(&mut child).await
}

#[tokio::test]
async fn exit_codes_and_deaths_are_the_servers() {
    for code in [0, 1, 3, 77, 255] {
        assert_eq!(sh(&format!("exit {code}")).await.code(), Some(code));
    }
    for (name, number) in [("KILL", 9), ("TERM", 15), ("HUP", 1), ("INT", 2), ("SEGV", 11), ("ABRT", 6), ("PIPE", 13)] {
        assert_eq!(sh(&format!("kill -{name} $$")).await.signal(), Some(number), "{name}");
    }
}

#[tokio::test]
async fn what_cannot_be_started_is_said_and_has_the_codes_of_shells() {
    for (word, code) in
        [("/no/such/server", 127), ("no-such-server-on-the-path", 127), ("/etc/passwd", 126), ("/", 126)]
    {
        let output = timeout(DEADLINE, wrapped(&[word]).output()).await.unwrap().unwrap();
        assert_eq!(output.status.code(), Some(code), "{word}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with(&format!("headwater: {word}: ")) && output.stdout.is_empty(), "{said}");
    }
}

#[tokio::test]
async fn signals_reach_the_server_and_it_decides() {
    for (name, code) in [("TERM", 7), ("INT", 8), ("HUP", 9), ("USR1", 10)] {
        let script = format!("trap 'exit {code}' {name}; echo ready; while :; do sleep 0.05; done");
        let mut child = wrapped(&["sh", "-c", &script]).spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        timeout(DEADLINE, output.read_line(&mut line)).await.unwrap().unwrap();
        signal(&child, name).await;
        assert_eq!(ended(&mut child).await.code(), Some(code), "{name}");
    }
    // One that it takes no notice of does not end it.
    let mut child =
        wrapped(&["sh", "-c", "trap 'echo heard' TERM; echo ready; while :; do sleep 0.05; done"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for wanted in ["ready", "heard", "heard"] {
        assert_eq!(timeout(DEADLINE, lines.next_line()).await.unwrap().unwrap().as_deref(), Some(wanted));
        signal(&child, "TERM").await;
    }
    child.kill().await.unwrap();
}

#[tokio::test]
async fn nohup_still_works() {
    let mut command = Command::new("sh");
    let wrap = headwater_tests::headwater_bin();
    let line = format!("trap '' HUP; exec {} mcp-wrap -- sh -c 'echo ready; read x; exit 4'", wrap.display());
    command.args(["-c", &line]).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.env("HEADWATER_URL", "http://127.0.0.1:9").spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    timeout(DEADLINE, output.read_line(&mut String::new())).await.unwrap().unwrap();
    signal(&child, "HUP").await;
    child.stdin.take().unwrap().write_all(b"x\n").await.unwrap();
    assert_eq!(ended(&mut child).await.code(), Some(4), "a server that ignores SIGHUP was not ended by it");
}

#[tokio::test]
async fn what_a_server_leaves_behind_is_not_waited_for() {
    // It holds all of the server's pipes, and outlives it.
    let mut child = wrapped(&["sh", "-c", "sleep 1000 & echo $!; exit 5"]).spawn().unwrap();
    let _open = child.stdin.take();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut left = String::new();
    timeout(DEADLINE, output.read_line(&mut left)).await.unwrap().unwrap();
    assert_eq!(ended(&mut child).await.code(), Some(5));
    assert!(Command::new("kill").arg(left.trim()).status().await.unwrap().success(), "it lives on");
}

#[tokio::test]
async fn the_last_words_come_through() {
    for _ in 0..20 {
        let child = wrapped(&["sh", "-c", "printf %0100000d 7; exit 6"]).spawn().unwrap();
        let output = timeout(DEADLINE, child.wait_with_output()).await.unwrap().unwrap();
        assert_eq!((output.stdout.len(), output.status.code()), (100_000, Some(6)));
    }
}

#[tokio::test]
async fn a_client_that_waits_for_the_end_before_it_reads_is_not_kept_waiting_for_ever() {
    let mut child =
        wrapped(&["sh", "-c", "printf %065536d 7; printf %065536d 7; printf %065536d 7 & exit 6"]).spawn().unwrap();
    let _unread = child.stdout.take();
    assert_eq!(ended(&mut child).await.code(), Some(6));
}

#[tokio::test]
async fn each_side_sees_that_the_other_reads_no_more() {
    // The client has gone: a server that writes dies of it, as it would without us.
    let mut child = wrapped(&["yes"]).spawn().unwrap();
    let _open = child.stdin.take();
    let mut output = child.stdout.take().unwrap();
    timeout(DEADLINE, output.read_exact(&mut [0; 4096])).await.unwrap().unwrap();
    drop(output);
    assert_eq!(ended(&mut child).await.signal(), Some(13));

    // The server reads no more, and lives on: its client's writes fail.
    let mut child = wrapped(&["sh", "-c", "exec 0</dev/null; echo closed; exec sleep 1000"]).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    timeout(DEADLINE, output.read_line(&mut String::new())).await.unwrap().unwrap();
    let mut input = child.stdin.take().unwrap();
    eventually("a write fails", async || {
        let written = timeout(Duration::from_secs(5), input.write_all(b"x\n")).await.expect("nothing is held up");
        written.is_err().then_some(())
    })
    .await;
    child.kill().await.unwrap();

    // The server says no more, and lives on: its client sees the end.
    let mut child = wrapped(&["sh", "-c", "exec 1>/dev/null; read x; exit 2"]).spawn().unwrap();
    let mut came = Vec::new();
    timeout(DEADLINE, child.stdout.take().unwrap().read_to_end(&mut came)).await.unwrap().unwrap();
    assert!(came.is_empty());
    child.stdin.take().unwrap().write_all(b"x\n").await.unwrap();
    assert_eq!(ended(&mut child).await.code(), Some(2));
}
