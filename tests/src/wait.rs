//! Waiting for facts, never for time to pass.

use std::time::{Duration, Instant};

/// How long a fact may take before a test gives up. Far more than any takes: a busy machine must not fail a test.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Looks until `fact` gives something.
///
/// # Panics
/// When it has not after [`PATIENCE`].
pub async fn eventually<T>(what: &str, mut fact: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = fact().await {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "gave up waiting: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
