//! The answer to a publish: positions, now or when the engine's durability is reached. Made by engines, awaited by
//! whoever published. A plain future of the standard library, so that neither side is tied to a runtime.

use crate::EngineError;
use headwater_event::Position;
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
};

/// What an [`Ack`] comes to: one position per draft, in the order of the batch, or why there are none.
pub type Outcome = Result<Vec<Position>, EngineError>;

/// Comes true when the engine has the batch at its configured durability. Dropping it changes nothing: the batch
/// stays published.
#[derive(Debug)]
pub struct Ack(State);

#[derive(Debug)]
enum State {
    /// `None` once it has been taken.
    Ready(Option<Outcome>),
    Pending(Arc<Slot>),
}

#[derive(Debug, Default)]
struct Slot(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    outcome: Option<Outcome>,
    waker: Option<Waker>,
}

/// The engine's half of a pending [`Ack`].
#[derive(Debug)]
#[must_use = "a dropped receipt tells the publisher that the engine went down"]
pub struct Receipt(Option<Arc<Slot>>);

impl Ack {
    /// An answer that is already known.
    pub fn ready(outcome: Outcome) -> Self {
        Self(State::Ready(Some(outcome)))
    }

    /// An answer that comes later, by the receipt.
    pub fn pending() -> (Receipt, Self) {
        let slot = Arc::new(Slot::default());
        (Receipt(Some(slot.clone())), Self(State::Pending(slot)))
    }

    /// The outcome if it is known already, without a waker; otherwise the ack again.
    pub fn try_now(mut self) -> Result<Outcome, Self> {
        self.taken().ok_or(self)
    }

    /// Blocks this thread until the outcome is known. For callers without a runtime; never on one of its threads.
    pub fn wait(mut self) -> Outcome {
        struct Unpark(Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            match Pin::new(&mut self).poll(&mut context) {
                Poll::Ready(outcome) => return outcome,
                // An unpark before this parks is remembered, so that no wake-up is lost.
                Poll::Pending => std::thread::park(),
            }
        }
    }

    fn taken(&mut self) -> Option<Outcome> {
        match &mut self.0 {
            State::Ready(outcome) => outcome.take(),
            State::Pending(slot) => slot.lock().outcome.take(),
        }
    }
}

impl Future for Ack {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        match &mut self.0 {
            State::Ready(outcome) => {
                Poll::Ready(outcome.take().expect("invariant: an ack is not polled after its end"))
            }
            State::Pending(slot) => {
                let mut waiting = slot.lock();
                if let Some(outcome) = waiting.outcome.take() {
                    return Poll::Ready(outcome);
                }
                match &mut waiting.waker {
                    Some(waker) => waker.clone_from(context.waker()),
                    none => *none = Some(context.waker().clone()),
                }
                Poll::Pending
            }
        }
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Receipt {
    /// Tells the publisher.
    pub fn complete(mut self, outcome: Outcome) {
        self.finish(outcome);
    }

    fn finish(&mut self, outcome: Outcome) {
        let Some(slot) = self.0.take() else { return };
        let waker = {
            let mut waiting = slot.lock();
            waiting.outcome = Some(outcome);
            waiting.waker.take()
        };
        // Outside the lock: the waker may run the publisher at once.
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        // A publisher must not wait for ever on an engine that panicked or ended.
        self.finish(Err(EngineError::Down("it ended before it answered".into())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_event::Epoch;

    fn positions() -> Vec<Position> {
        vec![Position { epoch: Epoch(7), offset: 1 }]
    }

    #[test]
    fn a_ready_ack_is_known_at_once() {
        assert_eq!(Ack::ready(Ok(positions())).try_now().unwrap(), Ok(positions()));
        assert_eq!(Ack::ready(Ok(positions())).wait(), Ok(positions()));
    }

    #[test]
    fn a_pending_ack_comes_by_its_receipt_from_another_thread() {
        let (receipt, ack) = Ack::pending();
        let ack = ack.try_now().expect_err("nothing is known yet");
        let waiter = std::thread::spawn(move || ack.wait());
        receipt.complete(Ok(positions()));
        assert_eq!(waiter.join().unwrap(), Ok(positions()));
    }

    #[test]
    fn a_receipt_that_is_dropped_does_not_leave_the_publisher_waiting() {
        let (receipt, ack) = Ack::pending();
        drop(receipt);
        assert!(matches!(ack.wait(), Err(EngineError::Down(_))));
    }

    #[test]
    fn the_last_waker_is_the_one_that_is_woken() {
        struct Count(Mutex<u32>);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                *self.0.lock().unwrap() += 1;
            }
        }
        let (receipt, mut ack) = Ack::pending();
        let (first, second) = (Arc::new(Count(Mutex::new(0))), Arc::new(Count(Mutex::new(0))));
        for count in [&first, &second] {
            let waker = Waker::from(count.clone());
            assert!(Pin::new(&mut ack).poll(&mut Context::from_waker(&waker)).is_pending());
        }
        receipt.complete(Ok(positions()));
        assert_eq!((*first.0.lock().unwrap(), *second.0.lock().unwrap()), (0, 1));
    }
}
