//! The attribute macros of the SDK: `#[config]` for settings and parameters, `#[payload]` for what is emitted.
//!
//! Authors get them from `headwater_plugin::prelude`. They write nothing that an author could not write by hand, and
//! they read their input with `proc_macro` alone: an author's build compiles neither `syn` nor `quote` for them.

mod attribute;
mod case;
mod config;
mod failure;
mod item;
mod payload;
mod template;

use proc_macro::TokenStream;

/// Makes a type part of a source's settings; the documentation stands where the SDK re-exports it.
#[proc_macro_attribute]
pub fn config(arguments: TokenStream, input: TokenStream) -> TokenStream {
    config::expand(arguments, input).unwrap_or_else(failure::Failure::into_tokens)
}

/// Makes a type something to emit; the documentation stands where the SDK re-exports it.
#[proc_macro_attribute]
pub fn payload(arguments: TokenStream, input: TokenStream) -> TokenStream {
    payload::expand(arguments, input).unwrap_or_else(failure::Failure::into_tokens)
}
