//! `/proc/net/dev`: how many bytes the interfaces have received and sent.
//!
//! Each byte counts once, at the interface where it leaves or enters the machine. The loopback is left out, and so are
//! interfaces whose traffic passes another one too: bridges, their ends in containers, VLANs, bonds, tunnels. Where only
//! such ones exist (in some containers) all but the loopback count.

use super::Counter;

/// Interfaces above others, by the beginning of their names.
const ABOVE_OTHERS: [&str; 17] = [
    "veth",
    "docker",
    "br-",
    "virbr",
    "vnet",
    "ifb",
    "bond",
    "team",
    "dummy",
    "tun",
    "tap",
    "wg",
    "cni",
    "flannel",
    "cali",
    "vxlan",
    "tailscale",
];

/// The bytes of each interface that counts; `None` when there is none.
pub fn parse(net_dev: &str) -> Option<Vec<Counter>> {
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
    let own: Vec<_> = all.iter().filter(|(name, _)| !is_above(name)).collect();
    let counted = if own.is_empty() { all.iter().collect() } else { own };
    let counters: Vec<Counter> = counted.into_iter().map(|(name, bytes)| ((*name).into(), *bytes)).collect();
    (!counters.is_empty()).then_some(counters)
}

fn is_above(name: &str) -> bool {
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

    #[test]
    fn every_byte_counts_once_where_it_leaves_the_machine() {
        let text = dev(&[
            "    lo:    3193      29    0    0    0     0          0         0     3193      29    0    0    0     0       0          0",
            "  eth0: 1000 10 0 0 0 0 0 0 200 6 0 0 0 0 0 0",
            "wlp2s0:5 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0",
            "eth0.100: 900 1 0 0 0 0 0 0 100 1 0 0 0 0 0 0",
            "docker0: 50 1 0 0 0 0 0 0 50 1 0 0 0 0 0 0",
            "  ifb0: 50 1 0 0 0 0 0 0 50 1 0 0 0 0 0 0",
        ]);
        assert_eq!(parse(&text), Some(vec![("eth0".into(), 1_200), ("wlp2s0".into(), 12)]));
    }

    #[test]
    fn where_only_a_tunnel_exists_it_counts() {
        let text = dev(&["lo: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0", "tap0: 1 1 0 0 0 0 0 0 2 1 0 0 0 0 0 0"]);
        assert_eq!(parse(&text), Some(vec![("tap0".into(), 3)]));
    }

    #[test]
    fn without_an_interface_or_with_other_text_nothing_is_known() {
        assert_eq!(parse(""), None);
        assert_eq!(parse(&dev(&["lo: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0"])), None);
        assert_eq!(parse(&dev(&["eth0: many 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0"])), None);
        assert_eq!(parse(&dev(&["eth0: 1 2 3"])), None);
        assert_eq!(parse(&dev(&["eth0 1 2 3"])), None);
    }
}
