//! A file of the proc file system, held open: a `pread` at its beginning makes the kernel write it anew.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// The room for a file to begin with; it grows where a machine has many devices.
const ROOM: usize = 4096;

/// A counter file. It is opened again after an error.
#[derive(Debug)]
pub struct ProcFile {
    path: PathBuf,
    file: Option<File>,
    /// Why the last read failed.
    fault: Option<String>,
}

impl ProcFile {
    /// The file `name` below `root`. It need not exist.
    pub fn new(root: &Path, name: &str) -> Self {
        Self { path: root.join(name), file: None, fault: None }
    }

    /// Why it could not be used the last time; `None` when it could.
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Reads it whole into `buffer` and has `parse` make a value of it. `None`, and a word in the log when that is new:
    /// it cannot be read, or its text is not what it should be.
    pub fn read<T>(&mut self, buffer: &mut Vec<u8>, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let result = self.fill(buffer).and_then(|()| {
            let text = String::from_utf8_lossy(buffer);
            parse(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "its text has an unknown form"))
        });
        let path = self.path.display();
        match &result {
            Ok(_) if self.fault.is_some() => headwater_plugin::tracing::info!("{path} can be read again"),
            Err(error) if self.fault.is_none() => {
                headwater_plugin::tracing::warn!("{path} cannot be used, so its figure is left out: {error}");
            }
            _ => {}
        }
        match result {
            Ok(value) => {
                self.fault = None;
                Some(value)
            }
            Err(error) => {
                self.fault.get_or_insert_with(|| format!("{}: {error}", self.path.display()));
                None
            }
        }
    }

    fn fill(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => File::open(&self.path)?,
        };
        buffer.clear();
        loop {
            let filled = buffer.len();
            buffer.resize(filled + ROOM, 0);
            let read = file.read_at(&mut buffer[filled..], filled as u64)?;
            buffer.truncate(filled + read);
            if read == 0 {
                break;
            }
        }
        // Kept only after a read that went well.
        self.file = Some(file);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_longer_than_the_room_is_read_whole_and_anew_each_time() {
        let root = std::env::temp_dir().join(format!("metrics-file-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let text = "0123456789".repeat(1_000);
        std::fs::write(root.join("counters"), &text).unwrap();
        let mut file = ProcFile::new(&root, "counters");
        let mut buffer = Vec::new();
        assert_eq!(file.read(&mut buffer, |t| Some(t.to_owned())), Some(text));
        std::fs::write(root.join("counters"), "short").unwrap();
        assert_eq!(file.read(&mut buffer, |t| Some(t.to_owned())).as_deref(), Some("short"));
        assert_eq!(file.read(&mut buffer, |_| None::<()>), None);
        let mut missing = ProcFile::new(&root, "missing");
        assert_eq!(missing.read(&mut buffer, |t| Some(t.to_owned())), None);
        std::fs::write(root.join("missing"), "here").unwrap();
        assert_eq!(
            missing.read(&mut buffer, |t| Some(t.to_owned())).as_deref(),
            Some("here"),
            "it is looked for again"
        );
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_file_of_the_kernel_is_written_anew_for_each_read() {
        let mut file = ProcFile::new(Path::new("/proc"), "stat");
        let mut buffer = Vec::new();
        for _ in 0..2 {
            assert!(file.read(&mut buffer, |t| t.starts_with("cpu ").then_some(())).is_some());
        }
    }
}
