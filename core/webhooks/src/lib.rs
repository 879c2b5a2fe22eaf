//! Events sent to other people's HTTP endpoints, signed and repeated until they are taken.
