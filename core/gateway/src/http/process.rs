//! What this process takes of the machine, as the kernel counts it. Only the daemon itself: plugins have processes of
//! their own. `/metrics` asks.

use std::fs;

/// A look at this process. What the system does not tell is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Process {
    /// Bytes of memory in use.
    pub(super) resident_bytes: Option<u64>,
    /// User and system time since the start.
    pub(super) cpu_seconds: Option<f64>,
    /// Open file descriptors.
    pub(super) open_fds: Option<u64>,
}

impl Process {
    /// Looks, by `/proc`.
    pub(super) fn look() -> Self {
        let text = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).ok();
        Self {
            resident_bytes: text("statm").and_then(|statm| resident(&statm, rustix::param::page_size() as u64)),
            cpu_seconds: text("stat").and_then(|stat| cpu(&stat, rustix::param::clock_ticks_per_second())),
            // One of them is the directory itself, being read.
            open_fds: fs::read_dir("/proc/self/fd").ok().map(|fds| (fds.count() as u64).saturating_sub(1)),
        }
    }
}

/// The second field of `statm`, in pages.
fn resident(statm: &str, page: u64) -> Option<u64> {
    statm.split_whitespace().nth(1)?.parse::<u64>().ok()?.checked_mul(page)
}

/// Fields 14 and 15 of `stat`, in ticks. The second is the program's name, in parentheses, which may hold anything.
fn cpu(stat: &str, ticks: u64) -> Option<f64> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) as f64 / ticks as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_behind_any_name() {
        let stat = "12 (a) b) (c) S 1 2 3 4 5 6 7 8 9 10 250 50 13 14";
        assert_eq!(cpu(stat, 100), Some(3.0));
        assert_eq!(cpu("12 a", 100), None);
        assert_eq!(resident("9000 12 5", 4096), Some(12 * 4096));
        assert_eq!(resident("9000", 4096), None);
    }

    #[test]
    fn this_process_takes_something() {
        let process = Process::look();
        assert!(process.resident_bytes.unwrap() > 100_000);
        assert!(process.open_fds.unwrap() >= 1);
        assert!(process.cpu_seconds.is_some());
    }
}
