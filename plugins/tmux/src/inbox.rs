//! Where the threads that read from tmux leave what they found, and where the source takes it.
//!
//! Nobody ever waits here: tmux must be read at once, or a pane's program waits for us. So all of it is bounded by its nature:
//! that something changed is one flag, ends and pauses are sets of things that exist once, and a pane's output is a buffer
//! that is emptied when it is full. What is dropped so is counted, and told.

use crate::{
    server::screen::Screen,
    tree::{
        Ending,
        id::{PaneId, SessionId, WindowId},
    },
};
use headwater_plugin::tokio::sync::{Notify, oneshot};
use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

/// Output of a pane that waits. Beyond it, what is oldest goes: the newest says what the pane shows now.
const OUTPUT: usize = 64 * 1024;

/// What an alert of tmux is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alert {
    /// A bell rang.
    Bell,
    /// Something was printed in a window that is watched for it.
    Activity,
    /// Nothing was printed for as long as the user set.
    Silence,
}

/// A control client, and which one of the session's it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClientId {
    /// The session that it is attached to.
    pub(crate) session: SessionId,
    /// Its number; it never comes again.
    pub(crate) number: u64,
}

/// What a client answers when it is asked for everything; `None`: too much. An error: the client ended.
pub(crate) type Awaited = oneshot::Receiver<Option<Vec<u8>>>;

/// Output of one pane.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Output {
    /// How many bytes were dropped before the rest.
    pub(crate) dropped: u64,
    /// What the program wrote before the screen.
    pub(crate) before: Vec<u8>,
    /// What the pane then showed, where that was asked.
    pub(crate) screen: Option<Screen>,
    /// What the program wrote after it.
    pub(crate) bytes: Vec<u8>,
}

impl Output {
    fn push(&mut self, bytes: &[u8]) {
        if self.bytes.len() + bytes.len() > OUTPUT {
            self.dropped += self.bytes.len() as u64;
            self.bytes.clear();
        }
        let kept = &bytes[bytes.len().saturating_sub(OUTPUT)..];
        self.dropped += (bytes.len() - kept.len()) as u64;
        self.bytes.extend_from_slice(kept);
    }

    /// A later screen stands for an earlier one, and for what came between them.
    fn show(&mut self, screen: Screen) {
        if self.screen.replace(screen).is_some() {
            self.dropped += self.bytes.len() as u64;
            self.bytes.clear();
        } else {
            self.before = std::mem::take(&mut self.bytes);
        }
    }

    /// Bytes that the program wrote, whether they are here or were dropped.
    pub(crate) fn written(&self) -> u64 {
        self.dropped + (self.before.len() + self.bytes.len()) as u64
    }
}

/// What came since the last look.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// Something is another than before.
    pub(crate) changed: bool,
    /// Alerts, with the session that the hook named.
    pub(crate) alerts: BTreeSet<(Alert, Option<SessionId>, WindowId)>,
    /// What panes printed.
    pub(crate) output: BTreeMap<PaneId, Output>,
    /// Control clients that are attached now.
    pub(crate) attached: BTreeSet<ClientId>,
    /// Panes that tmux paused for us, since we were too slow or asked for it.
    pub(crate) paused: BTreeSet<(PaneId, ClientId)>,
    /// Control clients that ended.
    pub(crate) ended: BTreeSet<ClientId>,
    /// Processes that ended, by the number under which they are watched.
    pub(crate) exits: BTreeMap<u64, Ending>,
}

/// The box.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    bell: Notify,
    closed: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    news: News,
    /// Whose output of a pane counts. Sessions may share windows, and each of their clients then brings the same.
    owners: BTreeMap<PaneId, ClientId>,
    /// Clients that were asked for everything and have not answered, whether or not it is still waited for: one answer each.
    asked: BTreeMap<ClientId, Asked>,
}

/// A question that is not answered.
#[derive(Debug)]
struct Asked {
    since: Instant,
    answer: oneshot::Sender<Option<Vec<u8>>>,
}

impl Inbox {
    /// Something is another than before.
    pub(crate) fn changed(&self) {
        self.state().news.changed = true;
        self.bell.notify_one();
    }

