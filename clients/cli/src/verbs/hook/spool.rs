//! Reports that no daemon took: one file each in a directory, sent when a daemon is there again.
//!
//! Kept files carry the time at which they happened. One hook sends at a time; the others leave it to that one. A report
//! that was sent and not answered is not sent again.

use super::post::{Posted, Target, left};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// What is kept when nobody says how much: some thousand reports.
pub(super) const DEFAULT_BYTES: u64 = 1 << 20;

/// The most reports that are kept, however small they are: each hook looks at all of them, while its agent waits.
const MOST: usize = 4096;
/// A file that is half written for so long is left of a hook that was ended.
const HALF: Duration = Duration::from_mins(1);

/// A directory of reports.
#[derive(Debug)]
pub(super) struct Spool {
    directory: PathBuf,
    /// The most that is kept. When it is full, the oldest go: what an agent does now says more than what it did.
    bytes: u64,
}

impl Spool {
    pub(super) fn new(directory: &Path, bytes: Option<u64>) -> Self {
        Self { directory: directory.to_owned(), bytes: bytes.unwrap_or(DEFAULT_BYTES) }
    }

    /// Keeps a report for a route. What cannot be kept is lost: there is nobody to tell.
    pub(super) fn keep(&self, route: &str, body: &[u8]) -> Option<()> {
        let size = body.len() as u64;
        if size > self.bytes {
            return None;
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory).ok()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        self.clear_halves(now);
        let mut kept = self.kept();
        let mut total: u64 = kept.iter().filter_map(|path| fs::metadata(path).ok()).map(|data| data.len()).sum();
        kept.reverse();
        while (total + size > self.bytes || kept.len() >= MOST)
            && let Some(oldest) = kept.pop()
        {
            total -= fs::metadata(&oldest).map_or(0, |data| data.len());
            let _ = fs::remove_file(&oldest);
        }
        let name = format!("{:024}-{}-{}", now.as_nanos(), std::process::id(), route.replace('/', "+"));
        // Written beside and renamed: a sender never sees half of it.
        let half = self.directory.join(format!(".{name}"));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&half).ok()?;
        let written = file.write_all(body).and_then(|()| fs::rename(&half, self.directory.join(name)));
        if written.is_err() {
            let _ = fs::remove_file(&half);
        }
        written.ok()
    }

    /// Sends what is kept, the oldest first, until the deadline. `Away` when the daemon is; then sending one more is in
    /// vain.
    pub(super) fn send(&self, target: &Target, deadline: Instant) -> Posted {
        let mut outcome = Posted::Taken;
        let kept = self.kept();
        let Some(_lock) = kept.first().and_then(|_| self.lock()) else { return outcome };
        for path in kept {
            if left(deadline).is_none() {
                break;
            }
            // Another hook may have sent it before this one got the lock.
            let Ok(body) = fs::read(&path) else { continue };
            let Some(route) = route(&path) else { continue };
            outcome = target.post(&route, &body, deadline);
            if outcome == Posted::Away {
                break;
            }
            let _ = fs::remove_file(&path);
            if outcome == Posted::Unknown {
                break;
            }
        }
        outcome
    }

    /// Removes what hooks have left that were ended while they wrote: nobody would ever send it.
    fn clear_halves(&self, now: Duration) {
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let begun =
                name.to_str().and_then(|name| name.strip_prefix('.')).filter(|name| route(name.as_ref()).is_some());
            let begun = begun.and_then(|name| name.split('-').next()?.parse::<u128>().ok());
            if begun.is_some_and(|begun| begun + HALF.as_nanos() < now.as_nanos()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// What is kept, the oldest first.
    fn kept(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let mut kept: Vec<_> = entries.map(|entry| entry.path()).filter(|path| route(path).is_some()).collect();
        kept.sort();
        kept
    }

    /// The right to send. It ends with this process, however that ends.
    fn lock(&self) -> Option<File> {
        let path = self.directory.join(".lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).ok()?;
        file.try_lock().ok()?;
        Some(file)
    }
}

/// The route of a kept file; `None` for any other file.
fn route(path: &Path) -> Option<String> {
    let mut parts = path.file_name()?.to_str()?.splitn(3, '-');
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let known = parts.next().is_some_and(is_number) && parts.next().is_some_and(is_number);
    parts.next().filter(|_| known).map(|route| route.replace('+', "/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::{Daemon, http};
    use std::{os::unix::fs::PermissionsExt, time::Duration};

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    fn bodies(spool: &Spool) -> Vec<String> {
        spool.kept().iter().map(|path| fs::read_to_string(path).unwrap()).collect()
    }

    #[test]
    fn what_is_kept_is_sent_oldest_first_and_then_gone() {
        let home = tempfile::tempdir().unwrap();
        let spool = Spool::new(&home.path().join("a/b"), None);
        for body in ["{\"n\":1}", "{\"n\":2}", "{\"n\":3}"] {
            spool.keep("/v1/hooks/claude?text=1", body.as_bytes()).unwrap();
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(&spool.directory), mode(&spool.kept()[0])),
            (0o700, 0o600),
            "prompts are nobody else's business"
        );
        let takes = |n: &'static str| {
            http(move |request| {
                assert!(request.starts_with("POST /v1/hooks/claude?text=1 ") && request.ends_with(n), "{request}");
                ("202 Accepted", String::new())
            })
        };
        let full = http(|_| ("503 Service Unavailable", String::new()));
        let bad = http(|_| ("400 Bad Request", String::new()));
        let daemon = Daemon::play(vec![takes("{\"n\":1}"), full, bad, takes("{\"n\":3}")]);
        let target = Target::new(daemon.url(), None).unwrap();
        assert_eq!(spool.send(&target, soon()), Posted::Away);
        assert_eq!(bodies(&spool), ["{\"n\":2}", "{\"n\":3}"], "what was not taken stays");
        // A report that is refused would be refused for ever.
        assert_eq!(spool.send(&target, soon()), Posted::Taken);
        assert!(bodies(&spool).is_empty());
        assert_eq!(spool.send(&target, soon()), Posted::Taken, "with nothing to send nobody is asked");
        daemon.done();
    }

    #[test]
    fn the_oldest_make_room() {
        let home = tempfile::tempdir().unwrap();
        let spool = Spool::new(home.path(), Some(20));
        fs::write(home.path().join("notes.txt"), "not ours").unwrap();
        for body in ["11111111", "22222222", "33333333"] {
            spool.keep("/x", body.as_bytes()).unwrap();
        }
        assert_eq!(bodies(&spool), ["22222222", "33333333"]);
        assert!(spool.keep("/x", &[b'4'; 21]).is_none(), "one that never fits costs no other its place");
        assert_eq!(bodies(&spool).len(), 2);
        assert!(home.path().join("notes.txt").exists());
    }

    /// Harm prevented: an agent ends a hook that takes too long, and what it had begun to write stays for ever.
    #[test]
    fn what_ended_hooks_have_left_goes() {
        let home = tempfile::tempdir().unwrap();
        let spool = Spool::new(home.path(), None);
        spool.keep("/x", b"{}").unwrap();
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        let young = format!(".{}", name(&spool.kept()[0]));
        let old = format!(".{:024}-7-+x", 1);
        for half in [&young, &old] {
            fs::write(home.path().join(half), "{\"n").unwrap();
        }
        spool.keep("/x", b"{}").unwrap();
        assert!(home.path().join(young).exists() && !home.path().join(old).exists());
    }

    /// Harm prevented: with a large bound in bytes, each hook would look at a million small files.
    #[test]
    fn the_number_of_reports_is_bounded_too() {
        let home = tempfile::tempdir().unwrap();
        let spool = Spool::new(home.path(), Some(u64::MAX / 2));
        for number in 0..=MOST {
            fs::write(home.path().join(format!("{number:024}-1-+x")), "{}").unwrap();
        }
        spool.keep("/x", b"{}").unwrap();
        let kept = spool.kept();
        assert_eq!((kept.len(), kept[0].ends_with(format!("{:024}-1-+x", 2))), (MOST, true));
    }

    #[test]
    fn one_sends_at_a_time() {
        let home = tempfile::tempdir().unwrap();
        let spool = Spool::new(home.path(), None);
        spool.keep("/x", b"{}").unwrap();
        let lock = spool.lock().unwrap();
        let nobody = Target::new("http://127.0.0.1:9", None).unwrap();
        assert_eq!(spool.send(&nobody, soon()), Posted::Taken, "left to the one that has the lock");
        drop(lock);
        assert_eq!(spool.send(&nobody, soon()), Posted::Away);
        assert_eq!(bodies(&spool), ["{}"]);
    }
}
