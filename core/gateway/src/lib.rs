//! The listener, HTTP routes, WebSocket sessions and the writer
