//! The promises of [`Engine`] as checks. Each engine's tests call them; they panic at the first promise that is broken.
//! Nothing in the bus itself calls them.
//!
//! They know nothing of the engine but the trait: it may acknowledge at once or later, store everything, something or
//! nothing, and drop what is old at any time.

mod lives;
mod past;
mod seen;

use crate::{Engine, EngineError};
use headwater_event::{ChannelName, Draft, Event, Evidence, Position, Retention, Severity, Timestamp};
use seen::{assert_contiguous, channel, draft, find, payload, publish, sorted, start};
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

pub use lives::a_restart_loses_nothing;

/// How many threads publish at the same time.
const PUBLISHERS: usize = 4;
/// How many batches each of them publishes.
const BATCHES: usize = 60;
/// How many drafts a batch has, spread over the channels.
const DRAFTS: usize = 5;

/// All promises that hold for every engine. `make` gives a new engine, not started, that knows no channel; it must
/// allow 200 channels.
pub fn conformance(make: impl Fn() -> Box<dyn Engine>) {
    nothing_is_published_before_the_start(&*make());
    an_empty_batch_is_acknowledged_and_hands_nothing_back(&*make());
    an_event_carries_what_its_draft_said(&*make());
    a_batch_keeps_its_order(&*make());
    offsets_rise_by_one_whoever_publishes(&*make());
    a_dropped_ack_changes_nothing(&*make());
    a_channel_has_its_epoch_before_its_first_event(&*make());
    epochs_differ_between_channels_and_lives(&*make(), &*make());
    heads_tell_every_channel_that_had_an_event(&*make());
    past::history_is_read_in_pages_without_a_hole(&*make());
    past::history_is_read_downwards_without_a_hole(&*make());
    past::a_range_of_time_is_found(&*make());
    past::the_present_epoch_is_kept(&*make());
    past::a_new_engine_retains_nothing(&*make());
}

/// That a refused batch leaves nothing behind. The engine refuses `refused` and has not been started; `good` goes to a
/// channel of `refused`.
///
/// # Panics
/// When the engine takes the batch, or when something of it stays.
pub fn a_refused_batch_leaves_nothing(engine: &dyn Engine, good: &Draft, refused: Vec<Draft>) {
    let seen = start(engine);
    let before = publish(engine, vec![good.clone()]);
    let channels: HashSet<_> = refused.iter().map(|draft| draft.channel.clone()).collect();
    assert!(channels.contains(&good.channel), "the good draft goes to a channel of the refused batch");
    let heads = sorted(engine.heads());
    let error = engine.publish(refused).expect_err("a batch that had to be refused was taken");
    assert!(matches!(error, EngineError::Refused(_)), "a batch that can never be taken is `Refused`, not {error:?}");
    assert_eq!(sorted(engine.heads()), heads, "a refused batch changed the heads");
    let after = publish(engine, vec![good.clone()]);
    assert_eq!(after[0].offset, before[0].offset + 1, "a refused batch used up an offset");
    assert_eq!(seen.all().len(), 2, "something of a refused batch was handed back");
}

fn nothing_is_published_before_the_start(engine: &dyn Engine) {
    let name = channel("early");
    let error = engine.publish(vec![draft(&name, 0)]).expect_err("published before the start");
    assert!(matches!(error, EngineError::Down(_)), "an engine that has not started is `Down`, not {error:?}");
    let seen = start(engine);
    assert_eq!(publish(engine, vec![draft(&name, 1)])[0].offset, 1, "a refused batch used up an offset");
    assert_eq!(seen.all().len(), 1, "what was refused before the start was handed back after it");
}

fn an_empty_batch_is_acknowledged_and_hands_nothing_back(engine: &dyn Engine) {
    let seen = start(engine);
    assert_eq!(publish(engine, Vec::new()), Vec::new());
    assert_eq!(seen.all().len(), 0, "an empty batch handed something back");
}

fn an_event_carries_what_its_draft_said(engine: &dyn Engine) {
    let seen = start(engine);
    let full = Draft {
        time: Timestamp(1_704_067_200_000_000_000),
        severity: Some(Severity::Error),
        attributes: Box::new([("session".into(), "api".into()), ("pane".into(), "%1".into())]),
        evidence: Some(Evidence::Inferred),
        retention: Retention::Keep("main".into()),
        ..draft(&channel("full"), 7)
    };
    let bare = draft(&channel("bare"), 8);
    let positions = publish(engine, vec![full.clone(), bare.clone()]);
    let events = seen.all();
    assert_eq!(events.len(), 2);
    for (said, position) in [full, bare].into_iter().zip(positions) {
        let event = find(&events, &said.channel, position);
        let is = Draft {
            channel: event.channel.clone(),
            kind: event.kind.clone(),
            time: event.time,
            source: event.source.clone(),
            severity: event.severity,
            attributes: event.attributes.clone(),
            evidence: event.evidence,
            retention: event.retention.clone(),
            data: event.data.clone(),
            idempotency_key: None,
        };
        // Drafts do not compare; their debug form has every field.
        assert_eq!(format!("{is:?}"), format!("{said:?}"), "an event does not say what its draft said");
        assert_eq!(event.id.get_version_num(), 7, "an id is a UUIDv7");
    }
}

