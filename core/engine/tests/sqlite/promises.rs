//! The suite that every engine must pass, for each durability.

use crate::world::{World, draft};
use headwater_engine::{
    Durability, Engine, EngineError, SqliteEngine, SqliteOptions,
    conformance::{a_refused_batch_leaves_nothing, a_restart_loses_nothing, conformance},
};
use std::{sync::Mutex, time::Duration};

/// An engine in a directory of its own.
struct Conforming<'a> {
    worlds: &'a Mutex<Vec<World>>,
    durability: Durability,
}

impl Conforming<'_> {
    fn make(&self) -> Box<dyn Engine> {
        let world = World::new();
        let mut options = world.options();
        options.durability = self.durability;
        options.max_channels = 200;
        let (engine, _) = SqliteEngine::open(options).unwrap();
        self.worlds.lock().unwrap().push(world);
        Box::new(engine)
    }
}

fn conforms(durability: Durability) {
    let worlds = Mutex::default();
    conformance(|| Conforming { worlds: &worlds, durability }.make());
    let world = World::new();
    a_restart_loses_nothing(|| {
        Box::new(SqliteEngine::open(SqliteOptions { durability, ..world.options() }).unwrap().0)
    });
}

#[test]
fn it_keeps_every_promise_of_an_engine_at_memory() {
    conforms(Durability::Memory);
}

#[test]
fn it_keeps_every_promise_of_an_engine_at_flush() {
    conforms(Durability::Flush(Duration::from_millis(5)));
}

#[test]
fn it_keeps_every_promise_of_an_engine_at_durable() {
    conforms(Durability::Durable);
}

#[test]
fn one_channel_too_many_is_refused_by_name_with_the_whole_batch() {
    let world = World::new();
    let mut options = world.options();
    options.max_channels = 2;
    let (engine, _) = SqliteEngine::open(options).unwrap();
    let batch: Vec<_> = ["a", "b", "b", "a", "c"].map(|channel| draft(channel, 1)).to_vec();
    a_refused_batch_leaves_nothing(&engine, &draft("a", 0), batch.clone());
    let EngineError::Refused(reason) = engine.publish(batch).unwrap_err() else { panic!("not refused") };
    assert!(reason.contains("`c`") && reason.contains('2'), "{reason}");
}
