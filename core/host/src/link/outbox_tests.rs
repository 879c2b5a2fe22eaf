//! Tests of the outbox.

use super::*;
use crate::link::{assembler::Assembler, event::tests::event};
use std::{sync::Arc, thread};

fn frames(chunk: &[u8]) -> Vec<(usize, usize)> {
    let mut assembler = Assembler::default();
    assembler.swap(&mut chunk.to_vec());
    let mut seen = Vec::new();
    while let Some(frame) = assembler.next().unwrap() {
        let mut count = 0;
        if let Up::Events(mut events) = Up::read(frame).unwrap() {
            while !events.is_empty() {
                event::read(&mut events).unwrap();
                count += 1;
            }
        }
        seen.push((count, frame.len()));
    }
    seen
}

fn counts(chunk: &[u8]) -> Vec<usize> {
    frames(chunk).into_iter().map(|(count, _)| count).collect()
}

#[test]
fn what_comes_while_the_writer_is_busy_leaves_in_batches() {
    let outbox = Outbox::default();
    outbox.grant(1000);
    let one = event("tmux", b"{}", &[]);
    assert_eq!(outbox.publish(&[one]), 1);
    let mut chunk = Vec::new();
    assert!(outbox.take_blocking(&mut chunk));
    assert_eq!(counts(&chunk), [1], "the first one waits for nobody");
    for _ in 0..70 {
        outbox.publish(&[one]);
    }
    outbox.push(|buffer| Up::Started.write(buffer)).unwrap();
    outbox.publish(&[one, one]);
    assert!(outbox.take_blocking(&mut chunk));
    assert_eq!(counts(&chunk), [64, 6, 0, 2], "in order, 64 at most");
}

#[test]
fn the_first_event_after_quiet_leaves_at_once_and_the_next_are_gathered() {
    let outbox = Outbox::default();
    outbox.grant(u32::MAX);
    let one = event("tmux", b"{}", &[]);
    let (mut chunk, mut last) = (Vec::new(), Instant::now().checked_sub(LINGER).unwrap());
    outbox.publish(&[one]);
    let began = Instant::now();
    assert!(outbox.take_batch(&mut chunk, &mut last));
    assert!(last >= began);

    thread::scope(|scope| {
        let taker = scope.spawn(|| {
            let before = last;
            assert!(outbox.take_batch(&mut chunk, &mut last));
            (counts(&chunk).iter().sum::<usize>(), last - before)
        });
        for _ in 0..10 {
            outbox.publish(&[one]);
        }
        let (count, after) = taker.join().unwrap();
        // A machine that stops this thread for half a millisecond makes it fewer, but never earlier.
        assert!(count >= 1 && after >= LINGER, "{count} after {after:?}");
    });
    outbox.close();
    while outbox.take_batch(&mut chunk, &mut last) {}
}

#[test]
fn enough_events_and_urgent_words_are_not_lingered_over() {
    let outbox = Outbox::default();
    outbox.grant(u32::from(u16::MAX));
    let (mut chunk, mut last) = (Vec::new(), Instant::now() + Duration::from_hours(1));
    outbox.publish(&vec![event("tmux", b"{}", &[]); ENOUGH as usize]);
    assert!(outbox.take_batch(&mut chunk, &mut last));
    last += Duration::from_hours(1);
    outbox.publish(&[event("tmux", b"{}", &[])]);
    outbox.must(|buffer| Up::Stopped(true).write(buffer));
    assert!(outbox.take_batch(&mut chunk, &mut last));
    assert_eq!(counts(&chunk), [1, 0]);
}

#[test]
fn a_plugin_without_credit_is_not_kept_waiting_for_company() {
    let outbox = Outbox::default();
    outbox.grant(2);
    let (mut chunk, mut last) = (Vec::new(), Instant::now() + Duration::from_hours(1));
    assert_eq!(outbox.publish(&[event("tmux", b"{}", &[]); 3]), 2);
    assert!(outbox.take_batch(&mut chunk, &mut last));
    assert_eq!(counts(&chunk), [2]);
}

