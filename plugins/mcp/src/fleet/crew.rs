//! Those who ask servers: a task each.

use crate::{
    discovery::Launch,
    probe::{Order, Report, Runner, Target, Timing},
};
use headwater_plugin::tokio::{
    sync::mpsc::{self, error::TrySendError},
    task::JoinSet,
};

/// Orders that a runner has not taken yet. One more is refused: somebody asks faster than anything can be done.
const ORDERS: usize = 4;

/// The tasks. Dropped, all of them end, and what they run.
#[derive(Debug)]
pub(crate) struct Crew {
    tasks: JoinSet<()>,
    reports: mpsc::Sender<Report>,
    timing: Timing,
    next: u64,
}

/// The way to a task; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Hand {
    /// Which task it is: reports of the one before it do not count any more.
    pub(crate) run: u64,
    orders: mpsc::Sender<Order>,
    /// It runs its server, as far as it has told.
    pub(crate) running: bool,
}

impl Crew {
    /// Nobody yet. They tell what they see to `reports`.
    pub(crate) fn new(reports: mpsc::Sender<Report>, timing: Timing) -> Self {
        Self { tasks: JoinSet::new(), reports, timing, next: 0 }
    }

    /// The times of asking.
    pub(crate) fn timing(&self) -> Timing {
        self.timing
    }

    /// Begins to run or ask a server. `text` is the launch as it is written where the server is named.
    pub(super) fn hire(&mut self, server: &str, launch: Launch, text: Launch) -> Hand {
        self.next += 1;
        let (orders, taken) = mpsc::channel(ORDERS);
        let target = Target { server: server.to_owned(), run: self.next, launch, text, timing: self.timing };
        self.tasks.spawn(Runner::new(target, taken, self.reports.clone()).run());
        Hand { run: self.next, orders, running: false }
    }

    /// The end of a task; an error where it panicked. It waits for ever while there is none. Cancel-safe.
    pub(crate) async fn ended(&mut self) -> Result<(), headwater_plugin::tokio::task::JoinError> {
        match self.tasks.join_next().await {
            Some(ended) => ended,
            None => std::future::pending().await,
        }
    }
}

impl Hand {
    /// Gives an order. `false`: too many wait.
    pub(crate) fn order(&self, order: Order) -> bool {
        !matches!(self.orders.try_send(order), Err(TrySendError::Full(_)))
    }
}
