//! An image: the bytes of a plugin file that were read once, found fit, hashed and put into a private copy.
//!
//! Made by a source's task before it starts a generation; a generation that runs, and the one before it while that can
//! still come back, keep theirs. Images with the same bytes are one: in the daemon's own process each load costs
//! thread-local keys, of which there are about a thousand.

use super::{
    copies::{Copies, Copy},
    loader::{self, LoadError},
    manifest::Manifest,
    preflight::{self, Unfit},
    trust::{self, Untrusted},
};
use headwater_abi::PluginV1Ref;
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    fmt::{self, Write},
    fs::{File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

/// Larger files are refused before they are read: a debug build has some 50 MB.
const MAX_FILE: u64 = 1 << 30;

/// Why there is no image of a file.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ImageError {
    #[error("cannot read {}: {reason}", .path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("cannot read {} now: {reason}", .path.display())]
    NotNow { path: PathBuf, reason: String },
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    #[error("{}: {reason}", .path.display())]
    Unfit { path: PathBuf, reason: Unfit },
    #[error("{} has the sha256 {found}, and the config pins {pinned}; if the new file is right, change `sha256`", .path.display())]
    Pin { path: PathBuf, found: String, pinned: String },
    #[error("cannot keep a private copy of {}: {reason}", .path.display())]
    Copy { path: PathBuf, reason: String },
}

impl ImageError {
    /// Whether the file is not to blame, so that it may be read another time as it is.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::NotNow { .. } | Self::Copy { .. })
    }
}

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(path: &Path) -> Option<Self> {
        path.metadata().ok().as_ref().map(Self::from)
    }
}

impl From<&Metadata> for Stamp {
    fn from(meta: &Metadata) -> Self {
        Self { device: meta.dev(), inode: meta.ino(), size: meta.len(), modified: (meta.mtime(), meta.mtime_nsec()) }
    }
}

/// A plugin, ready to be loaded.
pub(crate) struct Image {
    pub(crate) manifest: Manifest,
    pub(crate) sha256: String,
    copy: Copy,
    loaded: Mutex<Option<PluginV1Ref>>,
}

impl Image {
    /// The private copy, for a child to load.
    pub(crate) fn path(&self) -> &Path {
        self.copy.path()
    }

    /// Whether the private copy is still there: what clears away old temporary files may have taken it.
    pub(crate) fn is_there(&self) -> bool {
        self.path().is_file()
    }

    /// Loads it into this process, once. What fails is tried again the next time: the reason may have passed.
    pub(crate) fn load(&self) -> Result<PluginV1Ref, LoadError> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plugin) = *loaded {
            return Ok(plugin);
        }
        let plugin = loader::open(self.path())?;
        *loaded = Some(plugin);
        Ok(plugin)
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image").field("copy", &self.copy).field("sha256", &self.sha256).finish_non_exhaustive()
    }
}

/// All images in use, by their bytes.
#[derive(Debug)]
pub(crate) struct Images {
    state_dir: PathBuf,
    /// Made with the first image, since a daemon without plugins needs no directory; and anew when it is gone.
    copies: Mutex<Option<Arc<Copies>>>,
    by_hash: Mutex<HashMap<String, Weak<Image>>>,
}

impl Images {
    pub(crate) fn new(state_dir: PathBuf) -> Self {
        Self { state_dir, copies: Mutex::default(), by_hash: Mutex::default() }
    }

    /// Reads and judges a file; the stamp is that of the file that was read. Blocks on the disk.
    pub(crate) fn read(&self, path: &Path, pin: Option<&str>) -> Result<(Arc<Image>, Stamp), ImageError> {
        let (bytes, stamp) = contents(path)?;
        let manifest = preflight::check(&bytes).map_err(|reason| ImageError::Unfit { path: path.into(), reason })?;
        let sha256 = hex(&Sha256::digest(&bytes));
        if let Some(pinned) = pin
            && !pinned.eq_ignore_ascii_case(&sha256)
        {
            return Err(ImageError::Pin { path: path.into(), found: sha256, pinned: pinned.into() });
        }
        let mut images = self.by_hash.lock().unwrap_or_else(PoisonError::into_inner);
        images.retain(|_, image| image.strong_count() > 0);
        if let Some(image) = images.get(&sha256).and_then(Weak::upgrade).filter(|image| image.is_there()) {
            return Ok((image, stamp));
        }
        let failed = |reason: String| ImageError::Copy { path: path.into(), reason };
        let copies = self.copies().map_err(|error| failed(format!("{}: {error}", self.state_dir.display())))?;
        let copy = copies.add(&manifest.name, &bytes).map_err(|error| failed(error.to_string()))?;
        let image = Arc::new(Image { manifest, sha256: sha256.clone(), copy, loaded: Mutex::default() });
        images.insert(sha256, Arc::downgrade(&image));
        Ok((image, stamp))
    }

