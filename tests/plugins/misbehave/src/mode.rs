//! The ways to misbehave, and those that happen while the settings are read.

use headwater_plugin::{config, serde::Deserialize};
use std::{thread, time::Duration};

/// What the source does wrong.
#[config]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// Nothing.
    Ok,
    /// Panics in `run`.
    Panic,
    /// Panics in a task that nobody waits for.
    PanicInTask,
    /// Panics in a thread of its own; the source itself goes on.
    PanicInThread,
    /// Panics with a payload that panics when it is dropped.
    PanicWithBadDrop,
    /// Panics while its settings are read.
    PanicInCreate,
    /// Refuses its settings.
    Refuse,
    /// Takes two seconds to read its settings.
    SlowCreate,
    /// Waits for `delay` before its first event.
    SlowStart,
    /// Returns an error.
    Error,
    /// Returns without having been asked to.
    EarlyReturn,
    /// Writes to address 8.
    Segfault,
    /// Aborts the process.
    Abort,
    /// Ends the process with the code `n`.
    Exit,
    /// Calls itself without end.
    StackOverflow,
    /// Loops without end, and uses a core for it.
    EndlessLoop,
    /// Blocks its thread without end, and uses nothing for it.
    Block,
    /// Does not return when it is asked to stop.
    HangOnStop,
    /// Takes `n` milliseconds to stop, and then emits `misbehave.stopped`.
    SlowStop,
    /// Emits `n` numbered events as fast as it can; 0: without end, until it is asked to stop.
    Flood,
    /// The same, and drops what finds no room.
    FloodAndDrop,
    /// Takes `n` MiB of memory, or all there is with 0, and keeps them.
    Leak,
    /// Emits one event of `n` MiB; with 0, of 8.
    HugeEvent,
    /// Emits an event whose data is no JSON, and then a sound one.
    BadJson,
    /// Emits an event whose data is no UTF-8, and then a sound one.
    BadUtf8,
    /// Emits an event whose data is `n` arrays deep (with 0: 100,000), and then a sound one.
    DeepJson,
    /// Emits on a channel that it does not declare, and then on one that it does.
    UndeclaredChannel,
    /// Emits on a channel whose name is none, and then on a sound one.
    BadChannel,
    /// Emits on the daemon's own channel, and then on a sound one.
    SystemChannel,
    /// Emits once on each of `n` channels (with 0: 20,000).
    ManyChannels,
    /// Emits an event with `n` attributes (with 0: 10,000), and then a sound one.
    ManyAttributes,
    /// Writes `n` log records as fast as it can (with 0: 100,000).
    LogFlood,
    /// Prints `n` lines to stdout and stderr each (with 0: 10,000).
    PrintFlood,
    /// Takes commands and answers none.
    IgnoreCommands,
    /// Closes every file that its process has open.
    CloseFiles,
    /// Starts `n` threads that sleep (with 0: 200).
    ManyThreads,
    /// Leaves a process behind that sleeps for `n` seconds (with 0: 60).
    Orphan,
}

impl Mode {
    /// The word in the config.
    pub(crate) fn word(self) -> String {
        let mut word = String::new();
        for c in format!("{self:?}").chars() {
            if c.is_uppercase() && !word.is_empty() {
                word.push('-');
            }
            word.push(c.to_ascii_lowercase());
        }
        word
    }
}

/// Reads the mode as part of the settings, which is where some of them misbehave.
pub(crate) fn read<'de, D: headwater_plugin::serde::Deserializer<'de>>(deserializer: D) -> Result<Mode, D::Error> {
    let mode = Mode::deserialize(deserializer)?;
    match mode {
        Mode::PanicInCreate => panic!("the settings blew up"),
        Mode::Refuse => return Err(headwater_plugin::serde::de::Error::custom("no settings are good enough")),
        Mode::SlowCreate => thread::sleep(Duration::from_secs(2)),
        _ => {}
    }
    Ok(mode)
}
