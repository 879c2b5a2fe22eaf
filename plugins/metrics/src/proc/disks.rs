//! `/proc/diskstats`: how many reads and writes the disks have completed.
//!
//! Each operation counts once: at the whole disk that does it. Partitions are left out, since their disk counts the same
//! operations, and so are the layers above disks (device mapper, RAID, bcache, DRBD, ZFS volumes) and what is no disk
//! (loop devices, RAM disks, zram, optical and floppy drives).

use super::Counter;

/// Layers and devices that are left out, by the beginning of their names.
const NOT_DISKS: [&str; 10] = ["loop", "ram", "zram", "dm-", "md", "sr", "fd", "zd", "bcache", "drbd"];

/// The operations of each whole disk; `None` when there is none.
pub fn parse(diskstats: &str) -> Option<Vec<Counter>> {
    let mut all: Vec<(&str, u64)> = Vec::new();
    for line in diskstats.lines() {
        // major minor name reads merged sectors ms writes …
        let mut words = line.split_ascii_whitespace().skip(2);
        let name = words.next()?;
        let reads: u64 = words.next()?.parse().ok()?;
        let writes: u64 = words.nth(3)?.parse().ok()?;
        all.push((name, reads.saturating_add(writes)));
    }
    let exists = |wanted: &str| all.iter().any(|(name, _)| *name == wanted);
    let whole = all.iter().filter(|(name, _)| !is_layer(name) && !is_partition(name, exists));
    let disks: Vec<Counter> = whole.map(|(name, operations)| ((*name).into(), *operations)).collect();
    (!disks.is_empty()).then_some(disks)
}

fn is_layer(name: &str) -> bool {
    NOT_DISKS.iter().any(|prefix| {
        let rest = name.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    })
}

/// `sda1` is a partition of `sda`, `nvme0n1p2` of `nvme0n1`; `nvme0n1` is none, there is no `nvme0n`.
fn is_partition(name: &str, exists: impl Fn(&str) -> bool) -> bool {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if stem.len() == name.len() {
        return false;
    }
    let behind_p = stem.strip_suffix('p').filter(|disk| disk.ends_with(|c: char| c.is_ascii_digit()));
    exists(behind_p.unwrap_or(stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAPTOP: &str = "\
   7       0 loop0 40 0 2 0 0 0 0 0 0 0 0 0 0 0 0 0 0
 259       0 nvme0n1 1000 10 8000 50 400 20 6000 60 0 80 110 0 0 0 0 5 5
 259       1 nvme0n1p1 300 0 800 5 0 0 0 0 0 8 5 0 0 0 0 0 0
 259       2 nvme0n1p2 700 10 7200 45 400 20 6000 60 0 72 105 0 0 0 0 0 0
 253       0 dm-0 700 0 7200 45 420 0 6000 60 0 72 105 0 0 0 0 0 0
   8       0 sda 20 0 160 1 3 0 24 1 0 2 2 0 0 0 0 0 0
   8       1 sda1 20 0 160 1 3 0 24 1 0 2 2 0 0 0 0 0 0
 252       0 zram0 9000 0 72000 9 9000 0 72000 9 0 18 18 0 0 0 0 0 0
   9     127 md127 5 0 5 0 5 0 5 0 0 0 0
  11       0 sr0 8 0 8 0 0 0 0 0 0 0 0
";

    #[test]
    fn every_operation_counts_once_at_its_whole_disk() {
        assert_eq!(parse(LAPTOP), Some(vec![("nvme0n1".into(), 1_400), ("sda".into(), 23)]));
    }

    #[test]
    fn disks_with_numbers_in_their_names_are_no_partitions() {
        let line = |name: &str| format!(" 1 0 {name} 1 0 0 0 1 0 0 0 0 0 0\n");
        let names = ["mmcblk0", "mmcblk0p1", "vda", "vda15", "xvda1", "nbd0", "sdaa", "mdisk"];
        let text: String = names.iter().map(|name| line(name)).collect();
        let disks: Vec<String> = parse(&text).unwrap().iter().map(|(name, _)| name.to_string()).collect();
        assert_eq!(disks, ["mmcblk0", "vda", "xvda1", "nbd0", "sdaa", "mdisk"], "xvda1 without xvda is all there is");
    }

    #[test]
    fn without_a_disk_or_with_other_text_nothing_is_known() {
        assert_eq!(parse(""), None);
        assert_eq!(parse("   7       0 loop0 40 0 2 0 0 0 0 0 0 0 0\n"), None);
        assert_eq!(parse("8 0 sda many 0 0 0 1 0 0 0\n"), None);
        assert_eq!(parse("8 0 sda 1 0 0\n"), None);
    }
}
