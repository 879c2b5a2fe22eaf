//! The attribute macros of headwater-plugin
