//! A source that reads the bus: the window of deliveries under way to it, which all its subscriptions share.

use crate::{
    link::{
        event,
        message::{self, Down, MAX_FRAME},
        outbox::Outbox,
    },
    ports::SinkClosed,
};
use headwater_event::Event;
use serde_json::{json, value::RawValue};
use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Semaphore;

/// Units of room. An event takes one, and one more for each [`UNIT`] bytes, so that neither many small events nor a few
/// large ones can fill the memory of a source that takes none: 4 MiB at most.
const ROOM: u32 = 1024;
const UNIT: usize = 4 << 10;
/// The most events of one frame.
const BATCH: usize = 64;
/// The largest event that fits a frame; the frame's kind takes a byte.
const MAX_DELIVERY: usize = MAX_FRAME - 1;

/// Deliveries on their way to one instance.
#[derive(Debug)]
pub(crate) struct Window {
    room: Semaphore,
    /// What each event under way takes, in the order in which they were sent.
    under_way: Mutex<VecDeque<u32>>,
    to: Arc<Outbox>,
}

impl Window {
    pub(crate) fn new(to: Arc<Outbox>) -> Arc<Self> {
        Arc::new(Self { room: Semaphore::new(ROOM as usize), under_way: Mutex::default(), to })
    }

    /// The instance is gone.
    pub(crate) fn close(&self) {
        self.room.close();
    }

    /// The instance has taken so many events.
    pub(crate) fn delivered(&self, count: u32) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let count = (count as usize).min(under_way.len());
        let room: u32 = under_way.drain(..count).sum();
        self.room.add_permits(room as usize);
    }

    pub(crate) async fn deliver(&self, subscription: u64, events: &[Arc<Event>]) -> Result<(), SinkClosed> {
        let mut batch = Vec::with_capacity(BATCH);
        for event in events {
            let size = event::delivery_size(event);
            if size > MAX_DELIVERY {
                self.send(subscription, &mut batch);
                self.pass_over(subscription, event, size)?;
                continue;
            }
            let cost = cost(size);
            if batch.len() == BATCH {
                self.send(subscription, &mut batch);
            }
            if let Ok(room) = self.room.try_acquire_many(cost) {
                room.forget();
            } else {
                self.send(subscription, &mut batch);
                self.room.acquire_many(cost).await.map_err(|_| SinkClosed)?.forget();
            }
            batch.push((event, cost));
        }
        self.send(subscription, &mut batch);
        if self.room.is_closed() { Err(SinkClosed) } else { Ok(()) }
    }

    /// Says in the place of an event that it is too large for the link. It must not end the source, which has no part in it.
    fn pass_over(&self, subscription: u64, event: &Event, size: usize) -> Result<(), SinkClosed> {
        let (channel, position) = (event.channel.as_str(), event.position);
        let message = format!(
            "the event at offset {} of `{channel}` was passed over: it has {size} bytes, and a source is handed at most \
             {MAX_DELIVERY}",
            position.offset
        );
        let details = json!({ "channel": channel, "epoch": position.epoch.to_string(), "offset": position.offset });
        let notice = json!({
            "type": "error", "error_code": "VALIDATION_ERROR", "message": message, "details": details,
        });
        self.notice(subscription, notice.to_string().as_bytes())
    }

    pub(crate) fn notice(&self, subscription: u64, message: &[u8]) -> Result<(), SinkClosed> {
        let message: &RawValue = serde_json::from_slice(message).map_err(|_| SinkClosed)?;
        let json = format!(r#"{{"kind":"notice","subscription":{subscription},"notice":{message}}}"#);
        let down = Down::Send { request: 0, json: json.as_bytes() };
        self.to.push(|buffer| down.write(buffer)).map_err(|_| SinkClosed)
    }

    fn send(&self, subscription: u64, batch: &mut Vec<(&Arc<Event>, u32)>) {
        if batch.is_empty() {
            return;
        }
        let batch = mem::take(batch);
        // Held while the frame is added: several subscriptions send, and the instance counts what it took in the order
        // of the frames.
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.extend(batch.iter().map(|(_, cost)| cost));
        self.to.must(|buffer| {
            let at = message::begin_deliveries(buffer);
            for (event, _) in &batch {
                event::write_delivery(buffer, subscription, event);
            }
            message::end(buffer, at);
        });
    }
}

