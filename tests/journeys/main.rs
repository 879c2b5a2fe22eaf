//! Journeys: what people do with Headwater, each from end to end, against a real daemon.

mod bad_frames;
mod configuration;
mod delivery;
mod first_minutes;
mod misbehaving;
mod protocol_page;
mod reloading;
mod sources;
