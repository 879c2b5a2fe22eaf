//! Lines for the person who ran a verb.

use std::{fmt::Display, io::Write};

/// Prints a line. A reader that has left, as in `headwater up | true`, is no reason to stop.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