/// What an event of so many bytes takes, its attributes and names included. What shares the room fits one frame, too.
fn cost(size: usize) -> u32 {
    (1 + size / UNIT).min(ROOM as usize) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{assembler::Assembler, event::Deliveries};
    use headwater_event::{ChannelName, Draft, Epoch, Payload, Position};
    use std::{future::Future, pin::pin, task::Poll};

    fn event(offset: u64, bytes: usize) -> Arc<Event> {
        let data = Payload::new(format!("\"{}\"", "x".repeat(bytes)).into()).unwrap();
        let draft = Draft::new(ChannelName::new("agents").unwrap(), "t", "claude", data);
        Arc::new(Event::new(draft, Position { epoch: Epoch(1), offset }, uuid::Uuid::now_v7()))
    }

    fn offsets(to: &Outbox) -> Vec<u64> {
        let mut offsets = Vec::new();
        frames(to, |down| {
            let Down::Deliver(body) = down else { panic!("only deliveries") };
            let deliveries = Deliveries::read(body).unwrap();
            assert!(deliveries.refs().len() <= BATCH);
            offsets.extend(deliveries.refs().iter().map(|delivery| delivery.offset));
        });
        offsets
    }

    fn frames(to: &Outbox, mut each: impl FnMut(Down<'_>)) {
        let mut assembler = Assembler::default();
        to.close();
        let mut chunk = Vec::new();
        to.take_blocking(&mut chunk);
        assembler.swap(&mut chunk);
        while let Some(frame) = assembler.next().unwrap() {
            each(Down::read(frame).unwrap());
        }
    }

    async fn is_ready<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> bool {
        let mut future = Some(future);
        std::future::poll_fn(move |context| {
            let ready = future.as_mut().is_some_and(|future| future.as_mut().poll(context).is_ready());
            Poll::Ready(ready)
        })
        .await
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_source_that_takes_nothing_stops_the_reader_and_its_taking_frees_it() {
        let to = Arc::new(Outbox::default());
        let window = Window::new(to.clone());
        let events: Vec<_> = (1..=u64::from(ROOM) + 10).map(|offset| event(offset, 10)).collect();
        let mut deliver = pin!(window.deliver(1, &events));
        assert!(!is_ready(deliver.as_mut()).await);
        window.delivered(9);
        assert!(!is_ready(deliver.as_mut()).await);
        window.delivered(1);
        assert!(is_ready(deliver.as_mut()).await);
        assert_eq!(offsets(&to), (1..=u64::from(ROOM) + 10).collect::<Vec<_>>());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn large_events_take_more_room_and_the_largest_still_passes() {
        let to = Arc::new(Outbox::default());
        let window = Window::new(to.clone());
        let large = [event(1, 1 << 20), event(2, 1 << 20), event(3, 1 << 20), event(4, 1 << 20)];
        let mut deliver = pin!(window.deliver(1, &large));
        assert!(!is_ready(deliver.as_mut()).await, "four megabytes and a bit are too much at once");
        window.delivered(1);
        assert!(is_ready(deliver.as_mut()).await);
        assert!(cost(MAX_DELIVERY) <= ROOM);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_no_frame_holds_is_told_in_its_place_and_the_rest_comes() {
        let to = Arc::new(Outbox::default());
        let window = Window::new(to.clone());
        let most = MAX_DELIVERY - event::delivery_size(&event(1, 0));
        window.deliver(1, &[event(1, 10), event(2, most + 1), event(3, 10)]).await.unwrap();
        window.delivered(2);
        window.deliver(1, &[event(4, most)]).await.unwrap();
        let mut seen = Vec::new();
        frames(&to, |down| match down {
            Down::Deliver(body) => {
                seen.extend(Deliveries::read(body).unwrap().refs().iter().map(|delivery| delivery.offset.to_string()));
            }
            Down::Send { json, .. } => {
                let message: serde_json::Value = serde_json::from_slice(json).unwrap();
                let notice = &message["notice"];
                assert_eq!((&notice["type"], &notice["details"]["channel"]), (&json!("error"), &json!("agents")));
                seen.push(format!("not {}", notice["details"]["offset"]));
            }
            other => panic!("{other:?}"),
        });
        assert_eq!(seen, ["1", "not 2", "3", "4"]);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn attributes_take_room_as_data_does() {
        let to = Arc::new(Outbox::default());
        let window = Window::new(to.clone());
        let heavy = |offset| {
            let mut event = Arc::into_inner(event(offset, 1)).unwrap();
            event.attributes = (0..32).map(|n| (n.to_string().into(), "x".repeat(40 << 10).into())).collect();
            Arc::new(event)
        };
        let events: Vec<_> = (1..=8).map(heavy).collect();
        let mut deliver = pin!(window.deliver(1, &events));
        assert!(!is_ready(deliver.as_mut()).await, "ten megabytes are too much at once");
        for _ in 0..8 {
            window.delivered(1);
            if is_ready(deliver.as_mut()).await {
                break;
            }
        }
        assert_eq!(offsets(&to), (1..=8).collect::<Vec<_>>(), "each frame holds what a frame may");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_end_of_the_instance_ends_a_waiting_reader() {
        let window = Window::new(Arc::default());
        let events: Vec<_> = (0..=u64::from(ROOM)).map(|offset| event(offset, 1)).collect();
        let mut deliver = pin!(window.deliver(1, &events));
        assert!(!is_ready(deliver.as_mut()).await);
        window.close();
        assert_eq!(deliver.await, Err(SinkClosed));
        assert_eq!(window.deliver(1, &events[..1]).await, Err(SinkClosed));
    }
}
