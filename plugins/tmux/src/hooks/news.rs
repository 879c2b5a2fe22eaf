//! The lines that hooks write.

use crate::{
    inbox::{Alert, Inbox},
    tree::id::{SessionId, WindowId},
};
use std::io::Read;

/// A longer line is none of ours.
const LONGEST: usize = 256;

/// Reads lines until one is empty and the inbox is closed. It waits for the FIFO only: what it finds it leaves in the inbox.
pub(crate) fn read(mut fifo: impl Read, inbox: &Inbox) {
    let mut buffer = [0; 4096];
    let mut line = Vec::new();
    while !inbox.is_closed() {
        let Ok(count) = fifo.read(&mut buffer) else { return };
        for byte in &buffer[..count] {
            match byte {
                b'\n' => {
                    take(&line, inbox);
                    line.clear();
                }
                _ if line.len() < LONGEST => line.push(*byte),
                _ => {}
            }
        }
    }
}

/// What a line means. All but the alerts mean only that something is another than before; a line that cannot be read means
/// that too.
fn take(line: &[u8], inbox: &Inbox) {
    let text = String::from_utf8_lossy(line);
    let mut words = text.split(' ');
    let alert = match words.next() {
        None | Some("") => return,
        Some("alert-bell") => Some(Alert::Bell),
        Some("alert-activity") => Some(Alert::Activity),
        Some("alert-silence") => Some(Alert::Silence),
        Some(_) => None,
    };
    let session = words.next().and_then(SessionId::parse);
    let window = words.next().and_then(WindowId::parse);
    match (alert, window) {
        (Some(alert), Some(window)) => inbox.alert(alert, session, window),
        _ => inbox.changed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::id::Id;

    #[test]
    fn lines_become_news() {
        let inbox = Inbox::default();
        take(b"session-created $1  ", &inbox);
        assert!(inbox.take().changed);
        take(b"alert-bell $1 @2 ", &inbox);
        let news = inbox.take();
        assert_eq!((news.changed, news.alerts), (false, [(Alert::Bell, Some(Id(1)), Id(2))].into()));
        take(b"", &inbox);
        assert!(!inbox.take().changed);
        take(b"\xff\xfe", &inbox);
        assert!(inbox.take().changed, "what cannot be read is looked after");
    }
}
