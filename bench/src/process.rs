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

/// The CPU time of the children that have ended and that this process has waited for, to the clock tick.
pub fn cpu_of_ended(process: u32) -> io::Result<Duration> {
    two_fields(process, 13)
}

/// The CPU time of a process, of all that it has started, and of what those have started: they run or have been waited for.
pub fn cpu_of_family(process: u32) -> io::Result<Duration> {
    // One that ends meanwhile is with the ended ones of its parent.
    let of_one = |id: u32| Some(cpu(id).ok()? + cpu_of_ended(id).ok()?);
    Ok(family(process)?.into_iter().filter_map(of_one).sum())
}

/// This process and all below it that run.
pub fn family(process: u32) -> io::Result<Vec<u32>> {
    let mut all = vec![process];
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may have ended since.
        let children = fs::read_to_string(task?.path().join("children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|child| child.parse().ok());
        all.extend(children.flat_map(|child| family(child).unwrap_or_default()));
    }
    Ok(all)
}

fn ticks(process: u32) -> io::Result<Duration> {
    two_fields(process, 11)
}

/// The sum of two times in `/proc/PID/stat`. The name in parentheses may hold anything; behind it, utime and stime are the
/// fields 12 and 13, and those of the children 14 and 15: `proc_pid_stat(5)`.
fn two_fields(process: u32, before: usize) -> io::Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks: u64 = fields.skip(before).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
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
    fn what_a_child_used_is_counted_while_it_runs_and_when_it_has_ended() {
        let me = std::process::id();
        let busy = "while :; do :; done";
        let mut child = std::process::Command::new("sh").args(["-c", busy]).spawn().unwrap();
        while cpu(child.id()).unwrap() < Duration::from_millis(50) {
            std::thread::yield_now();
        }
        assert!(family(me).unwrap().contains(&child.id()));
        let running = cpu_of_family(me).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!family(me).unwrap().contains(&child.id()));
        assert!(cpu_of_ended(me).unwrap() >= Duration::from_millis(40));
        assert!(cpu_of_family(me).unwrap() + Duration::from_millis(20) >= running, "nothing is lost by its end");
    }

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