#[test]
fn without_credit_nothing_is_taken() {
    let outbox = Outbox::default();
    outbox.grant(3);
    let events = [event("tmux", b"{}", &[]); 5];
    assert_eq!(outbox.publish(&events), 3);
    assert_eq!(outbox.publish(&events), 0);
    outbox.grant(1);
    assert_eq!(outbox.publish(&events), 1);
}

#[test]
fn large_events_are_bounded_by_bytes_and_too_large_ones_are_told() {
    let outbox = Outbox::default();
    outbox.grant(10_000);
    let payload = vec![b'1'; 100 << 10];
    let large = event("tmux", &payload, &[]);
    let taken = outbox.publish(&vec![large; 1000]);
    assert!((10..=11).contains(&taken), "{taken}");
    let mut chunk = Vec::new();
    outbox.take_blocking(&mut chunk);
    assert!(frames(&chunk).iter().all(|(_, length)| *length <= FRAME_BYTES + payload.len() + 200));

    let huge = vec![b'1'; MAX_EVENT];
    assert_eq!(outbox.publish(&[event("tmux", &huge, &[]), event("tmux", b"1", &[])]), 2);
    outbox.take_blocking(&mut chunk);
    assert_eq!(counts(&chunk), [1, 0]);
    let mut assembler = Assembler::default();
    assembler.swap(&mut chunk);
    assembler.next().unwrap();
    let Some(Ok(Up::Oversize { count: 1, size })) = assembler.next().unwrap().map(Up::read) else {
        panic!("the daemon is told")
    };
    assert!(size > MAX_EVENT as u64);
}

#[test]
fn a_flood_of_log_records_is_cut_and_counted() {
    let outbox = Outbox::default();
    let message = "x".repeat(1000);
    for _ in 0..1000 {
        outbox.log(3, "disk", &message);
    }
    let mut chunk = Vec::new();
    outbox.take_blocking(&mut chunk);
    let records = frames(&chunk).len();
    assert!((500..600).contains(&records), "{records}");
    let last = String::from_utf8_lossy(&chunk[chunk.len() - 100..]).into_owned();
    assert!(last.contains("log records were dropped"), "{last}");
}

#[test]
fn a_side_that_is_not_read_is_full_and_a_closed_one_gives_out_its_rest() {
    let outbox = Outbox::default();
    let body = vec![b'1'; 1 << 20];
    let reply = Up::Reply { request: 1, json: &body };
    let pushed = (0..100).take_while(|_| outbox.push(|buffer| reply.write(buffer)).is_ok()).count();
    assert_eq!(pushed, BYTES >> 20);
    outbox.close();
    let mut chunk = Vec::new();
    assert!(outbox.take_blocking(&mut chunk));
    assert_eq!(frames(&chunk).len(), pushed);
    assert!(!outbox.take_blocking(&mut chunk));
    assert_eq!(outbox.push(|buffer| Up::Started.write(buffer)), Err(Full));
    assert_eq!(outbox.publish(&[event("tmux", b"{}", &[])]), 0);
}

#[test]
fn a_thread_and_a_task_are_both_woken() {
    let outbox = Arc::new(Outbox::default());
    outbox.grant(u32::MAX);
    let (sent, taken) = std::sync::mpsc::channel();
    let reader = outbox.clone();
    let thread = thread::spawn(move || {
        let mut chunk = Vec::new();
        while reader.take_blocking(&mut chunk) {
            sent.send(counts(&chunk).into_iter().sum::<usize>()).unwrap();
        }
    });
    for _ in 0..100 {
        outbox.publish(&[event("tmux", b"{}", &[])]);
        assert_eq!(taken.recv().unwrap(), 1);
    }
    outbox.close();
    thread.join().unwrap();

    let outbox = Arc::new(Outbox::default());
    outbox.grant(u32::MAX);
    let writer = outbox.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let thread = thread::spawn(move || {
        for _ in 0..1000 {
            writer.publish(&[event("tmux", b"{}", &[])]);
        }
        writer.close();
    });
    let mut sum = 0;
    runtime.block_on(async {
        let mut chunk = Vec::new();
        while outbox.take(&mut chunk).await {
            sum += counts(&chunk).into_iter().sum::<usize>();
        }
    });
    thread.join().unwrap();
    assert_eq!(sum, 1000);
}
