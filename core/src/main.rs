//! The Headwater daemon and command.
fn main() {}
