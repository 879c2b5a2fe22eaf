//! Journeys: what people do with Headwater, each from end to end, against a real daemon.
#![allow(clippy::unwrap_used, reason = "a journey that cannot go on has failed, and says where")]

mod agents;
mod asyncapi;
mod bad_frames;
mod cloudevents;
mod configuration;
mod crashing;
mod delivery;
mod developing;
mod disk;
mod eventsource;
mod first_minutes;
mod history;
mod history_file;
mod hooks;
mod mcp_server;
mod mcp_server_stdio;
mod mcp_servers;
mod mcp_wrap;
mod metrics;
mod misbehaving;
mod options;
mod protocol_page;
mod refused;
mod reloading;
mod replaying;
mod restarting;
mod resuming;
mod slow_readers;
mod sources;
mod streams;
mod tmux;
mod unix_socket;
mod webhooks;
