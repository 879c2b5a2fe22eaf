//! `/proc/meminfo`: how much memory is taken.

/// KiB that are not available to programs: `MemTotal − MemAvailable`.
pub fn used_kib(meminfo: &str) -> Option<u64> {
    let field = |name: &str| -> Option<u64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    };
    field("MemTotal")?.checked_sub(field("MemAvailable")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_available_is_used() {
        let text =
            "MemTotal:       24684092 kB\nMemFree:        17059840 kB\nMemAvailable:   24000080 kB\nBuffers: 1 kB\n";
        assert_eq!(used_kib(text), Some(684_012));
    }

    /// Kernels before 3.14 have no `MemAvailable`. What is free is something else, and would be a wrong figure.
    #[test]
    fn without_the_kernels_own_estimate_nothing_is_known() {
        assert_eq!(used_kib("MemTotal: 100 kB\nMemFree: 50 kB\n"), None);
        assert_eq!(used_kib("MemTotal: x kB\nMemAvailable: 50 kB\n"), None);
        assert_eq!(used_kib("MemTotal: 10 kB\nMemAvailable: 50 kB\n"), None);
        assert_eq!(used_kib(""), None);
    }
}
