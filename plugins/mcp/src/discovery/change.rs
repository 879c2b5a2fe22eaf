//! What a look at the config files gives: differences to the last one.

use super::server::{Client, Discovered};
use std::{fmt, path::PathBuf};

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A file names a server that none named before.
    Appeared(Discovered),
    /// A server's text is another one. If its hash changed, it is another program: whatever was allowed before is not
    /// allowed now.
    Changed {
        /// What it is now.
        now: Discovered,
        /// What it was.
        before: Box<Discovered>,
    },
    /// No file names it any more.
    Gone(Discovered),
    /// A file, or an entry in it, cannot be understood. There is one for each file, whatever is wrong in it: told once, and
    /// again when it is another one, at most once a minute. What was known of the file before stays.
    Fault(Fault),
    /// What could not be understood can be now, or is not there any more.
    Mended(Fault),
}

/// What cannot be understood, and where. It repeats nothing of the file's content but names of keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fault {
    /// Whose file it is.
    pub client: Client,
    /// The file.
    pub file: PathBuf,
    /// Where in it, as in `mcpServers.git.command`, or `line 3, column 7`; empty for the file as a whole.
    pub place: String,
    /// What is wrong there.
    pub reason: String,
    /// How many more places of the file are wrong.
    pub more: usize,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file.display())?;
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        write!(f, "{}", self.reason)?;
        if self.more > 0 { write!(f, " (and {} more)", self.more) } else { Ok(()) }
    }
}
