//! A world builder for journeys: a real daemon, real sources, real clients
