//! The host's hold on the task of one source.

use crate::{
    host::Inner,
    records::Records,
    source::{
        backoff::Backoff,
        command::Command,
        pump::Refusals,
        shared::{News, Shared},
        task::{Done, Order, Task},
    },
    status::SourceState,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
    thread,
};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// Orders that may wait. A task takes them at once unless it is just ending an instance; who orders more is told that
/// the order was not taken.
const ORDERS: usize = 16;

/// A task that runs. Dropped, it is told to end.
pub(crate) struct Running {
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
    commands: mpsc::Sender<Command>,
    stop: CancellationToken,
    why: Arc<OnceLock<&'static str>>,
    ended: CancellationToken,
}

impl Running {
    /// Commands that may wait for an instance; who sends more is told to come again later.
    pub(crate) const COMMANDS: usize = 64;

    /// Starts the task. `done` hears whether the source came up.
    pub(crate) fn start(tasks: &TaskTracker, inner: &Arc<Inner>, shared: &Arc<Shared>, done: Done) -> Self {
        let config = shared.config();
        let (orders, waiting_orders) = mpsc::channel(ORDERS);
        let (commands, waiting_commands) = mpsc::channel(Self::COMMANDS);
        let (stop, ended, why) = (CancellationToken::new(), CancellationToken::new(), Arc::default());
        let task = Task {
            inner: inner.clone(),
            shared: shared.clone(),
            records: Arc::new(Records::new(&config.name)),
            config,
            orders: waiting_orders,
            commands: waiting_commands,
            stop: stop.clone(),
            why: Arc::clone(&why),
            refusals: Refusals::default(),
            file: None,
            tried: None,
            backoff: Backoff::default(),
            waiting: vec![done],
            unplaced: Vec::new(),
            refused_file: None,
            after_failure: false,
        };
        let end = End { shared: shared.clone(), ended: Some(ended.clone().drop_guard()) };
        tasks.spawn(async move {
            let _end = end;
            task.run().await;
        });
        Self { shared: shared.clone(), orders, commands, stop, why, ended }
    }

    pub(crate) fn name(&self) -> &str {
        &self.shared.name
    }

    /// An order that finds no room is dropped, and with it the channel on which its outcome would come. What it was about
    /// is not lost: each order that waits is carried out with the table that is wanted then.
    pub(crate) fn order(&self, order: Order) {
        if self.orders.try_send(order).is_err() {
            tracing::warn!(source = self.name(), "an order was not taken: {ORDERS} others wait");
        }
    }

    pub(crate) fn command(&self, command: Command) -> Result<(), TrySendError<Command>> {
        self.commands.try_send(command)
    }

    /// Tells it to end, and why.
    pub(crate) fn end(&self, why: &'static str) {
        let _ = self.why.set(why);
        self.stop.cancel();
    }

    /// Whether it has ended: by itself, if nobody told it to.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

/// The end of a task, however it comes. One that panics, which is a fault of ours, cannot say so itself: its source would
/// be shown as it last was, for good.
struct End {
    shared: Arc<Shared>,
    ended: Option<DropGuard>,
}

impl Drop for End {
    fn drop(&mut self) {
        if thread::panicking() {
            let reason = format!(
                "its task in the daemon panicked, which is a fault of the daemon; `headwater source restart {}` starts it anew",
                self.shared.name
            );
            self.shared.enter(SourceState::Down, Some(reason.clone()));
            // Whoever hears the news may start it anew at once.
            self.ended = None;
            // What made the task panic may be the bus itself, and a second panic would end the daemon.
            let told = catch_unwind(AssertUnwindSafe(|| self.shared.tell(News::Failed, Some(&reason), &[])));
            if told.is_err() {
                tracing::error!(source = &*self.shared.name, "{reason}");
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