    /// An alert of a window.
    pub(crate) fn alert(&self, alert: Alert, session: Option<SessionId>, window: WindowId) {
        self.state().news.alerts.insert((alert, session, window));
        self.bell.notify_one();
    }

    /// A client brings output of a pane.
    pub(crate) fn output(&self, client: ClientId, pane: PaneId, bytes: &[u8]) {
        self.of(client, pane, |output| output.push(bytes));
    }

    /// A client says what a pane shows.
    pub(crate) fn screen(&self, client: ClientId, pane: PaneId, screen: Screen) {
        self.of(client, pane, |output| output.show(screen));
    }

    fn of(&self, client: ClientId, pane: PaneId, take: impl FnOnce(&mut Output)) {
        let mut state = self.state();
        if *state.owners.entry(pane).or_insert(client) == client {
            take(state.news.output.entry(pane).or_default());
            drop(state);
            self.bell.notify_one();
        }
    }

    /// tmux paused a pane for a client.
    pub(crate) fn paused(&self, client: ClientId, pane: PaneId) {
        self.state().news.paused.insert((pane, client));
        self.bell.notify_one();
    }

    /// A client is attached, and has said what was there: what panes print comes from now on.
    pub(crate) fn attached(&self, client: ClientId) {
        self.state().news.attached.insert(client);
        self.bell.notify_one();
    }

    /// A client is about to be asked for everything. `None`: it owes an answer already.
    pub(crate) fn expect(&self, client: ClientId) -> Option<Awaited> {
        let mut state = self.state();
        let Entry::Vacant(asked) = state.asked.entry(client) else { return None };
        let (answer, awaited) = oneshot::channel();
        asked.insert(Asked { since: Instant::now(), answer });
        Some(awaited)
    }

    /// Since when each client that owes an answer does.
    pub(crate) fn owing(&self) -> BTreeMap<ClientId, Instant> {
        self.state().asked.iter().map(|(client, asked)| (*client, asked.since)).collect()
    }

    /// A client answers.
    pub(crate) fn listing(&self, client: ClientId, listing: Option<Vec<u8>>) {
        let asked = self.state().asked.remove(&client);
        // One that comes too late is dropped.
        let _ = asked.map(|asked| asked.answer.send(listing));
    }

    /// A client ended.
    pub(crate) fn ended(&self, client: ClientId) {
        let mut state = self.state();
        state.owners.retain(|_, owner| *owner != client);
        state.asked.remove(&client);
        state.news.ended.insert(client);
        drop(state);
        self.bell.notify_one();
    }

    /// A process ended.
    pub(crate) fn exited(&self, number: u64, ending: Ending) {
        self.state().news.exits.insert(number, ending);
        self.bell.notify_one();
    }

    /// Forgets whose output of these panes counts: they are gone.
    pub(crate) fn forget(&self, panes: impl IntoIterator<Item = PaneId>) {
        let mut state = self.state();
        for pane in panes {
            state.owners.remove(&pane);
            state.news.output.remove(&pane);
        }
    }

    /// Forgets whose output of a pane counts where that client does not bring it any more: the pane is in another session
    /// now. Which panes these are.
    pub(crate) fn disown(&self, brings: impl Fn(ClientId, PaneId) -> bool) -> Vec<PaneId> {
        self.state().owners.extract_if(.., |pane, owner| !brings(*owner, *pane)).map(|(pane, _)| pane).collect()
    }

    /// All that came.
    pub(crate) fn take(&self) -> News {
        std::mem::take(&mut self.state().news)
    }

    /// Waits until something has come. Cancel-safe.
    pub(crate) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// Nobody takes from it any more: whoever reads may end.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Whether it was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::id::Id;

    fn client(session: u32, number: u64) -> ClientId {
        ClientId { session: Id(session), number }
    }

