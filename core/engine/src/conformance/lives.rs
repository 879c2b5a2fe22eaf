//! Checks of an engine with a store, across restarts.

use super::{
    past::all,
    seen::{Seen, assert_contiguous, channel, draft, payload, publish, sorted, start},
};
use crate::Engine;
use headwater_event::{Draft, Retention};

/// That an engine with a store goes on where it ended. `open` gives the same store again, each time the engine before it
/// has been dropped; it keeps at least the last 20 events of a channel and starts with an empty store.
///
/// # Panics
/// At the first promise that is broken.
pub fn a_restart_loses_nothing(mut open: impl FnMut() -> Box<dyn Engine>) {
    let (a, b, quiet) = (channel("a"), channel("b"), channel("quiet"));
    let keyed = |number: usize, retention: Retention| Draft { retention, ..draft(&b, number) };
    let keep = |key: &str| Retention::Keep(key.into());
    let (before, heads, quiet_head) = {
        let engine = open();
        assert!(engine.has_history(), "an engine with a store says so");
        let seen = start(&*engine);
        let quiet_head = engine.open(&quiet);
        for number in 0..10 {
            publish(&*engine, vec![draft(&a, number)]);
        }
        publish(&*engine, vec![keyed(0, keep("x")), keyed(1, keep("y")), keyed(2, keep("x")), keyed(3, keep("z"))]);
        publish(&*engine, vec![keyed(4, Retention::Forget("y".into())), draft(&b, 5)]);
        (seen, sorted(engine.heads()), quiet_head)
    };
    for life in 1..3 {
        let engine = open();
        let mut retained: Vec<_> =
            engine.retained().expect("snapshots can be asked for").iter().map(payload_and_key).collect();
        retained.sort();
        let expected = [("2", keep("x")), ("3", keep("z"))];
        assert_eq!(retained, expected.map(|(data, retention)| format!("{data} {retention:?}")), "the snapshots differ");
        assert_eq!(sorted(engine.heads()), heads, "a clean restart changed the heads");
        assert_eq!(engine.open(&quiet), quiet_head, "a clean restart changed the epoch of a channel without events");
        for head in &heads {
            assert_eq!(engine.kept(&head.name, head.epoch), Some(head.last), "an epoch that goes on is kept");
            let (stored, handed_back) = (all(&*engine, &head.name), before.of(&head.name));
            let debug = |events: &[_]| format!("{events:?}");
            assert_eq!(debug(&stored), debug(&handed_back), "life {life}: events came back changed, or not at all");
        }
        let _seen: Seen = start(&*engine);
    }
    let engine = open();
    let seen = start(&*engine);
    let position = publish(&*engine, vec![draft(&a, 10)])[0];
    let head = heads.iter().find(|head| head.name == a).expect("invariant: the channel has events");
    assert_eq!((position.epoch, position.offset), (head.epoch, head.last + 1), "the numbering does not go on");
    let events: Vec<_> = before.of(&a).into_iter().chain(seen.of(&a)).collect();
    assert_contiguous(&a, &events);
    assert_eq!(all(&*engine, &a).len(), events.len(), "old and new events are not read together");
}

fn payload_and_key(event: &std::sync::Arc<headwater_event::Event>) -> String {
    format!("{} {:?}", payload(event), event.retention)
}
