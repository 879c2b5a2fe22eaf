//! The promises of [`crate::Engine`] as checks. Each engine's tests call them; they panic at the first broken promise.
