//! The Rust client: HTTP calls and the event stream
