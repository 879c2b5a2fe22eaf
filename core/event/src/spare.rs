//! Room for events to come. A busy bus forgets an event for each that it takes in, and of lists it takes in and forgets many
//! at a time, the oldest first: what a general allocator is slowest at. So a thread keeps the room of a few events that have
//! gone, for its next ones.

use crate::{Draft, Event, Position};
use std::{cell::RefCell, sync::Arc};
use uuid::Uuid;

/// How much room a thread keeps: for as many events as a list mostly has, in about 60 KiB. What is beyond is freed.
const KEPT: usize = 256;

thread_local! {
    static SPARE: RefCell<Vec<Arc<Event>>> = const { RefCell::new(Vec::new()) };
}

impl Event {
    /// Gives a draft its position and id, where there is room already if there is some.
    pub fn shared(draft: Draft, position: Position, id: Uuid) -> Arc<Self> {
        let event = Self::new(draft, position, id);
        let Some(mut room) = SPARE.with_borrow_mut(Vec::pop) else { return Arc::new(event) };
        *Arc::get_mut(&mut room).expect("invariant: room that is kept has one holder") = event;
        room
    }

    /// Lets go of an event. Its room is kept if this was the last to hold it; what it held is freed.
    pub fn retire(mut event: Arc<Self>) {
        let Some(last) = Arc::get_mut(&mut event) else { return };
        last.clear();
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < KEPT {
                spare.push(event);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChannelName, Epoch, Payload};
    use bytes::Bytes;

    fn shared(data: Bytes) -> Arc<Event> {
        let draft = Draft::new(ChannelName::new("a").unwrap(), "t", "s", Payload::new(data).unwrap());
        Event::shared(draft, Position { epoch: Epoch(1), offset: 1 }, Uuid::nil())
    }

    #[test]
    fn the_room_of_one_that_has_gone_is_used_again_and_holds_nothing() {
        let data = Bytes::from(format!("\"{}\"", "x".repeat(100)));
        let first = shared(data.clone());
        let room = Arc::as_ptr(&first);
        Event::retire(first);
        assert!(data.is_unique(), "what it held is freed");
        let second = shared(Bytes::from_static(b"2"));
        assert_eq!((Arc::as_ptr(&second), second.data.as_bytes()), (room, &b"2"[..]));
    }

    #[test]
    fn one_that_somebody_still_holds_is_not_touched() {
        let held = shared(Bytes::from_static(b"1"));
        Event::retire(held.clone());
        let other = shared(Bytes::from_static(b"2"));
        assert_eq!((held.data.as_bytes(), other.data.as_bytes()), (&b"1"[..], &b"2"[..]));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let events: Vec<_> = (0..2 * KEPT).map(|_| shared(Bytes::from_static(b"1"))).collect();
        events.into_iter().for_each(Event::retire);
        assert_eq!(SPARE.with_borrow(Vec::len), KEPT);
    }
}
