//! Channel logs, subscriptions, filters and fan-out wake-ups
