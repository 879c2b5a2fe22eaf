//! The suite itself: an engine of another kind passes it, and, broken in each way that the suite knows, does not.

#![allow(clippy::unwrap_used)] // a test crate

mod engine;

use bytes::Bytes;
use engine::{Disk, Fault, MAX_BATCH, Stored};
use headwater_engine::conformance::{a_refused_batch_leaves_nothing, a_restart_loses_nothing, conformance};
use headwater_event::{ChannelName, Draft, Payload};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn draft(number: usize) -> Draft {
    let data = Payload::new(Bytes::from(number.to_string())).unwrap();
    Draft::new(ChannelName::new("a").unwrap(), "tested", "test", data)
}

fn check(fault: Fault) {
    conformance(|| Box::new(Stored::new(fault)));
    a_refused_batch_leaves_nothing(&Stored::new(fault), &draft(0), (0..=MAX_BATCH).map(draft).collect());
    let disk = Disk::default();
    a_restart_loses_nothing(|| Box::new(Stored::on(fault, disk.clone())));
}

#[test]
fn an_engine_that_acknowledges_later_and_keeps_the_newest_conforms() {
    check(Fault::None);
}

/// A suite that lets a broken engine pass promises nothing.
#[test]
fn every_broken_promise_is_noticed() {
    for fault in [
        Fault::StartsAtZero,
        Fault::HandsBackOutsideItsLock,
        Fault::HandsBackTwice,
        Fault::LosesTheLastOfABatch,
        Fault::PositionsInReverse,
        Fault::OneEpochForAll,
        Fault::SameEpochsInEachLife,
        Fault::EpochChangesAtTheFirstEvent,
        Fault::TakesBeforeTheStart,
        Fault::RefusesAfterNumbering,
        Fault::SwapsABatch,
        Fault::ForgetsAttributes,
        Fault::OneIdForAll,
        Fault::HeadsWithoutTheLast,
        Fault::OpenCreates,
        Fault::PagesWithHoles,
        Fault::PagesTooLong,
        Fault::EmptyPages,
        Fault::ExpiresTheFuture,
        Fault::ReadsOnlyWhatIsWritten,
        Fault::ReadsBackUpwards,
        Fault::ReadsBackWithHoles,
        Fault::ReadsBackPagesTooLong,
        Fault::ReadsBackFromTheLastOnly,
        Fault::MissesTheLastInTime,
        Fault::TakesAllForInTime,
        Fault::NothingInTimeAtTheBeginning,
        Fault::KeepsAnyEpoch,
        Fault::KeepsNoEpoch,
        Fault::RetainsWhatIsForgotten,
        Fault::RetainsTheFirst,
        Fault::RetainsNothing,
        Fault::RetainsFromTheStart,
        Fault::LosesTheLastAtARestart,
        Fault::NumbersAnewAtARestart,
        Fault::NewEpochsAtARestart,
        Fault::SaysItHasNoHistory,
    ] {
        assert!(catch_unwind(AssertUnwindSafe(|| check(fault))).is_err(), "{fault:?} was not noticed");
    }
}
