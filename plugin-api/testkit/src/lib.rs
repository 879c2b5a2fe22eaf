//! Run a Source in a test with no daemon
