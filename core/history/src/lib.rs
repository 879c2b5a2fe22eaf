//! Questions about the past: ranges, pages, aggregates and replay.
