//! How the server is watched just now, and why not better.

use std::fmt;

/// The ways of watching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Control clients and hooks.
    Control,
    /// Hooks only: no output.
    Hooks,
    /// Neither: everything is looked at again and again.
    Poll,
    /// There is no server.
    Waiting,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Control => "control",
            Self::Hooks => "hooks",
            Self::Poll => "poll",
            Self::Waiting => "waiting",
        })
    }
}

/// The mode that was last told.
#[derive(Debug, Default)]
pub(crate) struct Ladder {
    told: Option<(Mode, Option<String>)>,
}

impl Ladder {
    /// Whether this is news.
    pub(crate) fn moves_to(&mut self, mode: Mode, reason: Option<&str>) -> bool {
        let same = self.told.as_ref().is_some_and(|(told, why)| *told == mode && why.as_deref() == reason);
        if !same {
            self.told = Some((mode, reason.map(str::to_owned)));
        }
        !same
    }

    /// The mode that was last told.
    pub(crate) fn mode(&self) -> Mode {
        self.told.as_ref().map_or(Mode::Waiting, |(mode, _)| *mode)
    }
}
