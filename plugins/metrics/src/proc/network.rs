//! `/proc/net/dev`: how many bytes the interfaces have received and sent.
//!
//! Each byte counts once, at the interface where it leaves or enters the machine. `/sys/class/net` says which ones those
//! are: an interface with a `device` is hardware, or what a virtual machine has for it. What has none (the loopback,
//! bridges, bonds, VLANs, tunnels, the ends of containers) hands its traffic to one that has, and is left out. So is a
//! device below another one, such as the accelerated half of a cloud's network card, which its master counts too.
//!
//! Where no interface has a device, as in most containers, or `/sys` cannot be read, the names must do: those that sound
//! like layers above others are left out, and if no other is there, all but the loopback count.

use super::Counter;
use std::{
    cell::{Cell, RefCell},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Interfaces above others, by the beginning of their names.
const ABOVE_OTHERS: [&str; 27] = [
    "bond",
    "br",
    "cali",
    "cni",
    "docker",
    "dummy",
    "flannel",
    "fwbr",
    "fwln",
    "fwpr",
    "ifb",
    "lxcbr",
    "lxdbr",
    "macvlan",
    "podman",
    "tailscale",
    "tap",
    "team",
    "tun",
    "veth",
    "virbr",
    "vlan",
    "vmbr",
    "vnet",
    "vxlan",
    "wg",
    "zt",
];

/// How long an answer of `/sys` counts. To ask costs more than to read all counters, and what an interface is does not
/// change but by hand.
const ANSWER: Duration = Duration::from_secs(30);

/// What `/sys/class/net` says of interfaces.
#[derive(Debug)]
pub struct Devices {
    root: PathBuf,
    /// The answers of these 30 seconds.
    known: RefCell<Vec<(Box<str>, bool)>>,
    asked: Cell<Option<Instant>>,
}

impl Devices {
    /// Asks the `sys` beside this `proc`: `/sys`, or in a container the host's.
    pub fn beside(proc: &Path) -> Self {
        let root = proc.with_file_name("sys").join("class/net");
        Self { root, known: RefCell::default(), asked: Cell::new(None) }
    }

    /// Whether this interface has a device, and its master, if it has one, has none. `false` where that cannot be read.
    pub fn counts(&self, interface: &str) -> bool {
        let mut known = self.known.borrow_mut();
        if self.asked.get().is_none_or(|asked| asked.elapsed() > ANSWER) {
            known.clear();
            self.asked.set(Some(Instant::now()));
        }
        if let Some((_, counts)) = known.iter().find(|(name, _)| **name == *interface) {
            return *counts;
        }
        let place = self.root.join(interface);
        let counts = place.join("device").exists() && !place.join("master/device").exists();
        known.push((interface.into(), counts));
        counts
    }
}

/// The bytes that the loopback interface has received, each of which it has also sent.
pub fn loopback(net_dev: &str) -> Option<u64> {
    let line = net_dev.lines().find_map(|line| line.trim_start().strip_prefix("lo:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// The bytes of each interface that counts; `None` when there is none. `is_device` says of an interface whether the
/// machine's traffic passes it; where it says so of none, the names decide.
pub fn parse(net_dev: &str, is_device: impl Fn(&str) -> bool) -> Option<Vec<Counter>> {
    let mut all: Vec<(&str, u64)> = Vec::new();
    for line in net_dev.lines().skip(2) {
        let (name, counters) = line.split_once(':')?;
        // received: bytes packets errs drop fifo frame compressed multicast; sent: bytes …
        let mut words = counters.split_ascii_whitespace();
        let received: u64 = words.next()?.parse().ok()?;
        let sent: u64 = words.nth(7)?.parse().ok()?;
        all.push((name.trim(), received.saturating_add(sent)));
    }
    all.retain(|(name, _)| *name != "lo");
    let those = |wanted: &dyn Fn(&str) -> bool| -> Vec<Counter> {
        all.iter().filter(|(name, _)| wanted(name)).map(|(name, bytes)| ((*name).into(), *bytes)).collect()
    };
    let mut counters = those(&is_device);
    if counters.is_empty() {
        counters = those(&|name| !sounds_above(name));
    }
    if counters.is_empty() {
        counters = those(&|_| true);
    }
    (!counters.is_empty()).then_some(counters)
}

fn sounds_above(name: &str) -> bool {
    // eth0.100 is a VLAN on eth0
    name.contains('.') || ABOVE_OTHERS.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
";

    fn dev(lines: &[&str]) -> String {
        format!("{HEAD}{}\n", lines.join("\n"))
    }

    /// What `/sys` says where it cannot be read.
    fn unknown(_: &str) -> bool {
        false
    }

    fn line(name: &str, bytes: u64) -> String {
        format!("{name}: {bytes} 1 0 0 0 0 0 0 0 1 0 0 0 0 0 0")
    }

    #[test]
    fn devices_count_and_what_stands_on_them_does_not() {
        let above =
            ["br0", "vmbr0", "podman0", "lxcbr0", "vlan100", "ppp0", "mac0", "ztks5", "fwbr1", "office", "wg0", "lo"];
        let mut lines: Vec<String> = above.iter().map(|name| line(name, 7)).collect();
        // Devices may have any name, also that of a layer.
        lines.extend([line("eth0", 1_200), line("brcm0", 12), line("wlp2s0", 3)]);
        let text = dev(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        let is_device = |name: &str| ["eth0", "brcm0", "wlp2s0"].contains(&name);
        let expected = vec![("eth0".into(), 1_200), ("brcm0".into(), 12), ("wlp2s0".into(), 3)];
        assert_eq!(parse(&text, is_device), Some(expected));
    }

    #[test]
    fn sys_is_asked_for_the_device_and_for_that_of_the_master() {
        let root = std::env::temp_dir().join(format!("metrics-devices-{}", std::process::id()));
        let net = root.join("sys/class/net");
        for directory in ["eth0/device", "br0", "port/device", "half/device"] {
            std::fs::create_dir_all(net.join(directory)).unwrap();
        }
        for (below, master) in [("port", "br0"), ("half", "eth0")] {
            std::os::unix::fs::symlink(net.join(master), net.join(below).join("master")).unwrap();
        }
        let devices = Devices::beside(&root.join("proc"));
        let counts = ["eth0", "br0", "port", "half", "gone"].map(|name| devices.counts(name));
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(counts, [true, false, true, false, false]);
        assert!(devices.counts("eth0"), "the answer counts for a while");
        devices.asked.set(None);
        assert!(!devices.counts("eth0"), "there is nothing to be read any more");
        assert_eq!(Devices::beside(Path::new("/proc")).root, Path::new("/sys/class/net"));
    }

    #[test]
    fn without_devices_the_names_decide() {
        let text = dev(&[
            "    lo:    3193      29    0    0    0     0          0         0     3193      29    0    0    0     0       0          0",
            "  eth0: 1000 10 0 0 0 0 0 0 200 6 0 0 0 0 0 0",
            "wlp2s0:5 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0",
            "eth0.100: 900 1 0 0 0 0 0 0 100 1 0 0 0 0 0 0",
            "docker0: 50 1 0 0 0 0 0 0 50 1 0 0 0 0 0 0",
            "   br0: 50 1 0 0 0 0 0 0 50 1 0 0 0 0 0 0",
            "podman1: 50 1 0 0 0 0 0 0 50 1 0 0 0 0 0 0",
            "  ifb0: 50 1 0 0 0 0 0 0 50 1 0 0 0 0 0 0",
        ]);
        assert_eq!(parse(&text, unknown), Some(vec![("eth0".into(), 1_200), ("wlp2s0".into(), 12)]));
    }

    #[test]
    fn bytes_through_the_loopback_count_once() {
        assert_eq!(loopback(&dev(&["    lo:    3193      29 0 0 0 0 0 0 3193 29 0 0 0 0 0 0"])), Some(3_193));
        assert_eq!(loopback(&dev(&["eth0: 5 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0"])), None);
    }

    #[test]
    fn where_only_a_tunnel_exists_it_counts() {
        let text = dev(&["lo: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0", "tap0: 1 1 0 0 0 0 0 0 2 1 0 0 0 0 0 0"]);
        assert_eq!(parse(&text, unknown), Some(vec![("tap0".into(), 3)]));
    }

    #[test]
    fn without_an_interface_or_with_other_text_nothing_is_known() {
        assert_eq!(parse("", unknown), None);
        assert_eq!(parse(&dev(&["lo: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0"]), unknown), None);
        assert_eq!(parse(&dev(&["eth0: many 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0"]), unknown), None);
        assert_eq!(parse(&dev(&["eth0: 1 2 3"]), unknown), None);
        assert_eq!(parse(&dev(&["eth0 1 2 3"]), unknown), None);
    }
}
