//! What clients may ask, and the answers.

use crate::alerts::{Alerts, Now};
use headwater_plugin::prelude::*;
use std::time::Duration;

/// A shorter interval is raised to this: the kernel counts the cores' time in ticks of 10 ms, and below ten ticks the
/// share jumps by more than it says.
pub(crate) const SHORTEST: Period = Period::from_millis(100);

/// A longer interval is refused: whoever has mistyped it would see nothing of this machine any more.
const LONGEST: Period = Period::from_secs(3_600);

/// The longest silence: what nobody hears any more should not stay so for ever.
const LONGEST_SILENCE: Duration = Duration::from_hours(7 * 24);

/// How often to look.
#[config]
#[derive(Debug)]
pub struct SetInterval {
    /// "100ms" to "1h". It counts until the source is started anew; then the config does.
    interval: Period,
}

/// Which alert is not to be told.
#[config]
#[derive(Debug)]
pub struct SilenceAlert {
    /// Its name, of one group too (`name/group`), or its `alert_id`.
    alert: String,
    /// For how long, at most "7d"; "0s" ends a silence.
    #[default = "1h"]
    duration: Period,
}

/// What a command has changed beside its answer.
pub(crate) enum Changed {
    /// Nothing.
    Nothing,
    /// How often to look.
    Interval(Period),
    /// What is silenced: the command is to be completed with this when that has been told.
    Silence(Command, Value),
}

/// Whether it is about alerts, of which nothing is known yet while the past is being read.
pub(crate) fn is_of_alerts(command: &Command) -> bool {
    matches!(command.name.as_str(), "silence_alert" | "list_alerts")
}

/// Too many wait already.
pub(crate) fn refuse(command: Command) {
    let reason = "it is not known yet how alerts stood before, and too many commands wait for that";
    command.fail(Failure::new("SYSTEM_UNAVAILABLE", reason).suggest("ask again in a few seconds"));
}

/// Does what a command asks, and answers it.
pub(crate) fn run(command: Command, alerts: &mut Alerts, interval: Period, now: Now) -> Changed {
    match command.name.as_str() {
        "set_interval" => match command.parse::<SetInterval>() {
            Ok(SetInterval { interval: asked }) if (SHORTEST..=LONGEST).contains(&asked) => {
                command.complete(json!({ "interval": asked, "previous": interval }));
                Changed::Interval(asked)
            }
            Ok(SetInterval { interval: asked }) => {
                command.invalid(format_args!("`interval`: {asked} is not within {SHORTEST} and {LONGEST}"));
                Changed::Nothing
            }
            Err(error) => {
                command.invalid(error);
                Changed::Nothing
            }
        },
        "silence_alert" => match command.parse::<SilenceAlert>() {
            Ok(asked) => silence(command, asked, alerts, now),
            Err(error) => {
                command.invalid(error);
                Changed::Nothing
            }
        },
        "list_alerts" => {
            command.complete(alerts.list());
            Changed::Nothing
        }
        _ => {
            command.unknown();
            Changed::Nothing
        }
    }
}

fn silence(command: Command, asked: SilenceAlert, alerts: &mut Alerts, now: Now) -> Changed {
    let SilenceAlert { alert, duration } = asked;
    let duration = duration.duration();
    if duration > LONGEST_SILENCE {
        command.invalid(format_args!("`duration`: a silence lasts at most {}", Period::from(LONGEST_SILENCE)));
        return Changed::Nothing;
    }
    let until = (!duration.is_zero()).then(|| now.at.checked_add(duration).unwrap_or(now.at));
    let Some(name) = alerts.silence(&alert, until) else {
        let failure = Failure::new("RESOURCE_NOT_FOUND", format!("there is no alert `{alert}`"));
        command.fail(failure.suggest("`list_alerts` tells which there are"));
        return Changed::Nothing;
    };
    let mut answer = json!({ "alert": name });
    if let Some(until) = until {
        answer["silenced_until"] = until.to_string().into();
    }
    Changed::Silence(command, answer)
}