fn a_batch_keeps_its_order(engine: &dyn Engine) {
    let seen = start(engine);
    let (a, b) = (channel("a"), channel("b"));
    // Runs, and channels that take turns.
    let order = [&a, &a, &b, &a, &b, &b, &b, &a, &a, &b];
    let batch = order.iter().enumerate().map(|(number, name)| draft(name, number)).collect();
    let positions = publish(engine, batch);
    assert_eq!(positions.len(), order.len(), "one position per draft");
    let events = seen.all();
    for (number, (name, position)) in order.iter().zip(&positions).enumerate() {
        assert_eq!(
            payload(find(&events, name, *position)),
            number.to_string(),
            "positions are not in the order of the batch"
        );
    }
    for name in [&a, &b] {
        assert_contiguous(name, &seen.of(name));
        let numbers: Vec<usize> = seen.of(name).iter().filter_map(|event| payload(event).parse().ok()).collect();
        assert!(numbers.is_sorted(), "a batch lost its order in `{name}`: {numbers:?}");
    }
}

fn offsets_rise_by_one_whoever_publishes(engine: &dyn Engine) {
    let seen = start(engine);
    let names: Vec<ChannelName> = ["x", "y", "z"].into_iter().map(channel).collect();
    let acknowledged: Vec<(usize, Position)> = std::thread::scope(|scope| {
        let publisher = |publisher: usize| {
            let names = &names;
            scope.spawn(move || {
                let mut acknowledged = Vec::new();
                for batch in 0..BATCHES {
                    let numbers = (0..DRAFTS).map(|draft| (publisher * BATCHES + batch) * DRAFTS + draft);
                    let drafts = numbers.clone().map(|number| draft(&names[number % names.len()], number)).collect();
                    acknowledged.extend(numbers.zip(publish(engine, drafts)));
                }
                acknowledged
            })
        };
        let threads: Vec<_> = (0..PUBLISHERS).map(publisher).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a publisher panicked")).collect()
    });
    let events = seen.all();
    assert_eq!(events.len(), PUBLISHERS * BATCHES * DRAFTS, "events were lost or handed back twice");
    assert_eq!(acknowledged.len(), events.len(), "one position per draft");
    for name in &names {
        assert_contiguous(name, &seen.of(name));
    }
    let by_number: BTreeMap<String, &Arc<Event>> = events.iter().map(|event| (payload(event), event)).collect();
    for (number, position) in acknowledged {
        assert_eq!(by_number[&number.to_string()].position, position, "acknowledged elsewhere than handed back");
    }
    let ids: HashSet<_> = events.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), events.len(), "two events have one id");
}

fn a_dropped_ack_changes_nothing(engine: &dyn Engine) {
    let seen = start(engine);
    let name = channel("unheard");
    for number in 0..3 {
        drop(engine.publish(vec![draft(&name, number)]).expect("a plain batch is taken"));
    }
    assert_eq!(publish(engine, vec![draft(&name, 3)])[0].offset, 4);
    assert_contiguous(&name, &seen.of(&name));
}

fn a_channel_has_its_epoch_before_its_first_event(engine: &dyn Engine) {
    let _seen = start(engine);
    let name = channel("later");
    let head = engine.open(&name).expect("a channel can be opened");
    assert_eq!((&head.name, head.first, head.last), (&name, 1, 0), "a new channel stands before its first event");
    assert_eq!(engine.heads(), [], "asking for a channel created it");
    let position = publish(engine, vec![draft(&name, 0)])[0];
    assert_eq!(position, Position { epoch: head.epoch, offset: 1 }, "the first event is not where `open` said");
    assert_eq!(engine.open(&name).expect("a channel can be opened").last, 1);
}

fn epochs_differ_between_channels_and_lives(engine: &dyn Engine, other: &dyn Engine) {
    let mut epochs = HashSet::new();
    for engine in [engine, other] {
        let _seen = start(engine);
        for number in 0..100 {
            let position = publish(engine, vec![draft(&channel(&format!("epoch:{number}")), 0)])[0];
            assert!(epochs.insert(position.epoch), "epoch {} was used for two numberings", position.epoch);
        }
    }
}

fn heads_tell_every_channel_that_had_an_event(engine: &dyn Engine) {
    assert_eq!(engine.heads(), [], "a new engine knows channels");
    let seen = start(engine);
    let (a, b) = (channel("a"), channel("b"));
    publish(engine, vec![draft(&a, 0), draft(&b, 1), draft(&a, 2)]);
    let heads = sorted(engine.heads());
    assert_eq!(heads.iter().map(|head| (&head.name, head.last)).collect::<Vec<_>>(), [(&a, 2), (&b, 1)]);
    for head in heads {
        assert_eq!(head.epoch, seen.of(&head.name)[0].position.epoch, "a head has another epoch than its events");
        assert!((1..=head.last + 1).contains(&head.first), "a head's first offset lies outside of the channel");
        assert_eq!(engine.open(&head.name).expect("a channel can be opened"), head, "`open` and `heads` differ");
    }
}