    fn copies(&self) -> io::Result<Arc<Copies>> {
        let mut copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(copies) = copies.as_ref().filter(|copies| copies.is_there()) {
            return Ok(copies.clone());
        }
        let new = Copies::new(&self.state_dir)?;
        *copies = Some(new.clone());
        Ok(new)
    }
}

/// Reads a file once; everything after this works on these bytes.
fn contents(path: &Path) -> Result<(Vec<u8>, Stamp), ImageError> {
    let unreadable = |error: io::Error| {
        let (path, reason) = (path.into(), error.to_string());
        if loader::passing(&error) {
            ImageError::NotNow { path, reason }
        } else {
            ImageError::Unreadable { path, reason }
        }
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(ImageError::Unreadable { path: path.into(), reason: "it is no file".into() });
    }
    trust::check(path, &metadata)?;
    if metadata.len() > MAX_FILE {
        let reason = format!("{} bytes are more than a plugin has", metadata.len());
        return Err(ImageError::Unreadable { path: path.into(), reason });
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    file.by_ref().take(MAX_FILE).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok((bytes, Stamp::from(&metadata)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::elf::tests::library;
    use std::fs;

    const DISK: &[u8] = br#"{"abi":1,"name":"disk","version":"0.1.0","panic":"unwind"}"#;

    #[test]
    fn the_bytes_that_were_checked_are_the_bytes_that_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("libdisk.so");
        fs::write(&path, library(DISK)).unwrap();
        let images = Images::new(directory.path().join("state"));
        let (one, before) = images.read(&path, None).unwrap();
        let (again, _) = images.read(&path, Some(&one.sha256.to_uppercase())).unwrap();
        assert!(Arc::ptr_eq(&one, &again), "the same bytes are one image");

        fs::write(&path, library(&[DISK, b" "].concat())).unwrap();
        assert_eq!(fs::read(one.path()).unwrap(), library(DISK));
        let (other, after) = images.read(&path, None).unwrap();
        assert!(one.sha256 != other.sha256 && before != after);
        let error = images.read(&path, Some(&one.sha256)).unwrap_err().to_string();
        assert!(error.contains("the config pins") && error.contains(&other.sha256), "{error}");
    }

    #[test]
    fn what_failed_for_a_while_or_was_cleared_away_is_made_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("libdisk.so");
        fs::write(&path, library(DISK)).unwrap();
        let state = directory.path().join("state");
        fs::write(&state, "in the way").unwrap();
        let images = Images::new(state.clone());
        assert!(images.read(&path, None).unwrap_err().is_passing());
        fs::remove_file(&state).unwrap();
        let (one, _) = images.read(&path, None).unwrap();

        fs::remove_file(one.path()).unwrap();
        let (two, _) = images.read(&path, None).unwrap();
        assert!(two.is_there() && !one.is_there());
        fs::remove_dir_all(&state).unwrap();
        let (three, _) = images.read(&path, None).unwrap();
        assert!(three.is_there());
        drop((one, two));
        assert!(three.is_there(), "what is older does not take the new one with it");
    }

    #[test]
    fn the_hash_is_the_one_that_sha256sum_prints() {
        assert_eq!(hex(&Sha256::digest(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn what_is_no_plugin_is_refused_with_its_path() {
        let directory = tempfile::tempdir().unwrap();
        let images = Images::new(directory.path().join("state"));
        let path = directory.path().join("libdisk.so");
        assert!(images.read(&path, None).unwrap_err().to_string().starts_with("cannot read /"));
        assert!(images.read(directory.path(), None).unwrap_err().to_string().contains("it is no file"));
        fs::write(&path, "text").unwrap();
        assert_eq!(images.read(&path, None).unwrap_err().to_string(), format!("{}: not an ELF file", path.display()));
        assert!(!directory.path().join("state").exists(), "nothing is kept of a file that is refused");
    }
}
