//! Proving a history file: that SQLite finds it whole, and that it keeps what the engine promises. Reads only, also while
//! a daemon writes. Called by `headwater verify` and by the tests; the engine itself never does.

mod channel;

use super::{fault::Fault, lineage::Lineage, lives, recovery, schema};
use channel::Checked;
use headwater_event::ChannelName;
use rusqlite::{Connection, OpenFlags};
use std::{
    collections::HashSet,
    fmt,
    path::{Path, PathBuf},
};

/// How many problems are described; the rest is counted.
const DESCRIBED: usize = 100;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Channels in the file.
    pub channels: u64,
    /// Events in the file, each of which was read.
    pub events: u64,
    /// Epochs that are remembered.
    pub epochs: u64,
    /// Holes: ranges of offsets that were given out and not kept, and are noted as such.
    pub holes: u64,
    /// Offsets in them.
    pub missing: u64,
    /// Retained events.
    pub snapshots: u64,
    /// The first problems.
    pub problems: Vec<Problem>,
    /// How many problems there are.
    pub problem_count: u64,
}

/// Something that cannot be in a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, if it is about one channel.
    pub channel: Option<String>,
    /// What.
    pub what: String,
}

/// Why a file cannot be verified at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// It cannot be read.
    #[error("cannot read the history `{path}`: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What SQLite or the operating system says.
        reason: String,
    },
    /// It is another program's, or a later Headwater's.
    #[error("`{path}` is no history that this Headwater knows: {reason}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is.
        reason: String,
    },
}

impl Report {
    /// Whether everything is as it must be.
    pub fn is_clean(&self) -> bool {
        self.problem_count == 0
    }

