//! What the kernel says of a process: its memory and its time.

use std::fs;

/// Whether a process runs. One that has ended may stay in the list until somebody asks how.
pub fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// Resident memory, in bytes.
pub fn resident_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a live process has a resident size");
    let kib: u64 = line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number of kB");
    kib * 1024
}

/// Processor time of all threads, in nanoseconds.
pub fn cpu_nanos(pid: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
    let of_thread = |entry: std::io::Result<fs::DirEntry>| {
        let text = fs::read_to_string(entry.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    threads.filter_map(of_thread).sum()
}

/// The process that a source runs in, as `GET /v1/sources` tells.
pub fn pid_of(sources: &serde_json::Value, name: &str) -> Option<u32> {
    let source = sources["sources"].as_array()?.iter().find(|source| source["name"] == name)?;
    source["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok())
}
