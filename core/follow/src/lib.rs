//! Reading the bus by pulling: logs, the store below them, gaps, and waiting for more.