    fn problem(&mut self, channel: Option<&ChannelName>, what: impl Into<String>) {
        self.problem_count += 1;
        if self.problems.len() < DESCRIBED {
            self.problems.push(Problem { channel: channel.map(|name| name.as_str().into()), what: what.into() });
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.channel {
            Some(channel) => write!(f, "channel `{channel}`: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// Verifies a file. `progress` is told how much of how much is done. Holds 8 bytes of memory per event.
pub fn verify(path: &Path, mut progress: impl FnMut(u64, u64)) -> Result<Report, VerifyError> {
    let unreadable = |reason: String| VerifyError::Unreadable { path: path.into(), reason };
    if let Err(error) = std::fs::metadata(path) {
        return Err(unreadable(error.to_string()));
    }
    let connection =
        recovery::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(|error| unreadable(error.to_string()))?;
    let foreign = |reason: String| VerifyError::Foreign { path: path.into(), reason };
    match recovery::identify(&connection) {
        Ok(schema::FORMAT) => {}
        Ok(format) => return Err(foreign(format!("its format is {format}, and not {}", schema::FORMAT))),
        Err(Fault::Spoilt(reason) | Fault::Odd(reason)) => return Err(foreign(reason)),
        Err(Fault::Disk(reason) | Fault::ReadOnly(reason)) => return Err(unreadable(reason)),
    }
    let mut check = Check { connection, report: Report::default(), ids: Vec::new(), done: 0, total: 0 };
    match check.run(&mut progress) {
        Ok(()) => {}
        // What is not there cannot be verified further; what was found so far stands.
        Err(Fault::Spoilt(reason) | Fault::Odd(reason)) => check.report.problem(None, reason),
        Err(Fault::Disk(reason) | Fault::ReadOnly(reason)) => return Err(unreadable(reason)),
    }
    Ok(check.report)
}

/// Where the verifying stands.
struct Check {
    connection: Connection,
    report: Report,
    /// The random part of each event's id.
    ids: Vec<u64>,
    done: u64,
    total: u64,
}

impl Check {
    fn run(&mut self, progress: &mut dyn FnMut(u64, u64)) -> Result<(), Fault> {
        let channels = self.channels()?;
        for channel in &channels {
            self.total += channel.ends(&self.connection)?.map_or(0, |(first, last)| last - first + 1);
        }
        // SQLite's own check counts as much as ours.
        self.total *= 2;
        progress(0, self.total);
        self.whole()?;
        self.done = self.total / 2;
        progress(self.done, self.total);
        self.strangers(&channels)?;
        for channel in &channels {
            channel.check(self, progress)?;
        }
        self.duplicates(&channels)?;
        progress(self.total, self.total);
        Ok(())
    }

    /// What SQLite says of its own structures.
    fn whole(&mut self) -> Result<(), Fault> {
        let mut statement = self.connection.prepare("PRAGMA integrity_check")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let found: String = row.get(0)?;
            if found != "ok" {
                self.report.problem(None, found);
            }
        }
        Ok(())
    }

    /// The channels with their epochs, which must make sense by themselves.
    fn channels(&mut self) -> Result<Vec<Checked>, Fault> {
        let _at_one_time = self.connection.unchecked_transaction()?;
        let mut questions = lives::Questions::new(&self.connection)?;
        let mut statement = self.connection.prepare("SELECT id, name FROM channel ORDER BY id")?;
        let mut rows = statement.query([])?;
        let mut channels = Vec::new();
        while let Some(row) = rows.next()? {
            let (id, name): (i64, String) = (row.get(0)?, row.get(1)?);
            self.report.channels += 1;
            let Ok(name) = ChannelName::new(&name) else {
                self.report.problem(None, format!("`{name}` is no channel name"));
                continue;
            };
            let begins = questions.epochs(id)?;
            self.report.epochs += begins.len() as u64;
            if !begins.is_sorted_by_key(|begin| begin.first) || begins.iter().any(|begin| begin.first == 0) {
                self.report.problem(Some(&name), "its epochs do not follow each other");
            }
            let distinct: HashSet<_> = begins.iter().map(|begin| begin.epoch).collect();
            if distinct.len() < begins.len() {
                self.report.problem(Some(&name), "one epoch stands for two numberings");
            }
            match Lineage::from_rows(begins) {
                Some(lineage) => channels.push(Checked { id, name, lineage }),
                None => self.report.problem(Some(&name), "it has no epoch"),
            }
        }
        Ok(channels)
    }

    /// Events of no channel.
    fn strangers(&mut self, channels: &[Checked]) -> Result<(), Fault> {
        let known: HashSet<i64> = channels.iter().map(|channel| channel.id).collect();
        let _at_one_time = self.connection.unchecked_transaction()?;
        let mut next = self.connection.prepare("SELECT min(at) FROM event WHERE at >= ?")?;
        let mut is_new = self.connection.prepare("SELECT EXISTS(SELECT 1 FROM channel WHERE id = ?)")?;
        let mut from = i64::MIN;
        while let Some(at) = next.query_row([from], |row| row.get::<_, Option<i64>>(0))? {
            let channel = at.div_euclid(schema::STRIDE);
            // A daemon that runs may have made a channel since the list was made.
            if !known.contains(&channel) && !is_new.query_row([channel], |row| row.get::<_, bool>(0))? {
                self.report.problem(None, format!("there are events of channel number {channel}, which is unknown"));
            }
            let Some(then) = (channel + 1).checked_mul(schema::STRIDE) else { break };
            from = then;
        }
        Ok(())
    }

    /// Ids that stand twice.
    fn duplicates(&mut self, channels: &[Checked]) -> Result<(), Fault> {
        self.ids.sort_unstable();
        let twice: HashSet<u64> = self.ids.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        if twice.is_empty() {
            return Ok(());
        }
        for channel in channels {
            for (offset, id) in channel.ids(&self.connection)? {
                if twice.contains(&id.as_u64_pair().1) {
                    self.report.problem(Some(&channel.name), format!("the id of offset {offset}, {id}, stands twice"));
                }
            }
        }
        Ok(())
    }
}
