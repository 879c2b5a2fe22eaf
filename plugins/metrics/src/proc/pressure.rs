//! `/proc/pressure/*`: for how long something had to wait for a resource.

/// Microseconds, since the machine started, in which at least one task waited: the `total` of the line `some`.
pub fn some_total(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with("some "))?;
    line.rsplit_once("total=")?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_some_is_read() {
        let text = "some avg10=2.99 avg60=5.32 avg300=10.72 total=17636687268\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        assert_eq!(some_total(text), Some(17_636_687_268));
        assert_eq!(some_total("full avg10=0.00 total=7\n"), None);
        assert_eq!(some_total("some avg10=1.0 total=x"), None);
        assert_eq!(some_total(""), None);
    }
}
