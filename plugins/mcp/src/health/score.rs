//! One figure for how well a server is, by a formula that `docs/mcp.md` shows.

use super::{
    machine::{Machine, SILENT},
    status::Status,
};

/// The health score of a server, 0 to 1: the share of calls that did not fail × how fast they are × how many of the last
/// calls were answered. Nothing where no call is known.
///
/// - how fast: 1 while the 95th percentile is at most what is slow, otherwise that limit ÷ the percentile;
/// - how many were answered: 1 − calls in a row without an answer ÷ 3, at least 0;
/// - a server that is stopped has 0.
pub fn score(machine: &Machine) -> Option<f64> {
    if machine.status() == Status::Stopped {
        return Some(0.0);
    }
    let (_, track) = machine.telling()?;
    let summary = track.summary();
    let works = 1.0 - summary.error_rate()?;
    let fast = summary
        .p95
        .zip(track.limit())
        .map_or(1.0, |(p95, limit)| if p95 > limit { limit.as_secs_f64() / p95.as_secs_f64() } else { 1.0 });
    let answers = (1.0 - f64::from(machine.silent()) / f64::from(SILENT)).max(0.0);
    Some((works * fast * answers * 100.0).round() / 100.0)
}
