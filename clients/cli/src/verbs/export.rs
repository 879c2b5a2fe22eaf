//! `headwater history export`: writes the past to a file, whole or not at all.

use crate::{
    ExportArgs, ExportFormat, Failure, Which, csv,
    progress::Progress,
    run::Session,
    signals::Interrupt,
    text::visible,
    verbs::history::{next, tell},
};
use headwater_client::{Event, HistoryQuery};
use jiff::Timestamp;
use std::{
    fs::{File, Permissions},
    io::{BufRead, BufReader, BufWriter, Seek, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// How much is collected before it is written.
const BUFFER: usize = 64 << 10;

pub(crate) async fn run(args: &ExportArgs, session: &mut Session) -> Result<(), Failure> {
    let format = args.format.map_or_else(|| of_name(&args.output), Ok)?;
    if args.flatten && format != ExportFormat::Csv {
        return Err(Failure::Usage("--flatten makes columns, which only CSV has: --format csv".into()));
    }
    let mut interrupt = Interrupt::watch()?;
    let progress = Progress::new("exporting");
    let mut extent = Extent::default();
    if progress.is_shown() {
        extent.last = newest(args, session, &mut interrupt).await?;
    }
    let mut history = session.client.history(args.which.query());
    let mut sheet = Sheet::new(args, format)?;
    let mut count: u64 = 0;
    let mut gaps = Vec::new();
    while let Some(page) = next(&mut history, &mut interrupt).await? {
        for event in &page.events {
            sheet.event(event, session)?;
        }
        count += page.events.len() as u64;
        if let (Some(first), Some(last)) = (page.events.first(), page.events.last()) {
            let (done, total) = extent.at(first, last);
            progress.at(done, total, format!("{count} events"));
        }
        gaps.extend(page.gaps);
        session.output.flush().await?;
    }
    drop(progress);
    sheet.finish(session).await?;
    gaps.iter().for_each(tell);
    if session.terminal.human && !is_stdout(&args.output) {
        let events = if count == 1 { "event" } else { "events" };
        let file = args.output.display().to_string();
        session.output.line(&format!("wrote {count} {events} to {}", visible(&file)));
    }
    Ok(())
}

/// The format that a file's name speaks of. One that speaks of another is most likely meant: its reader would be surprised.
fn of_name(output: &Path) -> Result<ExportFormat, Failure> {
    let Some(end) = output.extension().map(|end| end.to_string_lossy().to_ascii_lowercase()) else {
        return Ok(ExportFormat::Ndjson);
    };
    match end.as_str() {
        "csv" => Ok(ExportFormat::Csv),
        "ndjson" | "jsonl" | "json" | "txt" | "log" => Ok(ExportFormat::Ndjson),
        _ => Err(Failure::Usage(format!(
            "`.{}` is no format of an export; say --format ndjson or --format csv",
            visible(&end)
        ))),
    }
}

fn is_stdout(output: &Path) -> bool {
    output == Path::new("-")
}

/// When the newest event of the range was observed, whether it is wanted or not: where the bar ends.
async fn newest(args: &ExportArgs, session: &Session, interrupt: &mut Interrupt) -> Result<Option<Timestamp>, Failure> {
    let Which { channel, since, until, .. } = args.which.clone();
    let channel = channel.unwrap_or_default();
    let query = HistoryQuery { channel, since, until, descending: true, limit: Some(1), ..HistoryQuery::default() };
    let page = next(&mut session.client.history(query), interrupt).await?;
    Ok(page.and_then(|page| page.events.first().and_then(time)))
}

fn time(event: &Event) -> Option<Timestamp> {
    event.fields().ok()?.timestamp.parse().ok()
}

/// How far an export is, by the times of events: how many there are nobody knows before they have been read.
#[derive(Default)]
struct Extent {
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl Extent {
    /// Done, and of how much, behind a page that begins and ends with these events.
    fn at(&mut self, first: &Event, last: &Event) -> (u64, u64) {
        let Some(here) = time(last) else { return (0, 1) };
        let first = *self.first.get_or_insert_with(|| time(first).unwrap_or(here));
        let span = |from: Timestamp, to: Timestamp| u64::try_from(to.as_second() - from.as_second()).unwrap_or(0);
        (span(first, here), span(first, self.last.unwrap_or(here)))
    }
}

/// What is being written.
struct Sheet {
    form: Form,
    file: Option<Target>,
    buffer: String,
}

/// A file on its way.
struct Target {
    file: BufWriter<Draft>,
    name: String,
}

enum Draft {
    /// Under another name until it is whole.
    Beside(NamedTempFile, PathBuf),
    /// What is no regular file.
    InPlace(File),
}

enum Form {
    Lines,
    Table,
    /// The columns are known when all has been seen: until then the events are kept as lines in a file without a name.
    Flattened {
        flat: csv::Flat,
        kept: BufWriter<File>,
    },
}

impl Sheet {
    fn new(args: &ExportArgs, format: ExportFormat) -> Result<Self, Failure> {
        let form = match format {
            ExportFormat::Ndjson => Form::Lines,
            ExportFormat::Csv if args.flatten => {
                let kept = tempfile::tempfile().map_err(|error| unwritten("a temporary file", &error))?;
                Form::Flattened { flat: csv::Flat::default(), kept: BufWriter::new(kept) }
            }
            ExportFormat::Csv => Form::Table,
        };
        let file = if is_stdout(&args.output) { None } else { Some(Target::new(&args.output)?) };
        let mut sheet = Self { form, file, buffer: String::new() };
        if let Form::Table = sheet.form {
            sheet.row(&csv::headings());
        }
        Ok(sheet)
    }

    fn event(&mut self, event: &Event, session: &mut Session) -> Result<(), Failure> {
        match &mut self.form {
            Form::Lines => {
                self.buffer.push_str(event.line());
                self.buffer.push('\n');
            }
            Form::Table => {
                let row = csv::row(&csv::cells(&event.fields()?, event.position()));
                self.buffer.push_str(&row);
                self.buffer.push_str("\r\n");
            }
            Form::Flattened { flat, kept } => {
                if !flat.see(&event.fields()?) {
                    return Err(Failure::Other(format!(
                        "the data has more than {} different fields, too many for columns; leave --flatten out",
                        csv::MAX_FIELDS
                    )));
                }
                writeln!(kept, "{}", event.line()).map_err(|error| unwritten("a temporary file", &error))?;
            }
        }
        self.pass_on(BUFFER, session)
    }

    fn row(&mut self, cells: &[String]) {
        self.buffer.push_str(&csv::row(cells));
        self.buffer.push_str("\r\n");
    }

    /// Writes what has been collected, when it is as much.
    fn pass_on(&mut self, least: usize, session: &mut Session) -> Result<(), Failure> {
        if self.buffer.len() < least {
            return Ok(());
        }
        match &mut self.file {
            Some(target) => target.write(self.buffer.as_bytes())?,
            None => session.output.text(&self.buffer),
        }
        self.buffer.clear();
        Ok(())
    }

    /// Writes the rest and gives the file its name.
    async fn finish(mut self, session: &mut Session) -> Result<(), Failure> {
        if let Form::Flattened { flat, kept } = std::mem::replace(&mut self.form, Form::Lines) {
            let unread = |error: &std::io::Error| unwritten("a temporary file", error);
            let mut kept = kept.into_inner().map_err(|error| unread(error.error()))?;
            kept.rewind().map_err(|error| unread(&error))?;
            self.row(&flat.headings());
            for line in BufReader::new(kept).lines() {
                let event = Event::from_line(&line.map_err(|error| unread(&error))?)?;
                self.row(&flat.cells(&event.fields()?, event.position()));
                self.pass_on(BUFFER, session)?;
                if session.output.is_full() {
                    session.output.flush().await?;
                }
            }
        }
        self.pass_on(0, session)?;
        self.file.map_or(Ok(()), Target::finish)
    }
}

impl Target {
    fn new(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let unwritten = |error: std::io::Error| unwritten(&name, &error);
        // A pipe or a device is written as it is; putting a file in its place would take it away from others.
        if std::fs::metadata(path).is_ok_and(|known| !known.is_file()) {
            let file = File::options().write(true).open(path).map_err(unwritten)?;
            return Ok(Self { file: BufWriter::new(Draft::InPlace(file)), name });
        }
        // Beside its place: giving it its name must not copy it. As readable as any new file.
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        let file = builder.permissions(Permissions::from_mode(0o666)).tempfile_in(directory).map_err(unwritten)?;
        Ok(Self { file: BufWriter::new(Draft::Beside(file, path.to_owned())), name })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|error| unwritten(&self.name, &error))
    }

    fn finish(self) -> Result<(), Failure> {
        let unwritten = |error: &std::io::Error| unwritten(&self.name, error);
        match self.file.into_inner().map_err(|error| unwritten(error.error()))? {
            Draft::InPlace(_) => Ok(()),
            Draft::Beside(file, path) => file.persist(path).map(drop).map_err(|error| unwritten(&error.error)),
        }
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Beside(file, _) => file.write(bytes),
            Self::InPlace(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Beside(file, _) => file.flush(),
            Self::InPlace(file) => file.flush(),
        }
    }
}

fn unwritten(what: &str, error: &std::io::Error) -> Failure {
    Failure::Other(format!("{what} cannot be written: {error}"))
}
