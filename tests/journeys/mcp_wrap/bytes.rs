//! Every byte comes through, whatever it is and whoever is slow.

use super::{DEADLINE, wrapped, wrapped_in};
use headwater_tests::{World, eventually, resident_bytes};
use std::{process::Stdio, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};

/// Bytes of all kinds, the same each time.
fn bytes(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    std::iter::repeat_with(|| next().to_le_bytes()).flatten().take(count).collect()
}

/// Sends all of it through `cat`, and gives back what came out, and how it ended.
async fn through_cat(mut command: tokio::process::Command, sent: Vec<u8>) -> (Vec<u8>, Option<i32>) {
    let mut child = command.spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut came = Vec::with_capacity(sent.len());
    let exchanged = async {
        let send = async {
            input.write_all(&sent).await.unwrap();
            // The end of the input is what ends `cat`.
            drop(input);
        };
        tokio::join!(send, output.read_to_end(&mut came)).1.unwrap();
        child.wait().await.unwrap()
    };
    let status = timeout(DEADLINE, exchanged).await.expect("the end of the input ends it");
    (came, status.code())
}

#[tokio::test]
async fn any_bytes_come_through_with_a_daemon_and_without_one() {
    let daemon = World::new().start().await;
    // Takes connections and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    let mut hanging = wrapped(&["cat"]);
    hanging.env("HEADWATER_URL", &silent);
    let unusable = {
        let mut command = tokio::process::Command::new(headwater_tests::headwater_bin());
        command.args(["--url", "no url at all", "mcp-wrap", "--", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        command
    };
    let sent = bytes(8 << 20);
    for command in [wrapped_in(&daemon, &["cat"]), wrapped(&["cat"]), hanging, unusable] {
        let what = format!("{command:?}");
        let (came, code) = through_cat(command, sent.clone()).await;
        assert!(came == sent && code == Some(0), "{what}: {} of {} bytes, {code:?}", came.len(), sent.len());
    }
}

#[tokio::test]
async fn a_message_larger_than_any_buffer_takes_no_memory() {
    let daemon = World::new().start().await;
    let mut child = wrapped_in(&daemon, &["cat"]).spawn().unwrap();
    let pid = child.id().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let exchanged = async {
        let piece = vec![b'x'; 1 << 20];
        let send = async {
            input.write_all(b"{\"id\":1,\"method\":\"").await.unwrap();
            for _ in 0..200 {
                input.write_all(&piece).await.unwrap();
            }
        };
        let take = async {
            let (mut buffer, mut left) = (vec![0; 1 << 20], 200 << 20);
            while left > 0 {
                left -= output.read(&mut buffer).await.unwrap().min(left);
            }
            resident_bytes(pid)
        };
        tokio::join!(send, take).1
    };
    let resident = timeout(DEADLINE, exchanged).await.expect("it comes through");
    // The queue of copies has 8 MiB, and the program itself some.
    assert!(resident < 64 << 20, "{} MiB", resident >> 20);
    drop(input);
    assert!(timeout(DEADLINE, child.wait()).await.unwrap().unwrap().success());
}

#[tokio::test]
async fn standard_error_is_the_servers_own() {
    let child = wrapped(&["sh", "-c", "printf 'a\\377b' >&2; printf c"]).spawn().unwrap();
    let output = timeout(DEADLINE, child.wait_with_output()).await.unwrap().unwrap();
    assert_eq!((&output.stdout[..], &output.stderr[..], output.status.code()), (&b"c"[..], &b"a\xffb"[..], Some(0)));
}

#[tokio::test]
async fn who_does_not_read_is_not_written_to() {
    // A server that reads nothing: soon nothing more can be written to it.
    let mut child = wrapped(&["sleep", "1000"]).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut taken = 0_usize;
    while let Ok(written) = timeout(Duration::from_secs(2), input.write(&[b'x'; 4096])).await {
        taken += written.unwrap();
        assert!(taken < 4 << 20, "somebody collects what the server does not read");
    }
    child.kill().await.unwrap();

    // A client that reads nothing: soon the server cannot write any more, and goes on when it can.
    let directory = tempfile::tempdir().unwrap();
    let progress = directory.path().join("progress");
    let script =
        format!("i=0; while [ $i -lt 400 ]; do printf %010000d 0; i=$((i+1)); echo $i > {}; done", progress.display());
    let mut child = wrapped(&["sh", "-c", &script]).spawn().unwrap();
    let read = || std::fs::read_to_string(&progress).ok().and_then(|text| text.trim().parse::<u32>().ok());
    let mut stopped = eventually("the server writes", async || read()).await;
    let further = async |than: u32| eventually("it writes more", async || read().filter(|now| *now > than)).await;
    while let Ok(more) = timeout(Duration::from_secs(2), further(stopped)).await {
        stopped = more;
    }
    assert!(stopped < 200, "it has written {stopped} of 400 pieces, and nobody has read one");
    let mut came = Vec::new();
    timeout(DEADLINE, child.stdout.take().unwrap().read_to_end(&mut came)).await.unwrap().unwrap();
    assert_eq!(came.len(), 4_000_000);
    assert!(timeout(DEADLINE, child.wait()).await.unwrap().unwrap().success());
}