    /// A pane that floods must cost neither memory without end nor anything else's news.
    #[test]
    fn output_beyond_the_bound_is_dropped_and_counted_and_the_rest_stays() {
        let inbox = Inbox::default();
        inbox.changed();
        inbox.output(client(1, 1), Id(3), b"first");
        for _ in 0..100 {
            inbox.output(client(1, 1), Id(3), &[b'x'; 10_000]);
        }
        inbox.output(client(1, 1), Id(4), &vec![b'y'; OUTPUT + 7]);
        inbox.output(client(1, 1), Id(3), b"last");
        let news = inbox.take();
        assert!(news.changed);
        let flooded = &news.output[&Id(3)];
        assert!(flooded.bytes.ends_with(b"last") && flooded.bytes.len() <= OUTPUT);
        assert_eq!(flooded.dropped + flooded.bytes.len() as u64, 5 + 1_000_000 + 4);
        assert_eq!((news.output[&Id(4)].dropped, news.output[&Id(4)].bytes.len()), (7, OUTPUT));
        assert_eq!(inbox.take(), News::default());
    }

    /// What was printed before a screen was asked for is on it, what was printed after it is not.
    #[test]
    fn a_screen_keeps_its_place_in_the_output() {
        let inbox = Inbox::default();
        let screen = |text: &str| Screen { text: text.into(), cursor: (0, 0) };
        inbox.output(client(1, 1), Id(3), b"a");
        inbox.screen(client(1, 1), Id(3), screen("a"));
        inbox.output(client(1, 1), Id(3), b"b");
        inbox.screen(client(2, 2), Id(3), screen("x"));
        let news = inbox.take();
        let output = &news.output[&Id(3)];
        assert_eq!((&output.before[..], &output.screen, &output.bytes[..]), (&b"a"[..], &Some(screen("a")), &b"b"[..]));
        inbox.screen(client(1, 1), Id(3), screen("ab"));
        inbox.output(client(1, 1), Id(3), b"c");
        inbox.screen(client(1, 1), Id(3), screen("abc"));
        inbox.output(client(1, 1), Id(3), b"d");
        let news = inbox.take();
        let output = &news.output[&Id(3)];
        assert_eq!((output.dropped, &output.screen, &output.bytes[..]), (1, &Some(screen("abc")), &b"d"[..]));
    }

    /// A client that is wedged is waited for once, and not with each question again.
    #[test]
    fn a_client_is_asked_again_when_it_has_answered() {
        let inbox = Inbox::default();
        let mut first = inbox.expect(client(1, 1)).unwrap();
        assert!(inbox.expect(client(1, 1)).is_none() && inbox.expect(client(2, 2)).is_some());
        let owing = |inbox: &Inbox| inbox.owing().into_keys().collect::<Vec<_>>();
        assert_eq!(owing(&inbox), [client(1, 1), client(2, 2)]);
        inbox.listing(client(1, 1), Some(b"all".to_vec()));
        assert_eq!(owing(&inbox), [client(2, 2)]);
        assert_eq!(first.try_recv().unwrap().as_deref(), Some(&b"all"[..]));
        drop(inbox.expect(client(1, 1)).unwrap());
        assert!(inbox.expect(client(1, 1)).is_none(), "nobody waits, and it is still to come");
        inbox.listing(client(1, 1), None);
        let mut last = inbox.expect(client(1, 1)).unwrap();
        inbox.ended(client(1, 1));
        assert!(last.try_recv().is_err(), "it ended without an answer");
    }

    /// Sessions of one group share their windows: each client would bring the same output.
    #[test]
    fn a_panes_output_counts_once() {
        let inbox = Inbox::default();
        inbox.output(client(1, 1), Id(3), b"a");
        inbox.output(client(2, 2), Id(3), b"a");
        assert_eq!(inbox.take().output[&Id(3)].bytes, b"a");
        inbox.ended(client(1, 1));
        inbox.output(client(2, 2), Id(3), b"b");
        assert_eq!(inbox.take().output[&Id(3)].bytes, b"b", "the other one takes over");
        inbox.output(client(2, 2), Id(4), b"c");
        assert_eq!(inbox.disown(|owner, pane| owner.session != Id(2) || pane == Id(4)), [Id(3)]);
        inbox.output(client(1, 3), Id(3), b"d");
        inbox.output(client(1, 3), Id(4), b"d");
        let news = inbox.take();
        assert_eq!((&news.output[&Id(3)].bytes[..], &news.output[&Id(4)].bytes[..]), (&b"d"[..], &b"c"[..]), "moved");
    }
}
