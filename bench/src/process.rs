//! What the kernel says of a process: CPU time and resident memory. Linux only, from `/proc`.

use std::{fs, io, time::Duration};

/// The CPU time that a process has used, in user and kernel. To the nanosecond where the kernel keeps scheduler statistics
/// and no thread has ended, otherwise to the clock tick of 10 ms: a thread that ends takes its statistics with it.
pub fn cpu(process: u32) -> io::Result<Duration> {
    let mut nanoseconds = 0_u64;
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { return ticks(process) };
        // Time on a CPU, time waiting for one, how often: proc_pid_schedstat(5).
        nanoseconds += text.split_whitespace().next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(ticks(process)?.max(Duration::from_nanos(nanoseconds)))
}

fn ticks(process: u32) -> io::Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in parentheses may hold anything; behind it, utime and stime are fields 12 and 13: proc_pid_stat(5).
    let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second()))
}

/// The resident memory of a process, in bytes.
pub fn resident(process: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.map(|kilobytes| kilobytes * 1024).ok_or_else(|| io::Error::other("no VmRSS in /proc/PID/status"))
}

/// Lets this process, and what it starts, open as many files as the system allows; returns how many.
pub fn raise_open_files() -> u64 {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Without the right to raise it, what there is will have to do.
    let _ = setrlimit(Resource::Nofile, limit);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_cpu_and_memory() {
        let me = std::process::id();
        let before = cpu(me).unwrap();
        let ticks_before = ticks(me).unwrap();
        let mut x = 1_u64;
        while cpu(me).unwrap() < before + Duration::from_millis(50) {
            x = std::hint::black_box(x.wrapping_mul(31));
        }
        assert!(ticks(me).unwrap() > ticks_before, "both clocks see the same work");
        assert!(resident(me).unwrap() > 100_000);
        assert!(cpu(0).is_err());
    }
}
