//! Token buckets: how much of something a client may do per second. Sessions hold one per connection, the HTTP side one
//! per address. Nothing here waits: who is over its rate is told when to come back.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Addresses that are remembered at once. A visitor with many addresses could otherwise fill the memory.
const MAX_ADDRESSES: usize = 4096;

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    per_second: u32,
    burst: u32,
}

impl Rate {
    /// A rate of 0 per second sets no limit. A burst below 1 counts as 1: nothing could ever pass otherwise.
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second, burst: burst.max(1) }
    }
}

/// What one client has left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        Self { tokens: f64::from(rate.burst), at: now }
    }

    /// Takes `amount`, or says how long to wait. It may go into debt once: a batch larger than the burst passes while
    /// there is anything left and is paid for afterwards, since it could never pass otherwise.
    pub(crate) fn take(&mut self, rate: Rate, amount: u32, now: Instant) -> Result<(), Duration> {
        if rate.per_second == 0 {
            return Ok(());
        }
        self.fill(rate, now);
        let needed = f64::from(amount.min(rate.burst)).min(1.0);
        if self.tokens < needed {
            return Err(Duration::from_secs_f64((needed - self.tokens) / f64::from(rate.per_second)));
        }
        self.tokens -= f64::from(amount);
        Ok(())
    }

    fn fill(&mut self, rate: Rate, now: Instant) {
        if now == self.at {
            return; // one more of the same read
        }
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * f64::from(rate.per_second)).min(f64::from(rate.burst));
        self.at = now;
    }

    /// Whether forgetting it changes nothing.
    fn is_full(&mut self, rate: Rate, now: Instant) -> bool {
        self.fill(rate, now);
        self.tokens >= f64::from(rate.burst)
    }
}

/// A bucket for each address that has done something of late.
#[derive(Debug)]
pub(crate) struct AddressBuckets {
    rate: Rate,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

impl AddressBuckets {
    /// None yet.
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, buckets: Mutex::new(HashMap::new()) }
    }

    /// Takes `amount` for an address, or says how long to wait.
    pub(crate) fn take(&self, address: IpAddr, amount: u32, now: Instant) -> Result<(), Duration> {
        if self.rate.per_second == 0 {
            return Ok(());
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = client(address);
        if !buckets.contains_key(&key) && buckets.len() >= MAX_ADDRESSES {
            buckets.retain(|_, bucket| !bucket.is_full(self.rate, now));
            if buckets.len() >= MAX_ADDRESSES {
                // All newcomers share one bucket until some of the others have gone.
                key = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
            }
        }
        buckets.entry(key).or_insert_with(|| Bucket::new(self.rate, now)).take(self.rate, amount, now)
    }
}

/// What counts as one client: an IPv4 address, or an IPv6 network of 64 bits, which one machine can have to itself.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_passes_and_then_the_rate_rules() {
        let rate = Rate::new(10, 3);
        let start = Instant::now();
        let mut bucket = Bucket::new(rate, start);
        for _ in 0..3 {
            bucket.take(rate, 1, start).unwrap();
        }
        let wait = bucket.take(rate, 1, start).unwrap_err();
        assert!((wait.as_secs_f64() - 0.1).abs() < 1e-6, "{wait:?}");
        bucket.take(rate, 1, start + SECOND / 10).unwrap();
        assert!(bucket.take(rate, 1, start + SECOND / 10).is_err());
        // A long rest fills it to the burst and not beyond.
        for _ in 0..3 {
            bucket.take(rate, 1, start + 100 * SECOND).unwrap();
        }
        assert!(bucket.take(rate, 1, start + 100 * SECOND).is_err());
    }

    #[test]
    fn a_large_batch_passes_once_and_is_paid_for() {
        let rate = Rate::new(10, 5);
        let start = Instant::now();
        let mut bucket = Bucket::new(rate, start);
        bucket.take(rate, 25, start).unwrap();
        assert!(bucket.take(rate, 1, start + SECOND).is_err());
        bucket.take(rate, 1, start + 3 * SECOND).unwrap();
    }

    #[test]
    fn no_rate_is_no_limit() {
        let rate = Rate::new(0, 0);
        let now = Instant::now();
        let mut bucket = Bucket::new(rate, now);
        assert!((0..1000).all(|_| bucket.take(rate, 1000, now).is_ok()));
    }

    #[test]
    fn addresses_are_apart_but_a_network_of_one_machine_is_one() {
        let buckets = AddressBuckets::new(Rate::new(1, 1));
        let now = Instant::now();
        let v4 = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
        buckets.take(v4(1), 1, now).unwrap();
        buckets.take(v4(2), 1, now).unwrap();
        assert!(buckets.take(v4(1), 1, now).is_err());
        buckets.take("2001:db8::1".parse().unwrap(), 1, now).unwrap();
        assert!(buckets.take("2001:db8::2".parse().unwrap(), 1, now).is_err());
        assert!(buckets.take("::ffff:10.0.0.1".parse().unwrap(), 1, now).is_err());
    }

    /// Harm prevented: a visitor with many addresses fills the memory, or gets past the limit by its newest address.
    #[test]
    fn many_addresses_cost_no_more_memory_and_share_what_is_left() {
        let buckets = AddressBuckets::new(Rate::new(1, 1));
        let now = Instant::now();
        let address = |n: u32| IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n));
        for n in 0..MAX_ADDRESSES as u32 {
            buckets.take(address(n), 1, now).unwrap();
        }
        buckets.take(address(100_000), 1, now).unwrap();
        assert!(buckets.take(address(100_001), 1, now).is_err());
        assert!(buckets.buckets.lock().unwrap().len() <= MAX_ADDRESSES + 1);
        // When the others have rested they are forgotten.
        buckets.take(address(100_002), 1, now + 2 * SECOND).unwrap();
        assert_eq!(buckets.buckets.lock().unwrap().len(), 1);
    }
}
